// Exercise 9: the gradient of a rank-one write.
//
// What the memory does for each token: y = f C + i k v^T, with C (d, e), numbers f and i, k (d) and v (e). So
// y[r, c] = f C[r, c] + i k[r] v[c]. `dy(r, c)` gives a number of dy. Add to dC, df, di, dk and dv, which begin as 0.
#include "apps/exercise/judge.h"

using namespace orthoread;

template <Real T>
Tensor<T> write(const Tensor<T>& C, const Tensor<T>& f, const Tensor<T>& i, const Tensor<T>& k, const Tensor<T>& v) {
  const int64_t d = C.dim(0), e = C.dim(1);
  const T *memory = C.value().data(), *key = k.value().data(), *value = v.value().data();
  Array<T> y({d, e});
  for (int64_t r = 0; r < d; ++r) {
    for (int64_t c = 0; c < e; ++c)
      y.edit()[r * e + c] = f.value().item() * memory[r * e + c] + i.value().item() * key[r] * value[c];
  }
  return record<T>("write", y, {C, f, i, k, v},
                   [d, e, C = C.value(), f = f.value(), i = i.value(), k = k.value(), v = v.value()](
                       const Array<T>& gradient, const Want&) -> Grads<T> {
                     Array<T> dC({d, e}), df(Shape{}), di(Shape{}), dk({d}), dv({e});
                     const auto dy = [&](int64_t r, int64_t c) { return gradient.data()[r * e + c]; };
                     for (int64_t r = 0; r < d; ++r) {
                       for (int64_t c = 0; c < e; ++c) {
                         // >>> your turn
                         dC.edit()[r * e + c] += dy(r, c) * f.item();
                         df.edit()[0] += dy(r, c) * C.data()[r * e + c];
                         // <<<
                       }
                     }
                     return {dC, df, di, dk, dv};
                   });
}

int main() {
  Judge judge;
  judge.gradient(
      "write",
      {Input(uniform_array({3, 2}, 1), "C"), Input(Array<double>({}, {0.9}), "f"), Input(Array<double>({}, {0.7}), "i"),
       Input(uniform_array({3}, 2), "k"), Input(uniform_array({2}, 3), "v")},
      [](const auto& x) { return write(x[0], x[1], x[2], x[3], x[4]); },
      "y[r, c] has the term i k[r] v[c]: its derivative in one of the three is the product of the other two.");
  return judge.verdict();
}
