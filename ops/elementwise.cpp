#include "ops/elementwise.h"

#include "ops/instantiate.h"
#include "ops/map.h"

namespace orthoread {
namespace {

/// 1 / (1 + exp(-x)), from exp(-|x|) so that nothing overflows. The branch, unlike abs, has the right slope at x = 0.
template <Real T>
T logistic(T x) {
  const T e = exp(x >= T(0) ? -x : x);
  return (x >= T(0) ? T(1) : e) / (T(1) + e);
}

/// log(1 + exp(x)) = max(x, 0) + log(1 + exp(-|x|)). The branch keeps the slope of a Dual exact at x = 0.
template <Real T>
T log1p_exp(T x) {
  return x >= T(0) ? x + log1p(exp(-x)) : log1p(exp(x));
}

/// y = f(x) with dx = dy f'(x, y).
template <Real T, class F, class Derivative>
Tensor<T> unary(const char* op, const Tensor<T>& x, F f, Derivative derivative) {
  Array<T> y = map(x.value(), f);
  return record<T>(op, y, {x}, [x = x.value(), y, derivative](const Array<T>& dy, const Want&) -> Grads<T> {
    Array<T> dx = Array<T>::uninitialized(x.shape());
    T* out = dx.edit();
    const T *g = dy.data(), *in = x.data(), *result = y.data();
    parallel_for(x.size(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) out[i] = g[i] * derivative(in[i], result[i]);
    });
    return {dx};
  });
}

}  // namespace

template <Real T>
Array<T> add(const Array<T>& a, const Array<T>& b) {
  return zip("add", a, b, [](T x, T y) { return x + y; });
}

template <Real T>
Array<T> mul(const Array<T>& a, const Array<T>& b) {
  return zip("mul", a, b, [](T x, T y) { return x * y; });
}

template <Real T>
Array<T> scale(const Array<T>& x, T c) {
  return map(x, [c](T v) { return c * v; });
}

template <Real T>
Tensor<T> add(const Tensor<T>& a, const Tensor<T>& b) {
  return record<T>("add", add(a.value(), b.value()), {a, b},
                   [a = a.shape(), b = b.shape()](const Array<T>& dy, const Want& want) -> Grads<T> {
                     return {want[0] ? sum_to(dy, a) : Array<T>(), want[1] ? sum_to(dy, b) : Array<T>()};
                   });
}

template <Real T>
Tensor<T> sub(const Tensor<T>& a, const Tensor<T>& b) {
  return record<T>("sub", zip("sub", a.value(), b.value(), [](T x, T y) { return x - y; }), {a, b},
                   [a = a.shape(), b = b.shape()](const Array<T>& dy, const Want& want) -> Grads<T> {
                     return {want[0] ? sum_to(dy, a) : Array<T>(), want[1] ? scale(sum_to(dy, b), T(-1)) : Array<T>()};
                   });
}

template <Real T>
Tensor<T> mul(const Tensor<T>& a, const Tensor<T>& b) {
  return record<T>("mul", mul(a.value(), b.value()), {a, b},
                   [a = a.value(), b = b.value()](const Array<T>& dy, const Want& want) -> Grads<T> {
                     return {want[0] ? sum_to(mul(dy, b), a.shape()) : Array<T>(),
                             want[1] ? sum_to(mul(dy, a), b.shape()) : Array<T>()};
                   });
}

template <Real T>
Tensor<T> div(const Tensor<T>& a, const Tensor<T>& b) {
  Array<T> y = zip("div", a.value(), b.value(), [](T p, T q) { return p / q; });
  return record<T>("div", y, {a, b},
                   [a = a.shape(), b = b.value(), y](const Array<T>& dy, const Want& want) -> Grads<T> {
                     const Array<T> da = zip("div", dy, b, [](T g, T q) { return g / q; });  // d(a/b)/da = 1 / b
                     Grads<T> grads(2);
                     if (want[0]) grads[0] = sum_to(da, a);
                     if (want[1]) grads[1] = scale(sum_to(mul(da, y), b.shape()), T(-1));  // d(a/b)/db = -(a/b) / b
                     return grads;
                   });
}

template <Real T>
Tensor<T> maximum(const Tensor<T>& a, const Tensor<T>& b) {
  Array<T> y = zip("maximum", a.value(), b.value(), [](T p, T q) {
    return p >= q || std::isnan(value_of(p)) ? p : q;  // a NaN of either passes on
  });
  return record<T>("maximum", y, {a, b},
                   [a = a.value(), b = b.value()](const Array<T>& dy, const Want& want) -> Grads<T> {
                     const auto share = [](T p, T q) { return p > q ? T(1) : p == q ? T(0.5) : T(0); };
                     Grads<T> grads(2);
                     if (want[0]) grads[0] = sum_to(mul(dy, zip("maximum", a, b, share)), a.shape());
                     if (want[1]) grads[1] = sum_to(mul(dy, zip("maximum", b, a, share)), b.shape());
                     return grads;
                   });
}

