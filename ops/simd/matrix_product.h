// The arguments of the kernel for matrix products (ops/simd/product.h).
#pragma once

#include "core/real.h"

#include <cstdint>

namespace orthoread {

/// Whether a kernel overwrites its output or adds to it.
enum class Store { replace, add };

/// c = a b, or c += a b: a is (m, k), b (k, n), c (m, n).
template <Real T>
struct MatrixProduct {
  int64_t m, n, k;
  const T* a;
  int64_t a_row, a_column;  // entry (i, l) of a is a[i a_row + l a_column]
  const T* b;
  int64_t b_row;  // row stride, at least n rounded up to whole registers, which are read
  T* c;
  int64_t c_row;
  Store store;
};

}  // namespace orthoread
