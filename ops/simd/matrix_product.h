// What the kernel of matrix products (ops/simd/product.h) is told.
#pragma once

#include "core/real.h"

#include <cstdint>

namespace orthoread {

/// Whether a kernel sets its result or adds to what is there.
enum class Store { replace, add };

/// c = a b, or c += a b: a is (m, k), b (k, n), c (m, n).
template <Real T>
struct MatrixProduct {
  int64_t m, n, k;
  const T* a;
  int64_t a_row, a_column;  // a's number (i, l) is a[i a_row + l a_column]
  const T* b;
  int64_t b_row;  // from row to row, at least padded(n): whole registers are read (ops/rows/chunks.h)
  T* c;
  int64_t c_row;
  Store store;
};

}  // namespace orthoread
