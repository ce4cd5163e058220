// Stop 2: numbers, and numbers with a history.
#include "apps/tour/show.h"
#include "ops/elementwise.h"
#include "ops/reduce.h"

using namespace orthoread;

int main() {
  const Array<double> a({2, 3}, {1, 2, 3, 4, 5, 6});
  Array<double> b = a;
  fmt::print("b shares a's numbers     {}\n", a.data() == b.data());
  b.edit()[0] = 100;
  fmt::print("until one is written     {}\n", a.data() == b.data());
  fmt::print("a is {}\nb is {}\n", show(a), show(b));

  const Tensor<double> constant = a;
  const auto x = Tensor<double>::leaf(a);
  const Tensor<double> y = x * x + constant;
  fmt::print("\nneeds a gradient:   constant {}, x {}, y {}\n", constant.needs_grad(), x.needs_grad(), y.needs_grad());
  fmt::print("y was made by       {}\n", y.edge().node->op);
  fmt::print("whose inputs are    {} and {}\n", y.edge().node->inputs[0].node->op,
             y.edge().node->inputs[1].node == nullptr ? "a constant" : "a leaf");

  fmt::print("\nx has a gradient    {}\n", x.grad().defined());
  backward(sum(y));
  fmt::print("after backward      {}\n", show(x.grad()));

  const NoGrad no_history;
  fmt::print("\nunder NoGrad, x * x needs a gradient: {}\n", (x * x).needs_grad());
}
