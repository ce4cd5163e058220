// Stop 11: why R^T q needs no R.
#include "core/random.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/newton_schulz.h"
#include "ops/reduce.h"

using namespace orthoread;

constexpr int64_t d = 48;
constexpr int kSteps = 5;

// g(x) = p(sqrt x) / sqrt x, p being kSteps steps s <- s (3 - s^2) / 2: NS(X) = X g(X^T X).
double g(double x) {
  double product = 1;
  for (int i = 0; i < kSteps; ++i) {
    const double half = (3 - x) / 2;
    product *= half, x *= half * half;
  }
  return product;
}

// Coefficients of g(x) = sum_j c_j T_j(2x - 1) on [0, 1], from its values at n Chebyshev points.
std::vector<double> chebyshev(int terms, int n = 512) {
  std::vector<double> c(static_cast<size_t>(terms));
  for (int i = 0; i < n; ++i) {
    const double theta = std::acos(-1.0) * (i + 0.5) / n;
    for (int j = 0; j < terms; ++j)
      c[static_cast<size_t>(j)] += (j == 0 ? 1.0 : 2.0) / n * g((std::cos(theta) + 1) / 2) * std::cos(j * theta);
  }
  return c;
}

int main() {
  RandomStream random(1);
  Array<double> C({d, d}), q({d, 1});
  for (int64_t i = 0; i < d * d; ++i) C.edit()[i] = random.normal();
  for (int64_t i = 0; i < d; ++i) q.edit()[i] = random.normal();
  const Array<double> R = newton_schulz(Tensor<double>(C), kSteps).value(), exact = matmul(R, q, true);

  const double norm = frobenius_norm(Tensor<double>(C)).value().item();
  const Array<double> X = scale(C, 1 / norm), G = matmul(X, X, true), y = matmul(X, q, true);
  const auto times_2G_minus_1 = [&](const Array<double>& b) { return add(scale(matmul(G, b), 2.0), scale(b, -1.0)); };
  fmt::print("five steps with R: {} multiplications\n", kSteps * 2 * d * d * d);
  for (const int terms : {5, 10, 15, 20, 25, 30, 40}) {
    const std::vector<double> c = chebyshev(terms);
    Array<double> b({d, 1}), before({d, 1});  // Clenshaw: b_j = c_j y + 2 (2G - 1) b_{j+1} - b_{j+2}
    for (size_t j = c.size(); j-- > 0;) {
      const Array<double> next = scale(times_2G_minus_1(b), j == 0 ? 1.0 : 2.0);
      before = std::exchange(b, add(add(scale(y, c[j]), next), scale(before, -1.0)));
    }
    const double error = frobenius_norm(Tensor<double>(add(b, scale(exact, -1.0)))).value().item();
    fmt::print("{:>2} terms: {:>6} multiplications, error {}\n", terms, terms * d * d,
               error < 1e-13 ? "below 1e-13" : fmt::format("{:.0e}", error));
  }
}
