#include "ops/broadcast.h"

#include "ops/instantiate.h"
#include "ops/reduce.h"

namespace orthoread {

BroadcastPlan::BroadcastPlan(const char* op, const Shape& a, const Shape& b) : shape_(broadcast(op, a, b)) {
  int64_t a_stride = 1, b_stride = 1;
  for (size_t back = 1; back <= shape_.size(); ++back) {
    const int64_t size = shape_[shape_.size() - back];
    const int64_t a_size = back <= a.size() ? a[a.size() - back] : 1;
    const int64_t b_size = back <= b.size() ? b[b.size() - back] : 1;
    const Axis axis = {size, a_size == 1 ? 0 : a_stride, b_size == 1 ? 0 : b_stride};
    a_stride *= a_size;
    b_stride *= b_size;
    if (size == 1) continue;
    const bool merges = !axes_.empty() && axis.a_stride == axes_.back().a_stride * axes_.back().size &&
                        axis.b_stride == axes_.back().b_stride * axes_.back().size;
    if (merges) {
      axes_.back().size *= size;
    } else {
      axes_.push_back(axis);
    }
  }
  if (!axes_.empty()) {
    run_ = axes_[0].size;
    a_step_ = axes_[0].a_stride;
    b_step_ = axes_[0].b_stride;
  }
}

BroadcastPlan::Offsets BroadcastPlan::offsets(int64_t i) const {
  Offsets at = {0, 0};
  for (const Axis& axis : axes_) {
    at.a += i % axis.size * axis.a_stride;
    at.b += i % axis.size * axis.b_stride;
    i /= axis.size;
  }
  return at;
}

template <Real T>
Array<T> sum_to(const Array<T>& x, const Shape& shape) {
  if (x.shape() == shape) return x;
  const size_t added = x.shape().size() - shape.size();  // axes in front that `shape` does not have
  std::vector<int> axes;
  for (size_t axis = 0; axis < x.shape().size(); ++axis) {
    if (axis < added || (shape[axis - added] == 1 && x.shape()[axis] != 1)) axes.push_back(static_cast<int>(axis));
  }
  return sum(x, axes).reshaped(shape);
}

#define INSTANTIATE(T) template Array<T> sum_to(const Array<T>&, const Shape&);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
