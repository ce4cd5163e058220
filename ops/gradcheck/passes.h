// What checks of gradients are made of: a function run forwards, on Dual numbers and backwards, and sums of its
// numbers.
#pragma once

#include "ops/gradcheck/gradient_check.h"
#include "ops/gradcheck/numbers.h"

#include <algorithm>

namespace orthoread {

using Arrays = std::vector<Array<double>>;

constexpr double kEps = std::numeric_limits<double>::epsilon();
constexpr auto kFloatEps = static_cast<double>(std::numeric_limits<float>::epsilon());

/// A sum and how large it could have been: the measure of its rounding error.
struct Sum {
  double total = 0, terms = 0;

  void add(double term) {
    total += term;
    terms += std::abs(term);
  }
};

/// <a, b>, of the numbers begin … end - 1.
inline Sum dot(const Array<double>& a, const Array<double>& b, int64_t begin, int64_t end) {
  Sum sum;
  for (int64_t i = begin; i < end; ++i) sum.add(a.data()[i] * b.data()[i]);
  return sum;
}
inline Sum dot(const Array<double>& a, const Array<double>& b) { return dot(a, b, 0, a.size()); }

/// error / unit; 0 without an error, even of nothing.
inline double relative(double error, double unit) { return error == 0 ? 0 : error / unit; }

inline Array<double> normal_array(const Shape& shape, double scale, RandomStream& random) {
  Array<double> x(shape);
  double* to = x.edit();
  for (int64_t i = 0; i < x.size(); ++i) to[i] = scale * random.normal();
  return x;
}

/// x + c u
inline Array<double> moved(const Array<double>& x, const Array<double>& u, double c) {
  Array<double> y = x;
  double* to = y.edit();
  for (int64_t i = 0; i < x.size(); ++i) to[i] += c * u.data()[i];
  return y;
}

inline std::vector<Array<Dual>> with_slopes(const Arrays& x, const Arrays& slopes) {
  std::vector<Array<Dual>> y;
  for (size_t i = 0; i < x.size(); ++i) {
    y.push_back(Array<Dual>::uninitialized(x[i].shape()));
    Dual* to = y.back().edit();
    for (int64_t k = 0; k < x[i].size(); ++k) to[k] = {x[i].data()[k], slopes[i].data()[k]};
  }
  return y;
}

inline Array<double> slopes_of(const Array<Dual>& x) {
  Array<double> y(x.shape());
  double* to = y.edit();
  for (int64_t i = 0; i < x.size(); ++i) to[i] = x.data()[i].slope;
  return y;
}

template <Real T>
std::vector<Array<T>> cast_all(const Arrays& x) {
  std::vector<Array<T>> y;
  for (const Array<double>& array : x) y.push_back(cast<T>(array));
  return y;
}

/// Several outputs as one, their numbers one after the other; one alone is left as it is.
template <Real T>
Tensor<T> joined(const std::vector<Tensor<T>>& ys) {
  if (ys.size() == 1) return ys[0];
  std::vector<T> numbers;
  std::vector<Shape> shapes;
  for (const Tensor<T>& y : ys) {
    numbers.insert(numbers.end(), y.value().data(), y.value().data() + y.value().size());
    shapes.push_back(y.shape());
  }
  const auto size = static_cast<int64_t>(numbers.size());
  return record<T>("outputs", Array<T>({size}, numbers), ys, [shapes](const Array<T>& dy, const Want&) {
    Grads<T> dys;
    const T* from = dy.data();
    for (const Shape& shape : shapes) {
      dys.push_back(Array<T>::uninitialized(shape));
      std::copy_n(from, dys.back().size(), dys.back().edit());
      from += dys.back().size();
    }
    return dys;
  });
}

/// f and the gradient of <v, f>; zeros for what backward left undefined.
template <Real T>
struct Pass {
  Array<T> y;  // the outputs, joined
  std::vector<Array<T>> grads;

  Pass(const Function<T>& f, const std::vector<Array<T>>& x, const Array<T>& v, const Want& want)
      : Pass([&](const std::vector<Tensor<T>>& inputs) { return joined(f(inputs)); }, x, v, want) {}
  Pass(const Function<T>& f, const std::vector<Array<T>>& x, const Array<T>& v) : Pass(f, x, v, Want(x.size(), true)) {}

  /// The same, `result` making one tensor of the inputs.
  template <class Result>
  requires std::same_as < std::invoke_result_t < Result, const std::vector<Tensor<T>>
  & >, Tensor < T >> Pass(const Result& result, const std::vector<Array<T>>& x, const Array<T>& v, const Want& want) {
    std::vector<Tensor<T>> inputs;
    for (size_t i = 0; i < x.size(); ++i) inputs.push_back(want[i] ? Tensor<T>::leaf(x[i]) : Tensor<T>(x[i]));
    const Tensor<T> of_all = result(inputs);
    if (of_all.needs_grad()) backward(of_all, v);
    y = of_all.value();
    for (size_t i = 0; i < x.size(); ++i) {
      grads.push_back(want[i] && inputs[i].grad().defined() ? inputs[i].grad() : Array<T>(x[i].shape()));
    }
  }
};

inline Arrays drawn(const std::vector<Input>& inputs, RandomStream& random) {
  Arrays x;
  for (const Input& input : inputs) {
    x.push_back(input.given.defined() ? input.given : uniform_array(input.shape, random.bits(), input.low, input.high));
  }
  return x;
}

inline std::string title(const std::vector<Input>& inputs, size_t i) {
  return inputs[i].name.empty() ? fmt::format("input {}", i) : inputs[i].name;
}

/// x with every number larger or smaller by `eps` of it.
Arrays rounded(const Arrays& x, double eps, RandomStream& random);

/// How far the gradients and, last, the output move if every input and the cotangent is rounded, by `eps` of each
/// number up or down: the most of a few random roundings.
std::vector<double> moves_by_rounding(const Function<double>& f, const Arrays& x, const Array<double>& v,
                                      const Array<double>& y, const Arrays& grads, double eps, RandomStream& random);

/// What errors of gradients are relative to: the largest entry, or, where the gradient cancels out, a size of what it
/// cancels from, so that rounding errors alone are no failure. That size is seen where the inputs are rounded
/// differently: what moves by `noise` came of numbers near noise / eps. It is never taken for more than a tenth of the
/// largest gradient that the function has, relative to the input's scale.
struct Units {
  std::vector<double> scale = {};  // of each input: its largest number
  double magnitude = 0;            // the largest entry of a gradient times its input's scale
  std::vector<double> noise = {};  // how far an entry of each gradient moves where the inputs are rounded

  Units() = default;
  Units(const Arrays& x, const Arrays& grads);

  double tenth(size_t i) const { return magnitude / scale[i] * 0.1; }
  double floor(size_t i) const { return std::min(tenth(i), noise[i] / kEps); }
  /// Of input i, where its gradient's largest entry is this.
  double of(size_t i, double largest) const { return std::max(largest, floor(i)); }
};

}  // namespace orthoread
