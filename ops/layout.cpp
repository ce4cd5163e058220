#include "ops/layout.h"

#include "ops/instantiate.h"
#include "ops/map.h"

#include <numeric>

namespace orthoread {
namespace {

size_t product(const Shape& shape, size_t first, size_t last) {
  size_t n = 1;
  for (size_t i = first; i < last; ++i) n *= static_cast<size_t>(shape[i]);
  return n;
}

/// Parts of the given sizes along an axis.
template <Real T>
std::vector<Array<T>> cut(const Array<T>& x, size_t axis, const std::vector<int64_t>& sizes) {
  const auto outer = static_cast<int64_t>(product(x.shape(), 0, axis));
  const auto inner = static_cast<int64_t>(product(x.shape(), axis + 1, x.shape().size()));
  const int64_t row = x.shape()[axis] * inner;
  std::vector<Array<T>> parts;
  int64_t first = 0;
  for (const int64_t size : sizes) {
    Shape shape = x.shape();
    shape[axis] = size;
    auto part = Array<T>::uninitialized(shape);
    const int64_t run = size * inner;
    const T* from = x.data() + first * inner;
    T* to = part.edit();
    for (int64_t o = 0; o < outer; ++o) std::copy_n(from + o * row, run, to + o * run);
    parts.push_back(std::move(part));
    first += size;
  }
  return parts;
}

/// x's shape without one axis, or with one of size 1 put in: same numbers.
Shape without_axis(Shape shape, size_t axis) {
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
  return shape;
}
Shape with_axis(Shape shape, size_t axis) {
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(axis), 1);
  return shape;
}

}  // namespace

template <Real T>
Tensor<T> reshape(const Tensor<T>& x, Shape shape) {
  const auto unknown = std::find(shape.begin(), shape.end(), -1);
  if (unknown != shape.end()) {
    *unknown = 1;
    const int64_t known = count(shape);
    check_shape(known > 0 && x.value().size() % known == 0,
                "reshape: no size in place of -1 fits: {} has {} numbers, and the other sizes make {}", x.shape(),
                x.value().size(), known);
    *unknown = x.value().size() / known;
  }
  return record<T>("reshape", x.value().reshaped(std::move(shape)), {x},
                   [shape = x.shape()](const Array<T>& dy, const Want&) -> Grads<T> { return {dy.reshaped(shape)}; });
}

template <Real T>
Array<T> permute(const Array<T>& x, const std::vector<int>& order) {
  const size_t rank = x.shape().size();
  std::vector<int> sorted = order;
  std::sort(sorted.begin(), sorted.end());
  std::vector<int> every(rank);
  std::iota(every.begin(), every.end(), 0);
  check_shape(sorted == every, "permute: the order {} must name each axis of {} once", order, x.shape());

  Shape shape(rank);
  std::vector<int64_t> step(rank);  // how far x's numbers are apart along each axis of the result
  for (size_t i = 0; i < rank; ++i) {
    const auto axis = static_cast<size_t>(order[i]);
    shape[i] = x.shape()[axis];
    step[i] = static_cast<int64_t>(product(x.shape(), axis + 1, rank));
  }
  auto y = Array<T>::uninitialized(shape);
  if (rank == 0 || y.size() == 0) return x.reshaped(shape);
  T* out = y.edit();
  const int64_t run = shape.back(), run_step = step.back();
  parallel_for(y.size() / run, std::max<int64_t>(1, kElementwiseGrain / run), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const T* from = x.data();
      int64_t rest = r;
      for (size_t i = rank - 1; i-- > 0; rest /= shape[i]) from += rest % shape[i] * step[i];
      T* to = out + r * run;
      for (int64_t i = 0; i < run; ++i) to[i] = from[i * run_step];
    }
  });
  return y;
}

template <Real T>
Tensor<T> permute(const Tensor<T>& x, const std::vector<int>& order) {
  return record<T>("permute", permute(x.value(), order), {x}, [order](const Array<T>& dy, const Want&) -> Grads<T> {
    std::vector<int> inverse(order.size());
    for (size_t i = 0; i < order.size(); ++i) inverse[static_cast<size_t>(order[i])] = static_cast<int>(i);
    return {permute(dy, inverse)};
  });
}

template <Real T>
Tensor<T> slice(const Tensor<T>& x, int axis, int64_t begin, int64_t end) {
  const int64_t n = x.dim(axis);
  check_shape(0 <= begin && begin <= end && end <= n, "slice: the range {} to {} is outside axis {} of {}", begin, end,
              axis, x.shape());
  return split(x, axis, {begin, end - begin, n - end})[1];
}

