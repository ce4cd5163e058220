// Stop 9: what Newton-Schulz does to singular values.
#include "ops/newton_schulz.h"

#include "ops/gemm.h"
#include "ops/reduce.h"

using namespace orthoread;

constexpr int64_t kWidth = 5;

// A reflection I - 2 w w^T / |w|^2, which is orthogonal.
Array<double> reflection(const std::vector<double>& w) {
  double squares = 0;
  for (const double x : w) squares += x * x;
  Array<double> q({kWidth, kWidth});
  for (size_t i = 0; i < w.size() * w.size(); ++i)
    q.edit()[i] = (i % w.size() == i / w.size() ? 1 : 0) - 2 * w[i / w.size()] * w[i % w.size()] / squares;
  return q;
}

int main() {
  const std::vector<double> singular_values = {0.8, 0.56, 0.2, 0.05, 0};
  const Array<double> u = reflection({1, 2, 3, 4, 5}), v = reflection({3, 1, 4, 1, 5});
  Array<double> s({kWidth, kWidth});
  for (int64_t i = 0; i < kWidth; ++i) s.edit()[i * kWidth + i] = singular_values[static_cast<size_t>(i)];
  const Array<double> x = matmul(matmul(u, s), v, false, true);  // X = U S V^T
  const double norm = frobenius_norm(Tensor<double>(x)).value().item();

  fmt::print("the norm of X is {:.4f}\n\nsteps   singular values                           gain at 0  1.5^steps\n",
             norm);
  for (int steps = 0; steps <= 6; ++steps) {
    const auto leaf = Tensor<double>::leaf(x);
    const Tensor<double> y = newton_schulz(leaf, steps);
    const Array<double> d = matmul(matmul(u, y.value(), true), v);  // U^T Y V: still diagonal
    fmt::print("{:>5} ", steps);
    for (int64_t i = 0; i < kWidth; ++i) fmt::print(" {:7.4f}", std::abs(d.data()[i * kWidth + i]));

    Array<double> corner({kWidth, kWidth});  // asks for the smallest singular value, whose vectors are the last ones
    corner.edit()[kWidth * kWidth - 1] = 1;
    backward(y, matmul(matmul(u, corner), v, false, true));
    const double gain = frobenius_norm(Tensor<double>(leaf.grad())).value().item() * norm;
    fmt::print("   {:9.6f}  {:9.6f}\n", gain, std::pow(1.5, steps));
  }
}
