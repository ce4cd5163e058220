// 20 steps on the inputs of an mLSTM's memory, read plainly: one head of width 4, 8 tokens, the loss sum(h^2).
#include "ops/mlstm.h"
#include "apps/compare/compare.h"
#include "core/parallel.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"
#include "optim/sgd.h"

using namespace orthoread;

int main() {
  set_threads(1);
  auto q = Tensor<double>::leaf(numbers({1, 8, 4}, 1)), k = Tensor<double>::leaf(numbers({1, 8, 4}, 2));
  auto v = Tensor<double>::leaf(numbers({1, 8, 4}, 3)), i = Tensor<double>::leaf(numbers({1, 8, 1}, 4));
  auto f = Tensor<double>::leaf(numbers({1, 8, 1}, 5));
  const Parameters<double> parameters = {{"q", &q}, {"k", &k}, {"v", &v}, {"i", &i}, {"f", &f}};
  Sgd<double> optimizer(parameters, {});
  run_steps([&] {
    const Tensor<double> h = mlstm(q, k, v, i, log_sigmoid(f), MemoryRead::raw());
    const Tensor<double> loss = sum(h * h);
    clear_grads(parameters);
    backward(loss);
    optimizer.step(0.1);
    return loss.value().item();
  });
}
