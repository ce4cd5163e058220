// The division of rows of features among threads and caches. Each thread takes parts of the rows. A part is processed
// in chunks that stay in the cache while all stages of an op, such as a normalisation and a product, work on them.
// Private to the ops.
#pragma once

#include "core/array.h"
#include "core/parallel.h"

namespace orthoread {

constexpr int64_t kCachedRows = 128;  // rows of a chunk, which stays in the L2 cache
constexpr int64_t kSummedRows = 512;  // rows of a part: one thread sums a weight's gradient over them, in order

/// n rounded up to whole vector registers, for every instruction set and type.
inline int64_t padded(int64_t n) { return (n + 15) / 16 * 16; }

/// Calls body(row, count) for each chunk of the rows [begin, end).
template <class Body>
void each_chunk(int64_t begin, int64_t end, Body body) {
  for (int64_t row = begin; row < end; row += kCachedRows) body(row, std::min(kCachedRows, end - row));
}

/// The gradient of a weight, a sum over rows. Each part of the rows has its own sum, so that threads never add to the
/// same one. The gradient is the sum over the first axis, in order.
template <Real T>
class PartSums {
 public:
  PartSums() = default;  // for a weight that needs no gradient
  PartSums(int64_t rows, Shape shape, int64_t rows_of_part = kSummedRows)
      : rows_of_part_(rows_of_part), size_(count(shape)) {
    shape.insert(shape.begin(), std::max<int64_t>(1, (rows + rows_of_part - 1) / rows_of_part));
    sums_ = Array<T>::uninitialized(shape);
    to_ = sums_.edit();
    parallel_for(sums_.size(), 1 << 14,
                 [to = to_](int64_t begin, int64_t end) { std::fill(to + begin, to + end, T(0)); });
  }
  PartSums(PartSums&&) noexcept = default;  // no copies: they would write to the same sums
  PartSums& operator=(PartSums&&) noexcept = default;

  const Array<T>& sums() const { return sums_; }
  bool wanted() const { return to_ != nullptr; }
  /// The sum for the part that contains `row`.
  T* of(int64_t row) const { return wanted() ? to_ + row / rows_of_part_ * size_ : nullptr; }

 private:
  Array<T> sums_;
  int64_t rows_of_part_ = 1, size_ = 0;
  T* to_ = nullptr;
};

/// Sets all rows of y (rows, n) to `row`.
template <Real T>
void repeat_row(int64_t rows, int64_t n, const T* row, T* y) {
  for (int64_t i = 0; i < rows; ++i) std::copy_n(row, n, y + i * n);
}

/// sums += the sum of all rows of x (rows, n).
template <Real T>
void add_rows(int64_t rows, int64_t n, const T* x, T* sums) {
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t i = 0; i < n; ++i) sums[i] += x[row * n + i];
  }
}

}  // namespace orthoread
