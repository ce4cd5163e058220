// Array: numbers without a history. A shape and a shared, contiguous, row-major buffer, copied when written.
#pragma once

#include "core/real.h"
#include "core/shape.h"

#include <algorithm>
#include <memory>
#include <memory_resource>
#include <utility>

namespace orthoread {

/// Copying an Array is cheap (the buffer is shared) and safe: edit() first gives the array a buffer of its own, so a
/// write is never seen through another Array. No op can spoil a value that is kept for backward.
template <class T>
class Array {  // T is a Real, or int64_t for tokens
 public:
  /// No array at all: defined() is false. As a gradient it stands for "none".
  Array() = default;
  /// Zeros.
  explicit Array(const Shape& shape) : Array(filled(shape, T())) {}
  /// The given values in row-major order.
  Array(const Shape& shape, const std::vector<T>& values) : Array(uninitialized(shape)) {
    check_shape(std::ssize(values) == size_, "array: {} values do not fill shape {}", values.size(), shape_);
    std::copy(values.begin(), values.end(), buffer_.get());
  }
  static Array filled(const Shape& shape, T value) {  // every number the same
    Array a = uninitialized(shape);
    std::fill_n(a.buffer_.get(), a.size_, value);
    return a;
  }
  /// For an op that writes every number of its result.
  static Array uninitialized(const Shape& shape) {
    Array a;
    a.size_ = count(shape);
    a.shape_ = shape;
    a.buffer_ = a.new_buffer();
    return a;
  }

  bool defined() const { return buffer_ != nullptr; }           // false of Array()
  const Shape& shape() const { return shape_; }                 // sizes along the axes
  int rank() const { return static_cast<int>(shape_.size()); }  // how many axes
  int64_t size() const { return size_; }                        // how many numbers
  /// The size along an axis; negative axes count from the end.
  int64_t dim(int axis) const { return shape_[static_cast<size_t>(normal_axis("dim", axis, shape_))]; }

  const T* data() const { return defined() ? buffer_.get() : no_numbers(); }  // the numbers, to read
  /// The numbers, to write. Separates a shared buffer first.
  T* edit() {
    if (buffer_.use_count() > 1) {
      const std::shared_ptr<T> shared = std::exchange(buffer_, new_buffer());
      std::copy_n(shared.get(), size_, buffer_.get());
    }
    return defined() ? buffer_.get() : no_numbers();
  }
  /// The only number of an array of size 1.
  T item() const {
    check_shape(size_ == 1 || !defined(), "item: needs exactly one number, the shape is {}", shape_);
    return *data();
  }
  /// The same numbers under another shape of the same size; shares the buffer.
  Array reshaped(const Shape& shape) const {
    check_shape(count(shape) == size_, "reshape: {} has {} numbers, {} would have {}", shape_, size_, shape,
                count(shape));
    Array a = *this;
    a.shape_ = shape;
    return a;
  }

 private:
  std::shared_ptr<T> new_buffer() const {  // content arbitrary
    static_assert(std::is_trivially_copyable_v<T>);
    const size_t bytes = static_cast<size_t>(size_) * sizeof(T), cache_line = 64;
    auto* source = std::pmr::get_default_resource();  // a program may set one that reuses addresses
    auto* memory = static_cast<T*>(source->allocate(bytes, cache_line));
    return {memory, [=](T* p) { source->deallocate(p, bytes, cache_line); }};
  }
  [[noreturn]] static T* no_numbers() {
    throw Error("array: it is undefined, without numbers; a leaf has a gradient once backward(loss) has reached it");
  }

  Shape shape_;
  int64_t size_ = 0;
  std::shared_ptr<T> buffer_;
};

}  // namespace orthoread
