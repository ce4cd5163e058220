#include "ops/reduce.h"

#include "ops/elementwise.h"
#include "ops/instantiate.h"
#include "ops/map.h"

#include <numeric>

namespace orthoread {
namespace {

/// An array seen as (outer, n, inner), to be reduced along n.
struct Block {
  int64_t outer, n, inner;
};

Block block_at(const Shape& shape, size_t first, size_t last) {  // axes [first, last) are reduced
  const auto at = [&](size_t i) { return shape.begin() + static_cast<std::ptrdiff_t>(i); };
  const auto product = [](auto begin, auto end) {
    return std::accumulate(begin, end, int64_t{1}, std::multiplies<>());
  };
  return {product(at(0), at(first)), product(at(first), at(last)), product(at(last), shape.end())};
}

std::vector<int> all_axes(const Shape& shape) {
  std::vector<int> axes(shape.size());
  std::iota(axes.begin(), axes.end(), 0);
  return axes;
}

/// Which axes are reduced, as flags.
std::vector<bool> reduced_axes(const char* op, const Shape& shape, const std::vector<int>& axes) {
  std::vector<bool> reduced(shape.size());
  for (const int axis : axes) {
    const auto i = static_cast<size_t>(normal_axis(op, axis, shape));
    check_shape(!reduced[i], "{}: axis {} is named twice in {}", op, axis, axes);
    reduced[i] = true;
  }
  return reduced;
}

Shape with_ones(Shape shape, const std::vector<bool>& reduced) {
  for (size_t i = 0; i < shape.size(); ++i) shape[i] = reduced[i] ? 1 : shape[i];
  return shape;
}

Shape without(const Shape& shape, const std::vector<bool>& reduced) {
  Shape kept;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!reduced[i]) kept.push_back(shape[i]);
  }
  return kept;
}

/// Applies `reduce_block` to each run of neighbouring reduced axes; the result has them with size 1.
template <Real T, class ReduceBlock>
Array<T> reduce(const Array<T>& x, const std::vector<bool>& reduced, ReduceBlock reduce_block) {
  Array<T> y = x;
  for (size_t last = reduced.size(); last > 0; --last) {
    if (!reduced[last - 1]) continue;
    size_t first = last - 1;
    while (first > 0 && reduced[first - 1]) --first;
    Shape shape = y.shape();
    const Block block = block_at(shape, first, last);
    std::fill(shape.begin() + static_cast<std::ptrdiff_t>(first), shape.begin() + static_cast<std::ptrdiff_t>(last), 1);
    y = reduce_block(y, block).reshaped(shape);
    last = first + 1;
  }
  return y;
}

/// The sum along n. Rows are added within chunks, then the chunks are added: many threads can share the work, and
/// rounding errors grow with the square root of the length instead of the length. Long rows are shared in pieces.
template <Real T>
Array<T> sum_block(const Array<T>& x, Block b) {
  constexpr int64_t kRows = 128;
  const int64_t chunks = std::max<int64_t>(1, (b.n + kRows - 1) / kRows), rows = std::clamp<int64_t>(b.n, 1, kRows);
  const int64_t piece = std::clamp<int64_t>(b.inner, 1, kElementwiseGrain / rows),
                pieces = (b.inner + piece - 1) / piece;
  Array<T> parts({b.outer, chunks, b.inner});
  T* out = parts.edit();
  parallel_for(b.outer * chunks * pieces, kElementwiseGrain / (rows * piece), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i / pieces, column = i % pieces * piece, columns = std::min(piece, b.inner - column);
      const int64_t first = c % chunks * kRows, last = std::min(first + kRows, b.n);
      const T* row = x.data() + (c / chunks * b.n + first) * b.inner + column;
      T* to = out + c * b.inner + column;
      for (int64_t r = first; r < last; ++r, row += b.inner) {
        for (int64_t j = 0; j < columns; ++j) to[j] += row[j];
      }
    }
  });
  return chunks == 1 ? parts : sum_block(parts, {b.outer, chunks, b.inner});
}

template <Real T>
Array<T> max_block(const Array<T>& x, Block b) {
  check_shape(b.n > 0, "max: there is no largest of no numbers; the shape is {}", x.shape());
  auto y = Array<T>::uninitialized({b.outer, b.inner});
  T* out = y.edit();
  parallel_for(b.outer * b.inner, kElementwiseGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* in = x.data() + i / b.inner * b.n * b.inner + i % b.inner;
      T largest = *in;
      for (int64_t r = 1; r < b.n && !std::isnan(value_of(largest)); ++r) {  // a NaN stays …
        in += b.inner;
        if (!(*in <= largest)) largest = *in;  // … and passes on
      }
      out[i] = largest;
    }
  });
  return y;
}

/// dy repeated along the reduced axes.
template <Real T>
Array<T> spread(const Array<T>& dy, const std::vector<bool>& reduced, const Shape& shape) {
  return zip("sum", dy.reshaped(with_ones(shape, reduced)), Array<T>(shape), [](T g, T) { return g; });
}

}  // namespace