template <Real T>
Tensor<T> neg(const Tensor<T>& x) {
  return scale(x, T(-1));
}

template <Real T>
Tensor<T> exp(const Tensor<T>& x) {
  return unary(
      "exp", x, [](T v) { return exp(v); }, [](T, T y) { return y; });
}

template <Real T>
Tensor<T> log(const Tensor<T>& x) {
  return unary(
      "log", x, [](T v) { return log(v); }, [](T v, T) { return T(1) / v; });
}

template <Real T>
Tensor<T> sqrt(const Tensor<T>& x) {
  return unary(
      "sqrt", x, [](T v) { return sqrt(v); }, [](T, T y) { return T(0.5) / y; });
}

template <Real T>
Tensor<T> abs(const Tensor<T>& x) {
  return unary(
      "abs", x, [](T v) { return abs(v); }, [](T v, T) { return v > T(0)   ? T(1)
                                                                : v < T(0) ? T(-1)
                                                                           : T(0); });
}

template <Real T>
Tensor<T> tanh(const Tensor<T>& x) {
  return unary(
      "tanh", x, [](T v) { return tanh(v); }, [](T, T y) { return T(1) - y * y; });
}

template <Real T>
Tensor<T> sigmoid(const Tensor<T>& x) {
  return unary(
      "sigmoid", x, [](T v) { return logistic(v); }, [](T, T y) { return y * (T(1) - y); });
}

template <Real T>
Tensor<T> log_sigmoid(const Tensor<T>& x) {  // -softplus(-x)
  return unary(
      "log_sigmoid", x, [](T v) { return -log1p_exp(-v); }, [](T v, T) { return logistic(-v); });
}

template <Real T>
Tensor<T> silu(const Tensor<T>& x) {
  return unary(
      "silu", x, [](T v) { return v * logistic(v); },
      [](T v, T) {
        const T s = logistic(v);
        return s * (T(1) + v * (T(1) - s));
      });
}

template <Real T>
Tensor<T> softplus(const Tensor<T>& x) {
  return unary(
      "softplus", x, [](T v) { return log1p_exp(v); }, [](T v, T) { return logistic(v); });
}

template <Real T>
Tensor<T> scale(const Tensor<T>& x, T c) {
  return record<T>("scale", scale(x.value(), c), {x},
                   [c](const Array<T>& dy, const Want&) -> Grads<T> { return {scale(dy, c)}; });
}

template <Real T>
Tensor<T> shift(const Tensor<T>& x, T c) {
  return record<T>("shift", map(x.value(), [c](T v) { return v + c; }), {x},
                   [](const Array<T>& dy, const Want&) -> Grads<T> { return {dy}; });
}

template <Real T>
Tensor<T> clamp_min(const Tensor<T>& x, T lower) {
  return unary(
      "clamp_min", x, [lower](T v) { return v < lower ? lower : v; },
      [lower](T v, T) { return v < lower ? T(0) : T(1); });
}

#define INSTANTIATE(T)                                            \
  template Array<T> add(const Array<T>&, const Array<T>&);        \
  template Array<T> mul(const Array<T>&, const Array<T>&);        \
  template Array<T> scale(const Array<T>&, T);                    \
  template Tensor<T> add(const Tensor<T>&, const Tensor<T>&);     \
  template Tensor<T> sub(const Tensor<T>&, const Tensor<T>&);     \
  template Tensor<T> mul(const Tensor<T>&, const Tensor<T>&);     \
  template Tensor<T> div(const Tensor<T>&, const Tensor<T>&);     \
  template Tensor<T> maximum(const Tensor<T>&, const Tensor<T>&); \
  template Tensor<T> neg(const Tensor<T>&);                       \
  template Tensor<T> exp(const Tensor<T>&);                       \
  template Tensor<T> log(const Tensor<T>&);                       \
  template Tensor<T> sqrt(const Tensor<T>&);                      \
  template Tensor<T> abs(const Tensor<T>&);                       \
  template Tensor<T> tanh(const Tensor<T>&);                      \
  template Tensor<T> sigmoid(const Tensor<T>&);                   \
  template Tensor<T> log_sigmoid(const Tensor<T>&);               \
  template Tensor<T> silu(const Tensor<T>&);                      \
  template Tensor<T> softplus(const Tensor<T>&);                  \
  template Tensor<T> scale(const Tensor<T>&, T);                  \
  template Tensor<T> shift(const Tensor<T>&, T);                  \
  template Tensor<T> clamp_min(const Tensor<T>&, T);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
