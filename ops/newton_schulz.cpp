#include "ops/newton_schulz.h"

#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/instantiate.h"
#include "ops/reduce.h"

namespace orthoread {

template <Real T>
Tensor<T> newton_schulz(const Tensor<T>& x, int steps, double eps, OddPolynomial step) {
  check_shape(x.value().rank() >= 2, "newton_schulz: needs at least two axes, the shape is {}", x.shape());
  check(steps >= 0, "newton_schulz: the number of steps cannot be negative, it is {}", steps);
  const bool wide = x.dim(-2) < x.dim(-1);  // then X X^T is the smaller of the two, and X G = (X X^T) X
  Tensor<T> y = x / clamp_min(frobenius_norm(x), number<T>(eps));
  for (int i = 0; i < steps; ++i) {
    const Tensor<T> gram = wide ? matmul(y, y, false, true) : matmul(y, y, true, false);
    Tensor<T> factor = scale(gram, number<T>(step.b));
    if (step.c != 0) factor = factor + scale(matmul(gram, gram), number<T>(step.c));
    y = scale(y, number<T>(step.a)) + (wide ? matmul(factor, y) : matmul(y, factor));
  }
  return y;
}

#define INSTANTIATE(T) template Tensor<T> newton_schulz(const Tensor<T>&, int, double, OddPolynomial);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
