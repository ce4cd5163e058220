// Stop 5: broadcasting, and its undoing.
#include "apps/tour/show.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"

using namespace orthoread;

int main() {
  const auto x = Tensor<double>::leaf(Array<double>({2, 3}, {1, 2, 3, 4, 5, 6}));
  const auto row = Tensor<double>::leaf(Array<double>({3}, {10, 20, 30}));
  const auto column = Tensor<double>::leaf(Array<double>({2, 1}, {100, 200}));
  const Tensor<double> y = x + row + column;
  fmt::print("x + row + column       {}\n", show(y.value()));

  const Array<double> dy({2, 3}, {1, 2, 4, 8, 16, 32});
  backward(y, dy);
  fmt::print("the gradient of y      {}\n", show(dy));
  fmt::print("the gradient of x      {}\n", show(x.grad()));
  fmt::print("the gradient of row    {}\n", show(row.grad()));
  fmt::print("the gradient of column {}\n", show(column.grad()));
  fmt::print("sums over axis 0       {}\n", show(sum(dy, {0})));
  fmt::print("sums over axis 1       {}\n", show(sum(dy, {1}, true)));

  try {
    x + Tensor<double>(Array<double>({2}, {100, 200}));
  } catch (const ShapeError& error) {
    fmt::print("\n{}\n", error.what());
  }
}
