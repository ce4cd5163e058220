// Stop 7: a fused op, one recurrence and its reverse.
#include "ops/elementwise.h"
#include "ops/layout.h"

using namespace orthoread;

// y_t = a y_{t-1} + x_t for x (S) and a decay a, from y_{-1} = 0: four nodes a token.
template <Real T>
Tensor<T> composed(const Tensor<T>& a, const Tensor<T>& x) {
  std::vector<Tensor<T>> y = unstack(x, 0);
  for (size_t t = 1; t < y.size(); ++t) y[t] = a * y[t - 1] + y[t];
  return stack(y, 0);
}

// The same as one node. Backward runs the recurrence the other way: g_t = dy_t + a g_{t+1} is all that y_t receives,
// from the outside and from y_{t+1}. Then dx_t = g_t and da = sum_t g_t y_{t-1}.
template <Real T>
Tensor<T> fused(const Tensor<T>& a, const Tensor<T>& x) {
  check_shape(a.value().rank() == 0 && x.value().rank() == 1, "fused: a must be [] and x (S): a is {}, x is {}",
              a.shape(), x.shape());
  const int64_t S = x.dim(0);
  const T decay = a.value().item();
  Array<T> y = x.value();
  for (int64_t t = 1; t < S; ++t) y.edit()[t] += decay * y.data()[t - 1];
  return record<T>("decaying_sum", y, {a, x}, [decay, y, S](const Array<T>& dy, const Want&) -> Grads<T> {
    Array<T> da(Shape{}), g = dy;
    for (int64_t t = S - 2; t >= 0; --t) g.edit()[t] += decay * g.data()[t + 1];
    for (int64_t t = 1; t < S; ++t) *da.edit() += g.data()[t] * y.data()[t - 1];
    return {da, g};
  });
}

int main() {
  constexpr int64_t kTokens = 1000;
  Array<double> numbers({kTokens}), dy({kTokens});
  for (int64_t t = 0; t < kTokens; ++t) {
    numbers.edit()[t] = static_cast<double>(t % 7) - 3;
    dy.edit()[t] = static_cast<double>(t % 5) - 2;
  }
  for (const bool one_node : {false, true}) {
    const auto a = Tensor<double>::leaf(Array<double>({}, {0.9})), x = Tensor<double>::leaf(numbers);
    const Tensor<double> y = one_node ? fused(a, x) : composed(a, x);
    const uint64_t nodes = y.edge().node->number - x.edge().node->number;
    backward(y, dy);
    fmt::print("{:<9} {:>5} nodes   y_999 {:.6f}   da {:.6f}   dx_0 {:.6f}\n", one_node ? "fused" : "composed", nodes,
               y.value().data()[kTokens - 1], a.grad().item(), x.grad().data()[0]);
  }
  const Tensor<Dual> a = Array<Dual>({}, {Dual(0.9, 1)}), x = Array<Dual>({3}, {1, 2, 3});
  fmt::print("\nthe slope of y_2 = a a x_0 + a x_1 + x_2 in a: {}\n", fused(a, x).value().data()[2].slope);
}
