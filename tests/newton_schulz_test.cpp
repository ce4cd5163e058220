#include "ops/newton_schulz.h"

#include "ops/gemm.h"
#include "tests/gradient_check.h"
#include "tests/support.h"

using namespace orthoread;

namespace {

/// (n, n) with orthonormal columns: the reflection I - 2 v v^T / |v|^2.
Array<double> reflection(int64_t n, uint64_t seed) {
  const Array<double> v = uniform_array({n, 1}, seed, -1, 1);
  const double square = matmul(v, v, true, false).item();
  Array<double> q = matmul(v, v, false, true);
  for (int64_t i = 0; i < n * n; ++i) q.edit()[i] = (i % (n + 1) == 0 ? 1 : 0) - 2 * q.data()[i] / square;
  return q;
}

/// U diag(singular) V^T for fixed U (m, m) and V (n, n).
Array<double> matrix(int64_t m, int64_t n, const Numbers& singular) {
  Array<double> s({m, n});
  for (size_t i = 0; i < singular.size(); ++i) s.edit()[static_cast<int64_t>(i) * (n + 1)] = singular[i];
  return matmul(matmul(reflection(m, 1), s), reflection(n, 2), false, true);
}

/// The effect of newton_schulz on a singular value.
double polynomial(double s, int steps, const OddPolynomial& p) {
  for (int i = 0; i < steps; ++i) s = p.a * s + p.b * s * s * s + p.c * s * s * s * s * s;
  return s;
}

Numbers mapped(Numbers singular, int steps, const OddPolynomial& p) {
  double norm = 0;
  for (const double s : singular) norm = std::hypot(norm, s);
  for (double& s : singular) s = polynomial(s / norm, steps, p);
  return singular;
}

}  // namespace

TEST_CASE("newton_schulz: values as in PyTorch") {
  // x = torch.tensor([[1, 2], [3, 4], [5, -6.]], dtype=torch.float64); y = x / x.norm()
  // three times y = a * y + b * y @ y.T @ y + c * y @ y.T @ y @ y.T @ y
  const Tensor<double> x = constant({3, 2}, {1, 2, 3, 4, 5, -6});
  CHECK(relative_error(newton_schulz(x, 3).value(),
                       Array<double>({3, 2}, {0.2331812671329296, 0.3074986312813495, 0.6430588581154077,
                                              0.6432397342043896, 0.714026789397598, -0.6965561207105233})) <= 1e-15);
  CHECK(relative_error(newton_schulz(x, 3, 1e-6, kMuonQuintic).value(),
                       Array<double>({3, 2}, {0.16512355580151095, 0.26467671909889284, 0.4720567500697319,
                                              0.5410103968651867, 0.639106440329143, -0.7007744879574729})) <= 1e-14);
}

TEST_CASE("newton_schulz: maps the singular values and keeps the singular vectors") {
  const Numbers singular = {3, 1, 0.2, 1e-4, 0};
  for (const OddPolynomial& p : {kCubic, kMuonQuintic}) {
    for (const auto& [m, n] : {std::pair<int64_t, int64_t>{5, 5}, {7, 5}, {5, 8}}) {
      for (int steps = 0; steps <= 8; ++steps) {
        CAPTURE(steps);
        const Tensor<double> y = newton_schulz<double>(matrix(m, n, singular), steps, 1e-6, p);
        CHECK(relative_error(y.value(), matrix(m, n, mapped(singular, steps, p))) <= 1e-12);
      }
    }
  }
  // The article's figures: a singular value of .144 of the norm becomes .83 in five steps, one of .01 becomes .076.
  CHECK(polynomial(0.144, 5, kCubic) == doctest::Approx(0.83).epsilon(0.01));
  CHECK(polynomial(0.01, 5, kCubic) == doctest::Approx(0.076).epsilon(0.01));
}

TEST_CASE("newton_schulz: the result does not depend on the scale, above eps") {
  const Array<double> x = uniform_array({4, 3}, 1);
  const Array<double> y = newton_schulz<double>(x, 5).value();
  for (const double factor : {1e-5, 1e8}) {
    Array<double> scaled = x;
    for (int64_t i = 0; i < x.size(); ++i) scaled.edit()[i] *= factor;
    CHECK(relative_error(newton_schulz<double>(scaled, 5).value(), y) <= 1e-14);
  }
}

TEST_CASE("newton_schulz: the zero matrix stays zero, a tiny one is divided by eps") {
  const auto zero = leaf({2, 2}, {0, 0, 0, 0});
  const Tensor<double> y = newton_schulz(zero, 5);
  CHECK(values(y.value()) == Numbers{0, 0, 0, 0});
  backward(y, Array<double>({2, 2}, {1, 1, 1, 1}));
  CHECK(zero.grad().data()[0] ==
        doctest::Approx(1e6 * std::pow(1.5, 5)).epsilon(1e-14));  // 1 / eps, then a factor 3/2 per step
  const double s = polynomial(1e-9 / 1e-6, 3, kCubic);
  CHECK(newton_schulz(constant({1, 1}, {1e-9}), 3).value().item() == doctest::Approx(s).epsilon(1e-14));
}

TEST_CASE("newton_schulz: each matrix of a batch by itself") {
  const Array<double> x = uniform_array({2, 3, 2}, 1);
  const Array<double> y = newton_schulz<double>(x, 4).value();
  for (int64_t i = 0; i < 2; ++i) {
    const Array<double> part({3, 2}, Numbers(x.data() + i * 6, x.data() + (i + 1) * 6));
    CHECK(relative_error(newton_schulz<double>(part, 4).value(),
                         Array<double>({3, 2}, Numbers(y.data() + i * 6, y.data() + (i + 1) * 6))) <= 1e-15);
  }
}

TEST_CASE("newton_schulz: gradients") {
  for (const int steps : {0, 1, 3, 5, 8}) {
    for (const Shape& shape : {Shape{3, 3}, {2, 4}, {4, 2}, {2, 3, 3}}) {
      check_gradient(fmt::format("newton_schulz {} {}", steps, shape), {Input(shape, -2, 2)},
                     [steps](const auto& x) { return newton_schulz(x[0], steps); });
    }
  }
  for (const int steps : {1, 3, 5}) {
    for (const Shape& shape : {Shape{3, 3}, {2, 4}, {4, 2}}) {
      check_gradient(fmt::format("quintic newton_schulz {} {}", steps, shape), {Input(shape, -2, 2)},
                     [steps](const auto& x) { return newton_schulz(x[0], steps, 1e-6, kMuonQuintic); });
    }
  }
  check_gradient("newton_schulz of rank 1", {matrix(3, 3, {1, 0, 0})},
                 [](const auto& x) { return newton_schulz(x[0], 5); });
  check_gradient("newton_schulz of a small matrix", {Input({3, 3}, -2e-5, 2e-5)},
                 [](const auto& x) { return newton_schulz(x[0], 5); });
  check_gradient("newton_schulz under eps", {Input({3, 3}, -1e-7, 1e-7)},
                 [](const auto& x) { return newton_schulz(x[0], 5); });
}

TEST_CASE("newton_schulz: errors") {
  CHECK(thrown([] { newton_schulz(constant({3}, Numbers(3)), 1); }) ==
        "newton_schulz: needs at least two axes, the shape is [3]");
  CHECK(thrown([] {
          newton_schulz(constant({1, 1}, {1}), -1);
        }) == "newton_schulz: the number of steps cannot be negative, it is -1");
}
