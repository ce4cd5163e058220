// What checks of gradients are made of: a function run forwards, on Dual numbers and backwards, and sums of its
// numbers.
#pragma once

#include "ops/check/gradient_check.h"
#include "ops/check/numbers.h"

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

/// f and the gradient of <v, f>; zeros for what backward left undefined.
template <Real T>
struct Pass {
  Array<T> y;
  std::vector<Array<T>> grads;

  Pass(const Function<T>& f, const std::vector<Array<T>>& x, const Array<T>& v, const Want& want) {
    std::vector<Tensor<T>> inputs;
    for (size_t i = 0; i < x.size(); ++i) inputs.push_back(want[i] ? Tensor<T>::leaf(x[i]) : Tensor<T>(x[i]));
    const Tensor<T> result = f(inputs);
    if (result.needs_grad()) backward(result, v);
    y = result.value();
    for (size_t i = 0; i < x.size(); ++i) {
      grads.push_back(want[i] && inputs[i].grad().defined() ? inputs[i].grad() : Array<T>(x[i].shape()));
    }
  }
  Pass(const Function<T>& f, const std::vector<Array<T>>& x, const Array<T>& v) : Pass(f, x, v, Want(x.size(), true)) {}
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

/// How far the gradients and, last, the output move if every input and the cotangent is rounded to float: the most of
/// a few random roundings.
std::vector<double> moves_by_rounding(const Function<double>& f, const Arrays& x, const Array<double>& v,
                                      const Array<double>& y, const Arrays& grads, RandomStream& random);

}  // namespace orthoread
