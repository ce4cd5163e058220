// Stop 8: second order, a Hessian without writing one.
#include "ops/elementwise.h"
#include "ops/reduce.h"

using namespace orthoread;

template <Real T>
Tensor<T> log_sum_exp(const Tensor<T>& x) {
  return log(sum(exp(x)));
}

int main() {
  const std::vector<double> x = {0, 1, 2};
  fmt::print("the Hessian, a column for each backward pass on Dual:\n");
  std::vector<std::vector<double>> hessian(3);
  std::vector<double> gradient(3);
  for (size_t column = 0; column < 3; ++column) {
    Array<Dual> point({3}, {x[0], x[1], x[2]});
    point.edit()[column].slope = 1;  // the direction in which we look
    const auto leaf = Tensor<Dual>::leaf(point);
    backward(log_sum_exp(leaf));
    for (size_t row = 0; row < 3; ++row) {
      gradient[row] = leaf.grad().data()[row].value;
      hessian[row].push_back(leaf.grad().data()[row].slope);  // of d/dx_row along x_column
    }
  }
  for (const auto& row : hessian) fmt::print("  {:8.4f} {:8.4f} {:8.4f}\n", row[0], row[1], row[2]);

  fmt::print("on paper, with p the gradient: p_i (i = j) - p_i p_j\n");
  for (size_t i = 0; i < 3; ++i) {
    fmt::print(" ");
    for (size_t j = 0; j < 3; ++j) fmt::print(" {:8.4f}", (i == j ? gradient[i] : 0) - gradient[i] * gradient[j]);
    fmt::print("\n");
  }

  const auto leaf = Tensor<Dual>::leaf(Array<Dual>({3}, {Dual(0, 1), Dual(1, 1), Dual(2, 1)}));
  backward(log_sum_exp(leaf));
  double largest = 0;
  for (int64_t i = 0; i < 3; ++i) largest = std::max(largest, std::abs(leaf.grad().data()[i].slope));
  fmt::print("times (1, 1, 1), in one pass: 0, to within 1e-15: {}\n", largest < 1e-15);
}
