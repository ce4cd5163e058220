// Broadcasting, and the sum that undoes it.
#pragma once

#include "core/array.h"

namespace orthoread {

/// The strides of two operands under their broadcast shape. Neighbouring axes are merged where both operands allow it,
/// so most pairs have one or two axes.
class BroadcastPlan {
 public:
  BroadcastPlan(const char* op, const Shape& a, const Shape& b);

  /// The shape of the result.
  const Shape& shape() const { return shape_; }
  /// The result in runs of `run` numbers, along which an operand advances by `a_step`, `b_step`: 0 or 1.
  int64_t run() const { return run_; }
  int64_t a_step() const { return a_step_; }
  int64_t b_step() const { return b_step_; }

  struct Offsets {
    int64_t a, b;
  };
  /// Where in the operands the i-th number of the result comes from.
  Offsets offsets(int64_t i) const;

 private:
  struct Axis {
    int64_t size, a_stride, b_stride;
  };
  Shape shape_;
  std::vector<Axis> axes_;  // merged, the last one first
  int64_t run_ = 1, a_step_ = 0, b_step_ = 0;
};

/// x summed over the axes along which `shape` was broadcast to x's shape: the backward of broadcasting.
template <Real T>
Array<T> sum_to(const Array<T>& x, const Shape& shape);

}  // namespace orthoread
