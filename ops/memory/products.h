// Products of matrices of a head, of any sizes.
#pragma once

#include "ops/simd/product.h"
#include "ops/simd/transpose.h"

namespace orthoread::ORTHOREAD_ISA {

/// Terms of a product that are summed at a time, before these sums are added: where the terms have one sign, as with
/// keys that are alike, the rounding error of a sum grows with its length.
inline constexpr int64_t kSummedAtOnce = 64;

/// A matrix whose rows begin `row` numbers apart, and its columns `column`.
template <typename T>
struct Strided {
  T* first;
  int64_t row, column = 1;
};
/// A product's sizes: a is (m, k), b (k, n).
struct ProductSize {
  int64_t m, n, k;
};

/// c = a b or c += a b, as in MatrixProduct.
template <typename T>
ORTHOREAD_INLINE void product(ProductSize size, Strided<const T> a, RowMajor<const T> b, RowMajor<T> c,
                              Store how = Store::replace) {
  for (int64_t first = 0; size.m > 0 && first < size.k; first += kSummedAtOnce) {
    multiply(MatrixProduct<T>{.m = size.m,
                              .n = size.n,
                              .k = size.k - first < kSummedAtOnce ? size.k - first : kSummedAtOnce,
                              .a = a.first + first * a.column,
                              .a_row = a.row,
                              .a_column = a.column,
                              .b = b.first + first * b.row,
                              .b_row = b.row,
                              .c = c.first,
                              .c_row = c.row,
                              .store = first == 0 ? how : Store::add});
  }
}

/// to = x^T y or to += x^T y, d x d, where these are symmetric: the products on one side of the diagonal, in broad
/// rows, and what they are on the other. x and y have `terms` rows.
template <typename T>
void symmetric_product(int64_t d, int64_t terms, const T* x, const T* y, T* to, Store how) {
  constexpr int rows = 32;
  for (int64_t i = 0; i < d; i += rows) {
    const int64_t count = d - i < rows ? d - i : rows, rest = d - i - count;
    T* diagonal = to + i * d + i;
    product<T>({count, d - i, terms}, {x + i, 1, d}, {y + i, d}, {diagonal, d}, how);
    transpose<T>(static_cast<int>(count), static_cast<int>(rest), {diagonal + count, d}, {diagonal + count * d, d});
  }
}

}  // namespace orthoread::ORTHOREAD_ISA
