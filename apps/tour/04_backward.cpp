// Stop 4: why newest first is enough.
#include "ops/elementwise.h"

using namespace orthoread;

// a + b, which says when backward comes by.
Tensor<double> plus(const char* name, const Tensor<double>& a, const Tensor<double>& b) {
  const auto says = [name](const Array<double>& dy, const Want&) -> Grads<double> {
    fmt::print("  visit {}: its gradient is {}, and each of its two inputs is sent {}\n", name, dy.item(), dy.item());
    return {dy, dy};
  };
  return record<double>("plus", add(a.value(), b.value()), {a, b}, says);
}

int main() {
  auto a = Tensor<double>::leaf(Array<double>({}, {3}));
  {
    fmt::print("b = a + a, c = b + b\n");
    const Tensor<double> b = plus("b", a, a);
    const Tensor<double> c = plus("c", b, b);
    fmt::print("  made in this order: a is node {}, b is node {}, c is node {}\n", a.edge().node->number,
               b.edge().node->number, c.edge().node->number);
    backward(c);
    fmt::print("  dc/da = {}\n", a.grad().item());
  }
  a.set_grad({});
  {
    fmt::print("\nb = a + a, c = b + b, d = c + b: b has users of different ages\n");
    const Tensor<double> b = plus("b", a, a);
    const Tensor<double> c = plus("c", b, b);
    backward(plus("d", c, b));
    fmt::print("  dd/da = {}\n", a.grad().item());
  }
  Tensor<double> x = a;
  a.set_grad({});
  for (int i = 0; i < 50; ++i) x = x + x;
  backward(x);
  fmt::print("\nfifty doublings: the gradient is {:.0f}, in 50 visits\n", a.grad().item());

  x = a;
  a.set_grad({});
  for (int i = 0; i < 100'000; ++i) x = x + a;
  backward(x);
  fmt::print("a chain of 100000 sums: the gradient is {}, and no stack overflows\n", a.grad().item());
}
