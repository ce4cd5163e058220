#include "core/real.h"

#include "tests/support.h"

using namespace orthoread;

namespace {

/// Checks that the slope of f at x + 1 e is its derivative, by central differences.
template <class F>
void check_slope(const char* name, F f, double x) {
  CAPTURE(name);
  CAPTURE(x);
  const double h = 1e-5;
  const Dual y = f(Dual(x, 1));
  CHECK(y.value == doctest::Approx(f(Dual(x)).value).epsilon(1e-15));
  CHECK(y.slope == doctest::Approx((f(Dual(x + h)).value - f(Dual(x - h)).value) / (2 * h)).epsilon(1e-8));
  CHECK(f(Dual(x, 0)).slope == 0);                                              // constants have slope 0
  CHECK(f(Dual(x, -3)).slope == doctest::Approx(-3 * y.slope).epsilon(1e-15));  // slopes are linear
}

}  // namespace

TEST_CASE("real: slopes of functions") {
  for (const double x : {0.3, 1.7, 4.0}) {
    check_slope(
        "exp", [](Dual a) { return exp(a); }, x);
    check_slope(
        "log", [](Dual a) { return log(a); }, x);
    check_slope(
        "log1p", [](Dual a) { return log1p(a); }, x);
    check_slope(
        "sqrt", [](Dual a) { return sqrt(a); }, x);
    check_slope(
        "tanh", [](Dual a) { return tanh(a); }, x);
    check_slope(
        "abs", [](Dual a) { return abs(a); }, x);
    check_slope(
        "abs", [](Dual a) { return abs(a); }, -x);
    check_slope(
        "exp", [](Dual a) { return exp(a); }, -x);
    check_slope(
        "tanh", [](Dual a) { return tanh(a); }, -x);
  }
  CHECK(abs(Dual(0, 5)).slope == 0);
}

TEST_CASE("real: slopes of arithmetic") {
  const Dual c(2.5);
  for (const double x : {-0.7, 1.3}) {
    check_slope(
        "a + c", [=](Dual a) { return a + c; }, x);
    check_slope(
        "c - a", [=](Dual a) { return c - a; }, x);
    check_slope(
        "a - c", [=](Dual a) { return a - c; }, x);
    check_slope(
        "-a", [](Dual a) { return -a; }, x);
    check_slope(
        "a c", [=](Dual a) { return a * c; }, x);
    check_slope(
        "a a", [](Dual a) { return a * a; }, x);
    check_slope(
        "a / c", [=](Dual a) { return a / c; }, x);
    check_slope(
        "c / a", [=](Dual a) { return c / a; }, x);
    check_slope(
        "compound",
        [=](Dual a) {
          Dual b = a;
          b += c;
          b *= a;
          b -= a;
          b /= c + a * a;
          return b;
        },
        x);
  }
}

TEST_CASE("real: comparisons use only the value") {
  CHECK(Dual(1, 5) == Dual(1, 6));
  CHECK(Dual(1, 9) < Dual(2, 0));
  CHECK(Dual(kNaN) != Dual(kNaN));
  CHECK(!(Dual(kNaN) < Dual(1)));
  CHECK(!(Dual(kNaN) >= Dual(1)));
}

TEST_CASE("real: finite means both parts") {
  CHECK(isfinite(Dual(1, 2)));
  CHECK(!isfinite(Dual(kNaN, 2)));
  CHECK(!isfinite(Dual(1, kInfinity)));
}

TEST_CASE("real: constants are rounded once") {
  CHECK(number<float>(0.1) == 0.1f);
  CHECK(number<double>(0.1) == 0.1);
  CHECK(number<Dual>(0.1).value == 0.1);
  CHECK(number<Dual>(0.1).slope == 0);
  CHECK(value_of(0.1f) == static_cast<double>(0.1f));
}
