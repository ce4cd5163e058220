// Exercise 8: one Newton-Schulz step.
//
// X <- X (3 I - X^T X) / 2 takes each singular value s of X to s (3 - s^2) / 2. Write it with ops, and backward comes
// for nothing: matmul(a, b), with matmul(a, b, true, false) for a^T b; scale(x, c); a + b and a - b.
#include "apps/exercise/judge.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/newton_schulz.h"

using namespace orthoread;

template <Real T>
Tensor<T> step(const Tensor<T>& x) {
  // >>> your turn
  return x;
  // <<<
}

int main() {
  const std::string advice = "3 X - X (X^T X), and half of that. The identity need not be made.";
  Judge judge(advice);
  const auto applied = [](const Array<double>& x) { return step(Tensor<double>(x)).value(); };
  judge.equal("an orthogonal matrix stays as it is", applied(Array<double>({2, 2}, {0.6, -0.8, 0.8, 0.6})),
              Array<double>({2, 2}, {0.6, -0.8, 0.8, 0.6}), advice);
  judge.equal("singular values .6 and .2 become .792 and .296", applied(Array<double>({2, 2}, {0.6, 0, 0, 0.2})),
              Array<double>({2, 2}, {0.792, 0, 0, 0.296}), advice);
  const Array<double> x({2, 3}, {0.5, 0.1, -0.3, 0.5, 0.1, 0.6244997998398398});  // of norm 1
  judge.equal("a wide matrix", applied(x), newton_schulz(Tensor<double>(x), 1).value(), advice);
  judge.gradient(
      "step", {Input(uniform_array({3, 3}, 1), "X")}, [](const auto& y) { return step(y[0]); }, advice);
  return judge.verdict();
}
