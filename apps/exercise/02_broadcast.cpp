// Exercise 2: the gradient of a sum that broadcasts.
//
// y = x + row: x (2, 3), row (3) -> (2, 3). The row is added to each row of x. On Arrays there are
// add(x, y), mul(x, y), scale(x, c) and sum(x, {axis, ...}).
#include "apps/exercise/judge.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"

using namespace orthoread;

template <Real T>
Tensor<T> add_row(const Tensor<T>& x, const Tensor<T>& row) {
  return record<T>("add_row", add(x.value(), row.value()), {x, row}, [](const Array<T>& dy, const Want&) -> Grads<T> {
    // >>> your turn
    return {dy, dy};
    // <<<
  });
}

int main() {
  Judge judge;
  judge.gradient(
      "add_row", {Input(uniform_array({2, 3}, 1), "x"), Input(uniform_array({3}, 2), "row")},
      [](const auto& x) { return add_row(x[0], x[1]); },
      "Each number of the row was used twice. What arrives from several uses adds up.");
  return judge.verdict();
}
