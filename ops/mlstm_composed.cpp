#include "ops/mlstm_composed.h"

#include "ops/advice.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/instantiate.h"
#include "ops/layout.h"
#include "ops/newton_schulz.h"
#include "ops/reduce.h"

#include <limits>

namespace orthoread {

MemoryShape memory_shape(const char* op, const Shape& query, const Shape& key, const Shape& value,
                         const Shape& input_gate, const Shape& log_forget) {
  const bool fits = query.size() == 3 && key == query && value == query && input_gate.size() == 3 &&
                    log_forget == input_gate && input_gate[0] == query[0] && input_gate[1] == query[1] &&
                    input_gate[2] > 0 && query[2] > 0 && query[2] % input_gate[2] == 0;
  check_shape(fits,
              "{}: query, key and value must be (B, S, H d), the gates (B, S, H): query is {}, key {}, value {}, input "
              "gate {}, log forget gate {}{}",
              op, query, key, value, input_gate, log_forget, advice_on_batch_and_time(query, input_gate));
  return {query[0], query[1], input_gate[2], query[2] / input_gate[2]};
}

template <Real T>
Tensor<T> mlstm_composed(const Tensor<T>& query, const Tensor<T>& key, const Tensor<T>& value,
                         const Tensor<T>& input_gate, const Tensor<T>& log_forget, const MemoryRead& read) {
  const auto [B, S, H, d] =
      memory_shape("mlstm_composed", query.shape(), key.shape(), value.shape(), input_gate.shape(), log_forget.shape());
  if (query.value().size() == 0) return query;
  const std::vector<Tensor<T>> q = unstack(reshape(query, {B, S, H, 1, d}), 1);
  const std::vector<Tensor<T>> k = unstack(reshape(key, {B, S, H, 1, d}), 1);
  const std::vector<Tensor<T>> v = unstack(reshape(value, {B, S, H, 1, d}), 1);
  const std::vector<Tensor<T>> i = unstack(reshape(input_gate, {B, S, H, 1, 1}), 1);
  const std::vector<Tensor<T>> lf = unstack(reshape(log_forget, {B, S, H, 1, 1}), 1);

  // Below, exp(-m) overflows: h is all but 0, and its gradient must not be 0 times infinity.
  const T lowest = -number<T>(std::floor(std::log(value_of(std::numeric_limits<Precision<T>>::max()))));

  std::vector<Tensor<T>> h;
  Tensor<T> C = Array<T>({B, H, d, d}), n = Array<T>({B, H, 1, d}), m = Array<T>({B, H, 1, 1});
  for (size_t t = 0; t < q.size(); ++t) {
    const bool from_minus_infinity = t == 0 && !read.orthogonalized;  // then nothing is there to forget
    const Tensor<T> decayed = lf[t] + m;
    m = from_minus_infinity ? i[t] : maximum(decayed, i[t]);
    const Tensor<T> input = exp(i[t] - m);
    C = input * matmul(k[t], v[t], true, false) + (t == 0 ? C : exp(decayed - m) * C);
    n = input * k[t] + (t == 0 ? n : exp(decayed - m) * n);

    const Tensor<T> plain = matmul(q[t], C);
    Tensor<T> numerator = plain;
    if (read.orthogonalized) {
      numerator = matmul(q[t], newton_schulz(C, read.steps, kMemoryEps));
      if (read.alpha != 1)
        numerator = scale(numerator, number<T>(read.alpha)) + scale(plain, number<T>(1 - read.alpha));
    }
    const Tensor<T> qn = matmul(q[t], n, false, true);
    const Tensor<T> least = exp(neg(clamp_min(m, lowest)));
    h.push_back(numerator / shift(maximum(abs(qn), least), number<T>(kMemoryEps)));
  }
  return reshape(stack(h, 1), {B, S, H * d});
}

#define INSTANTIATE(T)                                                                                      \
  template Tensor<T> mlstm_composed(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, \
                                    const Tensor<T>&, const MemoryRead&);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
