// What a number is: float, double, or Dual. Every array and every op is a template over these three.
#pragma once

#include <cmath>
#include <compare>
#include <concepts>

namespace orthoread {

/// A value and its derivative along one direction: (a, a') stands for a + a' e with e^2 = 0, so that each function
/// obeys f(a + a' e) = f(a) + f'(a) a' e. Running a forward pass on Dual gives the exact directional derivative J u;
/// running a backward pass on Dual gives exact Hessian-vector products. Neither has a step size to choose.
struct Dual {
  double value = 0, slope = 0;  // a and a'

  constexpr Dual() = default;
  constexpr Dual(double v, double s = 0) : value(v), slope(s) {}  // implicit: a plain number is a constant

  constexpr Dual& operator+=(Dual b) { return *this = *this + b; }
  constexpr Dual& operator-=(Dual b) { return *this = *this - b; }
  constexpr Dual& operator*=(Dual b) { return *this = *this * b; }
  constexpr Dual& operator/=(Dual b) { return *this = *this / b; }

  friend constexpr Dual operator-(Dual a) { return {-a.value, -a.slope}; }
  friend constexpr Dual operator+(Dual a, Dual b) { return {a.value + b.value, a.slope + b.slope}; }
  friend constexpr Dual operator-(Dual a, Dual b) { return {a.value - b.value, a.slope - b.slope}; }
  friend constexpr Dual operator*(Dual a, Dual b) { return {a.value * b.value, a.slope * b.value + a.value * b.slope}; }
  friend constexpr Dual operator/(Dual a, Dual b) {
    const double quotient = a.value / b.value;
    return {quotient, (a.slope - quotient * b.slope) / b.value};
  }
  // Order looks at the value alone, so that a branch on Dual takes the path that a branch on double takes.
  friend constexpr bool operator==(Dual a, Dual b) { return a.value == b.value; }
  friend constexpr auto operator<=>(Dual a, Dual b) { return a.value <=> b.value; }
};

template <class T>
concept Real = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, Dual>;

/// The number without its derivative, as a double.
constexpr double value_of(float x) { return static_cast<double>(x); }
constexpr double value_of(double x) { return x; }
constexpr double value_of(Dual x) { return x.value; }

/// The floating-point type in which T computes its value.
template <Real T>
using Precision = std::conditional_t<std::same_as<T, float>, float, double>;

/// A constant as a T, rounded if T is float.
template <Real T>
constexpr T number(double x) {
  return T(static_cast<Precision<T>>(x));
}

using std::abs, std::exp, std::isfinite, std::log, std::log1p, std::sqrt, std::tanh;  // for float and double

inline Dual exp(Dual x) { return {std::exp(x.value), std::exp(x.value) * x.slope}; }           // exp' = exp
inline Dual log(Dual x) { return {std::log(x.value), x.slope / x.value}; }                     // log' x = 1 / x
inline Dual log1p(Dual x) { return {std::log1p(x.value), x.slope / (1 + x.value)}; }           // 1 / (1 + x)
inline Dual sqrt(Dual x) { return {std::sqrt(x.value), x.slope / (2 * std::sqrt(x.value))}; }  // 1 / (2 sqrt x)
/// The slope of |x| at 0 is 0, as in PyTorch.
inline Dual abs(Dual x) { return {std::abs(x.value), x.slope * (x.value > 0 ? 1 : x.value < 0 ? -1 : 0)}; }
inline Dual tanh(Dual x) {  // tanh' = 1 - tanh^2
  const double y = std::tanh(x.value);
  return {y, x.slope * (1 - y * y)};
}
inline bool isfinite(Dual x) { return std::isfinite(x.value) && std::isfinite(x.slope); }  // both are

}  // namespace orthoread