template <Real T>
Array<T> concat(const std::vector<Array<T>>& parts, int axis) {
  check_shape(!parts.empty(), "concat: needs at least one part");
  Shape shape = parts[0].shape();
  const auto at = static_cast<size_t>(normal_axis("concat", axis, shape));
  shape[at] = 0;
  for (const Array<T>& part : parts) {
    check_shape(part.shape().size() == shape.size() && without_axis(part.shape(), at) == without_axis(shape, at),
                "concat: parts may differ along axis {} only: {} and {}", axis, parts[0].shape(), part.shape());
    shape[at] += part.shape()[at];
  }
  const auto outer = static_cast<int64_t>(product(shape, 0, at));
  auto y = Array<T>::uninitialized(shape);
  const int64_t row = outer == 0 ? 0 : y.size() / outer;
  T* to = y.edit();
  for (const Array<T>& part : parts) {
    const int64_t run = outer == 0 ? 0 : part.size() / outer;
    for (int64_t o = 0; o < outer; ++o) std::copy_n(part.data() + o * run, run, to + o * row);
    to += run;
  }
  return y;
}

template <Real T>
Tensor<T> concat(const std::vector<Tensor<T>>& parts, int axis) {
  std::vector<Array<T>> values;
  for (const Tensor<T>& part : parts) values.push_back(part.value());
  Array<T> y = concat(values, axis);
  const auto at = static_cast<size_t>(normal_axis("concat", axis, y.shape()));
  std::vector<int64_t> sizes;
  for (const Array<T>& value : values) sizes.push_back(value.shape()[at]);
  return record<T>("concat", std::move(y), parts,
                   [at, sizes](const Array<T>& dy, const Want&) -> Grads<T> { return cut(dy, at, sizes); });
}

template <Real T>
std::vector<Tensor<T>> split(const Tensor<T>& x, int axis, const std::vector<int64_t>& sizes) {
  const auto at = static_cast<size_t>(normal_axis("split", axis, x.shape()));
  const bool fits = std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size >= 0; }) &&
                    std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) == x.shape()[at];
  check_shape(fits, "split: the sizes {} must add up to axis {} of {}", sizes, axis, x.shape());
  return record_many<T>("split", cut(x.value(), at, sizes), {x},
                        [shape = x.shape(), at, sizes](const std::vector<Array<T>>& dys, const Want&) -> Grads<T> {
                          std::vector<Array<T>> parts = dys;
                          for (size_t i = 0; i < parts.size(); ++i) {
                            if (parts[i].defined()) continue;  // a part nobody used
                            Shape part = shape;
                            part[at] = sizes[i];
                            parts[i] = Array<T>(part);
                          }
                          return {concat(parts, static_cast<int>(at))};
                        });
}

template <Real T>
Tensor<T> stack(const std::vector<Tensor<T>>& parts, int axis) {
  check_shape(!parts.empty(), "stack: needs at least one part");
  const Shape& shape = parts[0].shape();
  const auto at = static_cast<size_t>(normal_axis("stack", axis, with_axis(shape, 0)));
  std::vector<Tensor<T>> columns;
  for (const Tensor<T>& part : parts) {
    check_shape(part.shape() == shape, "stack: all parts must have one shape: {} and {}", shape, part.shape());
    columns.push_back(reshape(part, with_axis(shape, at)));
  }
  return concat(columns, static_cast<int>(at));
}

template <Real T>
std::vector<Tensor<T>> unstack(const Tensor<T>& x, int axis) {
  const auto at = static_cast<size_t>(normal_axis("unstack", axis, x.shape()));
  std::vector<Tensor<T>> parts =
      split(x, static_cast<int>(at), std::vector<int64_t>(static_cast<size_t>(x.shape()[at]), 1));
  for (Tensor<T>& part : parts) part = reshape(part, without_axis(x.shape(), at));
  return parts;
}

#define INSTANTIATE(T)                                                                       \
  template Tensor<T> reshape(const Tensor<T>&, Shape);                                       \
  template Array<T> permute(const Array<T>&, const std::vector<int>&);                       \
  template Tensor<T> permute(const Tensor<T>&, const std::vector<int>&);                     \
  template Tensor<T> slice(const Tensor<T>&, int, int64_t, int64_t);                         \
  template Array<T> concat(const std::vector<Array<T>>&, int);                               \
  template Tensor<T> concat(const std::vector<Tensor<T>>&, int);                             \
  template std::vector<Tensor<T>> split(const Tensor<T>&, int, const std::vector<int64_t>&); \
  template Tensor<T> stack(const std::vector<Tensor<T>>&, int);                              \
  template std::vector<Tensor<T>> unstack(const Tensor<T>&, int);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
