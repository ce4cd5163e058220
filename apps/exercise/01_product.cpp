// Exercise 1: the gradient of a product.
//
// y = a b, number by number. Forward is there. Backward gets dy, which says how much the loss changes when y does, and
// returns how much it changes when a does, and when b does. On Arrays there are add(x, y), mul(x, y) and scale(x, c).
#include "apps/exercise/judge.h"
#include "ops/elementwise.h"

using namespace orthoread;

template <Real T>
Tensor<T> product(const Tensor<T>& a, const Tensor<T>& b) {
  return record<T>("product", mul(a.value(), b.value()), {a, b},
                   [a = a.value(), b = b.value()](const Array<T>& dy, const Want&) -> Grads<T> {
                     // >>> your turn
                     return {dy, dy};
                     // <<<
                   });
}

int main() {
  Judge judge;
  judge.gradient(
      "product", {Input(uniform_array({2, 3}, 1), "a"), Input(uniform_array({2, 3}, 2), "b")},
      [](const auto& x) { return product(x[0], x[1]); },
      "If a grows by a little, by how much does a b grow? dy alone would be right for a sum.");
  return judge.verdict();
}
