// Shapes: how many numbers an array has along each axis. {} is a scalar.
#pragma once

#include "core/check.h"

#include <algorithm>
#include <cstdint>
#include <vector>

namespace orthoread {

using Shape = std::vector<int64_t>;  // sizes along the axes

/// How many numbers a shape holds; an error if a size is negative, or if their bytes would not fit into 64 bits.
inline int64_t count(const Shape& shape) {
  int64_t n = 1;
  for (const int64_t size : shape) {
    check_shape(size >= 0, "shape: sizes cannot be negative: {}", shape);
    check_shape(!(__builtin_mul_overflow(n, size, &n) || n >> 56 != 0), "shape: too many numbers: {}", shape);
  }
  return n;
}

/// The index of an axis counted from the front; negative axes count from the end.
inline int normal_axis(const char* op, int axis, const Shape& shape) {
  const int rank = static_cast<int>(shape.size());
  check_shape(-rank <= axis && axis < rank, "{}: axis {} is outside the {} axes of {}", op, axis, rank, shape);
  return axis < 0 ? axis + rank : axis;
}

/// The shape that two shapes broadcast to, NumPy's rule: aligned at the last axis, equal sizes or a 1.
inline Shape broadcast(const char* op, const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()));
  for (size_t i = 0; i < out.size(); ++i) {  // i counts from the last axis
    const int64_t m = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t n = i < b.size() ? b[b.size() - 1 - i] : 1;
    check_shape(m == n || m == 1 || n == 1, "{}: sizes must be equal or 1 to broadcast: a is {}, b is {}", op, a, b);
    out[out.size() - 1 - i] = m == 1 ? n : m;
  }
  return out;
}

}  // namespace orthoread
