// 20 steps of a small MLP: 4 inputs, 8 tanh, 3 classes, a batch of 8.
#include "apps/compare/compare.h"
#include "core/parallel.h"
#include "ops/elementwise.h"
#include "ops/linear.h"
#include "ops/softmax.h"
#include "optim/sgd.h"

using namespace orthoread;

int main() {
  set_threads(1);
  Array<double> x({8, 4});
  Array<int64_t> targets({8});
  for (int64_t b = 0; b < 8; ++b) {
    const Array<double> row = numbers({4}, static_cast<double>(b));
    std::copy_n(row.data(), 4, x.edit() + 4 * b);
    targets.edit()[b] = b % 3;
  }
  auto w1 = Tensor<double>::leaf(numbers({8, 4}, 1)), b1 = Tensor<double>::leaf(Array<double>({8}));
  auto w2 = Tensor<double>::leaf(numbers({3, 8}, 2)), b2 = Tensor<double>::leaf(Array<double>({3}));
  const Parameters<double> parameters = {{"w1", &w1}, {"b1", &b1}, {"w2", &w2}, {"b2", &b2}};
  Sgd<double> optimizer(parameters, {});
  run_steps([&] {
    const Tensor<double> h = tanh(linear<double>(x, w1, b1));
    const Tensor<double> loss = cross_entropy(linear(h, w2, b2), targets);
    clear_grads(parameters);
    backward(loss);
    optimizer.step(0.5);
    return loss.value().item();
  });
}
