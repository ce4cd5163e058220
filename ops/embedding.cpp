#include "ops/embedding.h"

#include "core/parallel.h"
#include "ops/instantiate.h"

namespace orthoread {

template <Real T>
Tensor<T> embedding(const Tensor<T>& weight, const Array<int64_t>& tokens) {
  check_shape(weight.value().rank() == 2, "embedding: weight must be (V, D), it is {}", weight.shape());
  const int64_t vocab = weight.dim(0), width = weight.dim(1);
  Shape shape = tokens.shape();
  shape.push_back(width);
  auto y = Array<T>::uninitialized(shape);
  T* out = y.edit();
  for (int64_t i = 0; i < tokens.size(); ++i) {
    const int64_t token = tokens.data()[i];
    check(0 <= token && token < vocab, "embedding: tokens go from 0 to {}; number {} is {}", vocab - 1, i, token);
  }
  parallel_for(tokens.size(), 512, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::copy_n(weight.value().data() + tokens.data()[i] * width, width, out + i * width);
  });
  return record<T>("embedding", y, {weight},
                   [tokens, shape = weight.shape()](const Array<T>& dy, const Want&) -> Grads<T> {
                     Array<T> dweight(shape);  // each row collects the gradients of its token, in the tokens' order
                     const int64_t row = shape[1];
                     T* to = dweight.edit();
                     parallel_for(row, 16, [&](int64_t begin, int64_t end) {  // each thread has columns of its own
                       for (int64_t i = 0; i < tokens.size(); ++i) {
                         const T* from = dy.data() + i * row;
                         T* sums = to + tokens.data()[i] * row;
                         for (int64_t j = begin; j < end; ++j) sums[j] += from[j];
                       }
                     });
                     return {dweight};
                   });
}

#define INSTANTIATE(T) template Tensor<T> embedding(const Tensor<T>&, const Array<int64_t>&);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
