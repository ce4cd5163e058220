// Matrix products a b where b stays in the cache: rows of features with a weight, or rows of a block of tokens with a
// head's memory. A BLAS would first copy both factors to its own buffers, which takes a tenth of the time for such thin
// products, and it cannot work on rows that another kernel has just left in the cache.
#pragma once

#include "ops/simd/matrix_product.h"
#include "ops/simd/pack.h"

namespace orthoread::ORTHOREAD_ISA {

/// A tile of c is held in registers: kTileRows rows of kTilePacks packs. So each pack of b is used in kTileRows
/// multiply-adds.
inline constexpr int kTilePacks = 3, kTileRows = kRegisters == 32 ? 8 : 4;

/// The product restricted to the rows of c from `row` on, or to the columns from `column` on.
template <typename T>
MatrixProduct<T> rows_from(MatrixProduct<T> product, int64_t row) {
  product.a += row * product.a_row;
  product.c += row * product.c_row;
  return product;
}
template <typename T>
MatrixProduct<T> columns_from(MatrixProduct<T> product, int64_t column) {
  product.b += column;
  product.c += column;
  return product;
}

/// Computes the first tile of a product. The last pack of each row has `last` numbers.
template <int rows, int packs, typename T, class Count>
void multiply_tile(const MatrixProduct<T>& product, Count last) {
  constexpr int lanes = Pack<T>::lanes;
  const int64_t k = product.k, a_row = product.a_row, a_column = product.a_column, b_row = product.b_row;
  const T *a = product.a, *b = product.b;
  Pack<T> total[rows][packs];
  ORTHOREAD_UNROLL for (int i = 0; i < rows; ++i) {
    ORTHOREAD_UNROLL for (int j = 0; j < packs; ++j) total[i][j] = Pack<T>{};
  }
  for (int64_t l = 0; l < k; ++l, a += a_column, b += b_row) {
    Pack<T> row_of_b[packs];
    ORTHOREAD_UNROLL for (int j = 0; j < packs; ++j) row_of_b[j] = in_register(load(b + j * lanes));
    ORTHOREAD_UNROLL for (int i = 0; i < rows; ++i) {
      const Pack<T> factor = in_register(splat(a[i * a_row]));
      ORTHOREAD_UNROLL for (int j = 0; j < packs; ++j) total[i][j] = fma(factor, row_of_b[j], total[i][j]);
    }
  }
  const bool add = product.store == Store::add;
  ORTHOREAD_UNROLL for (int i = 0; i < rows; ++i) {
    T *to = product.c + i * product.c_row, *end = to + (packs - 1) * lanes;
    if (add) {
      ORTHOREAD_UNROLL for (int j = 0; j < packs - 1; ++j) total[i][j] = total[i][j] + load(to + j * lanes);
      total[i][packs - 1] = total[i][packs - 1] + load(end, last);
    }
    ORTHOREAD_UNROLL for (int j = 0; j < packs - 1; ++j) store(to + j * lanes, total[i][j]);
    store(end, total[i][packs - 1], last);
  }
}

/// Computes the first column of tiles. The division of rows into tiles changes no bit: every sum over k has the same
/// order.
template <int packs, typename T, class Count>
void multiply_column(const MatrixProduct<T>& product, Count last) {
  int64_t i = 0;
  for (; i + kTileRows <= product.m; i += kTileRows) multiply_tile<kTileRows, packs>(rows_from(product, i), last);
  for (; i + 2 <= product.m; i += 2) multiply_tile<2, packs>(rows_from(product, i), last);
  if (i < product.m) multiply_tile<1, packs>(rows_from(product, i), last);
}

template <typename T>
void multiply(const MatrixProduct<T>& product) {
  constexpr int64_t kDepth = 512;  // the largest k at a time: a column of b then takes a tenth of the L2 cache
  if (product.k > kDepth) {
    MatrixProduct<T> first = product, rest = product;
    first.k = kDepth;
    rest.k -= kDepth;
    rest.a += kDepth * product.a_column;
    rest.b += kDepth * product.b_row;
    rest.store = Store::add;
    multiply(first);
    return multiply(rest);
  }
  constexpr int lanes = Pack<T>::lanes, columns = kTilePacks * lanes;
  int64_t j = 0;
  for (; j + columns <= product.n; j += columns) {
    multiply_column<kTilePacks>(columns_from(product, j), std::integral_constant<int, lanes>{});
  }
  const auto rest = static_cast<int>(product.n - j);
  const MatrixProduct<T> at_end = columns_from(product, j);
  if (rest > 2 * lanes) return multiply_column<3>(at_end, rest - 2 * lanes);
  if (rest > lanes) return multiply_column<2>(at_end, rest - lanes);
  if (rest > 0) multiply_column<1>(at_end, rest);
}

}  // namespace orthoread::ORTHOREAD_ISA
