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

/// error / unit; 0 if there is no error, even if the unit is 0.
inline double relative(double error, double unit) { return error == 0 ? 0 : error / unit; }

/// x + c u
inline Array<double> moved(const Array<double>& x, const Array<double>& u, double c) {
  Array<double> y = x;
  double* to = y.edit();
  for (int64_t i = 0; i < x.size(); ++i) to[i] += c * u.data()[i];
  return y;
}

/// The same of each array.
inline Arrays moved(const Arrays& x, const Arrays& u, double c) {
  Arrays y;
  for (size_t i = 0; i < x.size(); ++i) y.push_back(moved(x[i], u[i], c));
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

/// What makes one tensor of several.
template <class F, class T>
concept MakesTensor = requires(const F& f, const std::vector<Tensor<T>>& x) {
  { f(x) } -> std::same_as<Tensor<T>>;
};

/// f and the gradient of <v, f>; zeros for what backward left undefined.
template <Real T>
struct Pass {
  Array<T> y;  // the outputs, joined
  std::vector<Array<T>> grads;

  Pass(const Function<T>& f, const std::vector<Array<T>>& x, const Array<T>& v, const Want& want)
      : Pass([&](const std::vector<Tensor<T>>& inputs) { return joined(f(inputs)); }, x, v, want) {}
  Pass(const Function<T>& f, const std::vector<Array<T>>& x, const Array<T>& v) : Pass(f, x, v, Want(x.size(), true)) {}

  /// The same, `result` making one tensor of the inputs.
  template <MakesTensor<T> Result>
  Pass(const Result& result, const std::vector<Array<T>>& x, const Array<T>& v, const Want& want) {
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

/// The input's name: "input 0" and so on where it has none.
inline std::string title(const std::vector<Input>& inputs, size_t i) {
  return inputs[i].name.empty() ? fmt::format("input {}", i) : inputs[i].name;
}

}  // namespace orthoread
