// Exercise 3: the gradient of softmax with cross-entropy.
//
// For each row of the logits (B, V), p = softmax(row). The loss is the mean over the B rows of -log p[target]. `p`
// holds the softmax, row after row, and p.data()[b * V + v] is one number of it. Fill in dlogits, of the same shape; dy
// is the gradient of the loss, one number.
#include "apps/exercise/judge.h"
#include "ops/elementwise.h"
#include "ops/softmax.h"

using namespace orthoread;

template <Real T>
Tensor<T> cross_entropy_of(const Tensor<T>& logits, const std::vector<int64_t>& targets) {
  const Array<T> p = exp(log_softmax(Tensor<T>(logits.value()))).value();
  const int64_t B = logits.dim(0), V = logits.dim(1);
  T loss = T(0);
  for (int64_t b = 0; b < B; ++b) loss -= log(p.data()[b * V + targets[static_cast<size_t>(b)]]);
  const T n = number<T>(static_cast<double>(B));
  return record<T>("cross_entropy_of", Array<T>({}, {loss / n}), {logits},
                   [p, B, V, n, targets](const Array<T>& dy, const Want&) -> Grads<T> {
                     Array<T> dlogits({B, V});
                     T* to = dlogits.edit();
                     for (int64_t b = 0; b < B; ++b) {
                       for (int64_t v = 0; v < V; ++v) {
                         const bool target = v == targets[static_cast<size_t>(b)];
                         // >>> your turn
                         to[b * V + v] = target ? -dy.item() / n : T(0);
                         // <<<
                       }
                     }
                     return {dlogits};
                   });
}

int main() {
  Judge judge;
  judge.gradient(
      "cross_entropy_of", {Input(uniform_array({3, 4}, 1), "logits")},
      [](const auto& x) {
        return cross_entropy_of(x[0], {0, 3, 1});
      },
      "Every logit has a part in the sum under the softmax, not only the target's.");
  return judge.verdict();
}
