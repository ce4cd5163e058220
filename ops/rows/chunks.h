// How an op goes through rows of features. Threads share the rows in parts; each part is cut into chunks that stay in
// the cache while the stages of the op, such as a normalisation and a product, pass over them. Private to the ops.
#pragma once

#include "core/array.h"
#include "core/parallel.h"

namespace orthoread {

constexpr int64_t kCachedRows = 128;  // that stay in the second-level cache
constexpr int64_t kSummedRows = 512;  // over which one thread sums the gradient of a weight, in order

/// The length of a row of n numbers, rounded up to whole vector registers of any instruction set and kind of number.
inline int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

/// body(row, count) for the chunks of the rows from `begin` to `end`.
template <class Body>
void each_chunk(int64_t begin, int64_t end, Body body) {
  for (int64_t row = begin; row < end; row += kCachedRows) body(row, std::min(kCachedRows, end - row));
}

/// The gradient of a weight, which is a sum over rows. Each part of the rows has a sum of its own, so that no two
/// threads add to one. The sum over the first axis, in order, is the gradient.
template <Real T>
class PartSums {
 public:
  PartSums() = default;  // of a weight that needs no gradient
  PartSums(int64_t rows, Shape shape, int64_t rows_of_part = kSummedRows)
      : rows_of_part_(rows_of_part), size_(count(shape)) {
    shape.insert(shape.begin(), std::max<int64_t>(1, (rows + rows_of_part - 1) / rows_of_part));
    sums_ = Array<T>(shape);
    to_ = sums_.edit();
  }
  PartSums(PartSums&&) noexcept = default;  // but no copy: it would write to sums that are this one's
  PartSums& operator=(PartSums&&) noexcept = default;

  const Array<T>& sums() const { return sums_; }
  bool wanted() const { return to_ != nullptr; }
  /// The sum of the part that `row` is in.
  T* of(int64_t row) const { return wanted() ? to_ + row / rows_of_part_ * size_ : nullptr; }

 private:
  Array<T> sums_;
  int64_t rows_of_part_ = 1, size_ = 0;
  T* to_ = nullptr;
};

/// y (rows, n) with each row the same.
template <Real T>
void repeat_row(int64_t rows, int64_t n, const T* row, T* y) {
  for (int64_t i = 0; i < rows; ++i) std::copy_n(row, n, y + i * n);
}

/// sums += each row of n numbers.
template <Real T>
void add_rows(int64_t rows, int64_t n, const T* x, T* sums) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < n; ++i) sums[i] += x[row * n + i];
  }
}

}  // namespace orthoread