template <Real T>
Array<T> sum(const Array<T>& x, const std::vector<int>& axes, bool keep_axes) {
  const std::vector<bool> reduced = reduced_axes("sum", x.shape(), axes);
  const Array<T> y = reduce(x, reduced, sum_block<T>);
  return keep_axes ? y : y.reshaped(without(x.shape(), reduced));
}

template <Real T>
Tensor<T> sum(const Tensor<T>& x, const std::vector<int>& axes, bool keep_axes) {
  return record<T>("sum", sum(x.value(), axes, keep_axes), {x},
                   [shape = x.shape(), axes](const Array<T>& dy, const Want&) -> Grads<T> {
                     return {spread(dy, reduced_axes("sum", shape, axes), shape)};
                   });
}

template <Real T>
Tensor<T> sum(const Tensor<T>& x) {
  return sum(x, all_axes(x.shape()));
}

template <Real T>
Tensor<T> mean(const Tensor<T>& x, const std::vector<int>& axes, bool keep_axes) {
  const Tensor<T> total = sum(x, axes, keep_axes);
  const auto n =
      static_cast<double>(x.value().size()) / static_cast<double>(std::max<int64_t>(1, total.value().size()));
  return scale(total, number<T>(1 / n));
}

template <Real T>
Tensor<T> mean(const Tensor<T>& x) {
  return mean(x, all_axes(x.shape()));
}

template <Real T>
Tensor<T> max(const Tensor<T>& x, const std::vector<int>& axes, bool keep_axes) {
  const std::vector<bool> reduced = reduced_axes("max", x.shape(), axes);
  const Array<T> kept = reduce(x.value(), reduced, max_block<T>);
  return record<T>(
      "max", keep_axes ? kept : kept.reshaped(without(x.shape(), reduced)), {x},
      [x = x.value(), kept, reduced, axes](const Array<T>& dy, const Want&) -> Grads<T> {
        const Array<T> is_max = zip("max", x, kept, [](T v, T largest) { return T(v == largest ? 1 : 0); });
        const Array<T> ties = sum(is_max, axes, true);
        const Array<T> share = zip("max", dy.reshaped(kept.shape()), ties, [](T g, T number) { return g / number; });
        return {mul(is_max, share)};
      });
}

template <Real T>
Tensor<T> max(const Tensor<T>& x) {
  return max(x, all_axes(x.shape()));
}

namespace {

enum class From { front, back };

/// Running sums along the middle axis.
template <Real T>
Array<T> running_sum(const Array<T>& x, Block b, From from) {
  Array<T> y = x;
  T* numbers = y.edit();
  const int64_t first = from == From::front ? 0 : b.n - 1, step = from == From::front ? b.inner : -b.inner;
  parallel_for(b.outer, 1, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      T* row = numbers + (o * b.n + first) * b.inner;
      for (int64_t r = 1; r < b.n; ++r, row += step) {
        for (int64_t i = 0; i < b.inner; ++i) row[step + i] += row[i];
      }
    }
  });
  return y;
}

}  // namespace

template <Real T>
Tensor<T> cumsum(const Tensor<T>& x, int axis) {
  const auto at = static_cast<size_t>(normal_axis("cumsum", axis, x.shape()));
  const Block block = block_at(x.shape(), at, at + 1);
  return record<T>("cumsum", running_sum(x.value(), block, From::front), {x},
                   [block](const Array<T>& dy, const Want&) -> Grads<T> {
                     return {running_sum(dy, block, From::back)};  // x_i is in every sum from the i-th on
                   });
}

template <Real T>
Tensor<T> frobenius_norm(const Tensor<T>& x) {
  check_shape(x.value().rank() >= 2, "frobenius_norm: needs at least two axes, the shape is {}", x.shape());
  const Array<T> squares = sum(mul(x.value(), x.value()), {-2, -1}, true);
  const Array<T> norm = map(squares, [](T s) { return s == T(0) ? T(0) : sqrt(s); });
  return record<T>("frobenius_norm", norm, {x},
                   [x = x.value(), norm](const Array<T>& dy, const Want&) -> Grads<T> {  // d|x|/dx = x / |x|
                     const Array<T> ratio =
                         zip("frobenius_norm", dy, norm, [](T g, T n) { return n == T(0) ? T(0) : g / n; });
                     return {mul(x, ratio)};
                   });
}

#define INSTANTIATE(T)                                                      \
  template Array<T> sum(const Array<T>&, const std::vector<int>&, bool);    \
  template Tensor<T> sum(const Tensor<T>&, const std::vector<int>&, bool);  \
  template Tensor<T> sum(const Tensor<T>&);                                 \
  template Tensor<T> mean(const Tensor<T>&, const std::vector<int>&, bool); \
  template Tensor<T> mean(const Tensor<T>&);                                \
  template Tensor<T> max(const Tensor<T>&, const std::vector<int>&, bool);  \
  template Tensor<T> max(const Tensor<T>&);                                 \
  template Tensor<T> cumsum(const Tensor<T>&, int);                         \
  template Tensor<T> frobenius_norm(const Tensor<T>&);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
