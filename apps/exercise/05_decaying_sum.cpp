// Exercise 5: the gradient of a decaying sum.
//
// y_t = a y_{t-1} + x_t for x (S) and one number a, from y_{-1} = 0. `y` holds the results, `decay` is a.
// Fill in da, one number, and dx (S). Stop 7 of the tour is about it.
#include "apps/exercise/judge.h"

using namespace orthoread;

template <Real T>
Tensor<T> decaying_sum(const Tensor<T>& a, const Tensor<T>& x) {
  const int64_t S = x.dim(0);
  const T decay = a.value().item();
  Array<T> y = x.value();
  for (int64_t t = 1; t < S; ++t) y.edit()[t] += decay * y.data()[t - 1];
  return record<T>("decaying_sum", y, {a, x}, [decay, y, S](const Array<T>& dy, const Want&) -> Grads<T> {
    Array<T> da(Shape{}), dx = dy;
    // >>> your turn
    for (int64_t t = 1; t < S; ++t) *da.edit() += dy.data()[t] * y.data()[t - 1];
    // <<<
    return {da, dx};
  });
}

int main() {
  Judge judge;
  judge.gradient(
      "decaying_sum", {Input(Array<double>({}, {0.75}), "a"), Input(uniform_array({6}, 2), "x")},
      [](const auto& x) { return decaying_sum(x[0], x[1]); },
      "y_t is used twice: it is a result, and it is in y_{t+1}. What comes back from both adds up.");
  return judge.verdict();
}
