// Products of matrices for rows of features, where one factor is a weight that stays in the cache. A library of matrix
// products first copies both factors into buffers of its own; for products as thin as a model's that is a tenth of the
// time, and it cannot be told to work on rows that another kernel has just left in the cache.
#pragma once

#include "ops/simd/pack.h"

namespace orthoread::ORTHOREAD_ISA {

/// The tile of c that is held in registers: kTileRows rows of kTilePacks packs, each pack of b feeding kTileRows
/// multiply-adds.
inline constexpr int kTilePacks = 3, kTileRows = kRegisters == 32 ? 8 : 4;

/// One tile, the last pack of its rows having `last` numbers.
template <int rows, int packs, typename T, class Count>
void multiply_tile(int64_t k, const T* a, int64_t a_row, int64_t a_column, const T* b, int64_t b_row, bool add, T* c,
                   int64_t c_row, Count last) {
  constexpr int lanes = Pack<T>::lanes;
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
  ORTHOREAD_UNROLL for (int i = 0; i < rows; ++i) {
    T *to = c + i * c_row, *end = to + (packs - 1) * lanes;
    if (add) {
      ORTHOREAD_UNROLL for (int j = 0; j < packs - 1; ++j) total[i][j] = total[i][j] + load(to + j * lanes);
      total[i][packs - 1] = total[i][packs - 1] + load(end, last);
    }
    ORTHOREAD_UNROLL for (int j = 0; j < packs - 1; ++j) store(to + j * lanes, total[i][j]);
    store(end, total[i][packs - 1], last);
  }
}

/// A column of tiles. How the rows are cut changes no bit: each number is summed over k in the same order.
template <int packs, typename T, class Count>
void multiply_column(int64_t m, int64_t k, const T* a, int64_t a_row, int64_t a_column, const T* b, int64_t b_row,
                     bool add, T* c, int64_t c_row, Count last) {
  int64_t i = 0;
  for (; i + kTileRows <= m; i += kTileRows) {
    multiply_tile<kTileRows, packs>(k, a + i * a_row, a_row, a_column, b, b_row, add, c + i * c_row, c_row, last);
  }
  for (; i + 2 <= m; i += 2) {
    multiply_tile<2, packs>(k, a + i * a_row, a_row, a_column, b, b_row, add, c + i * c_row, c_row, last);
  }
  if (i < m) multiply_tile<1, packs>(k, a + i * a_row, a_row, a_column, b, b_row, add, c + i * c_row, c_row, last);
}

template <typename T>
void multiply(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, int64_t a_column, const T* b, int64_t b_row,
              bool add, T* c, int64_t c_row) {
  constexpr int64_t kDepth = 512;  // of a product in one go: a column of b then takes a tenth of the second-level cache
  if (k > kDepth) {
    multiply(m, n, kDepth, a, a_row, a_column, b, b_row, add, c, c_row);
    return multiply(m, n, k - kDepth, a + kDepth * a_column, a_row, a_column, b + kDepth * b_row, b_row, true, c,
                    c_row);
  }
  constexpr int lanes = Pack<T>::lanes, columns = kTilePacks * lanes;
  const auto column = [&]<int packs>(std::integral_constant<int, packs>, int64_t j, auto last) {
    multiply_column<packs>(m, k, a, a_row, a_column, b + j, b_row, add, c + j, c_row, last);
  };
  int64_t j = 0;
  for (; j + columns <= n; j += columns) {
    column(std::integral_constant<int, kTilePacks>{}, j, std::integral_constant<int, lanes>{});
  }
  const auto rest = static_cast<int>(n - j);
  if (rest > 2 * lanes) return column(std::integral_constant<int, 3>{}, j, rest - 2 * lanes);
  if (rest > lanes) return column(std::integral_constant<int, 2>{}, j, rest - lanes);
  if (rest > 0) column(std::integral_constant<int, 1>{}, j, rest);
}

}  // namespace orthoread::ORTHOREAD_ISA
