// Exercise 10: AdamW's bias correction.
//
// m and v are running means of the gradient and of its square, and both start at 0. After the first step m is
// (1 - beta1) g, a tenth of the gradient, though the mean of one gradient g is g. Correct both, for step t = 1, 2, ….
#include "apps/exercise/judge.h"
#include "optim/adamw.h"

using namespace orthoread;

struct State {
  double p, m = 0, v = 0;
};

void step(State& state, double g, int t, double lr) {
  constexpr double beta1 = 0.9, beta2 = 0.999, eps = 1e-8;
  state.m = beta1 * state.m + (1 - beta1) * g;
  state.v = beta2 * state.v + (1 - beta2) * g * g;
  double m = state.m, v = state.v;
  // >>> your turn: m and v, corrected
  static_cast<void>(t);
  // <<<
  state.p -= lr * m / (std::sqrt(v) + eps);
}

int main() {
  Judge judge;
  Tensor<double> parameter = Tensor<double>::leaf(Array<double>({}, {1.0}));
  AdamW<double> optimizer({{"p", &parameter}}, {.weight_decay = 0});
  State state{1.0};
  for (int t = 1; t <= 5; ++t) {
    const double gradient = std::cos(t);
    parameter.set_grad(Array<double>({}, {gradient}));
    optimizer.step(0.1);
    step(state, gradient, t, 0.1);
    const std::string advice =
        t == 1
            ? "After one step m is (1 - beta1) g and v is (1 - beta2) g^2, though the mean of one number is the number "
              "itself. Divide both by what is too much."
            : "Step 1 is right. After t steps with the same gradient g, m is (1 - beta1^t) g: does what you divide by "
              "come nearer to 1 with each step?";
    if (!judge.equal(fmt::format("the parameter after step {}", t), Array<double>({}, {state.p}), parameter.value(),
                     advice))
      break;
  }
  return judge.verdict();
}
