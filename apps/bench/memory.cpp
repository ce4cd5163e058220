#include "apps/bench/memory.h"

#include "core/random.h"
#include "ops/layout.h"

#include <algorithm>
#include <cmath>
#include <tuple>
#include <vector>

namespace orthoread {

template <Real T>
MemoryInputs<T> memory_inputs(const MemorySize& size, bool worst_case) {
  RandomStream random(7);
  const int64_t row = size.heads * size.width;
  const auto normal = [&](double deviation) {
    auto x = Array<T>::uninitialized({size.batch, size.tokens, row});
    T* to = x.edit();
    std::generate_n(to, x.size(), [&] { return static_cast<T>(deviation * random.normal()); });
    if (worst_case) {  // the second token is the first, scaled and turned by 90 degrees, (a, b) to (-b, a),
      const T shorter = static_cast<T>(0.85);  // in key and value: the eigenvalues have the ratio 1 to 0.85^4
      for (int64_t i = 1; i < row && 2 * row <= x.size(); i += 2)
        std::tie(to[row + i - 1], to[row + i]) = std::pair(-shorter * to[i], shorter * to[i - 1]);
      for (int64_t i = 2 * row; i < x.size(); ++i) to[i] = to[i - 2 * row];
    }
    return x;
  };
  const double root = std::sqrt(static_cast<double>(size.width));
  Array<T> query = normal(1), key = normal(1 / root), value = normal(1);
  Array<T> input_gate({size.batch, size.tokens, size.heads}), log_forget = input_gate;
  T *input_to = input_gate.edit(), *forget_to = log_forget.edit();
  for (int64_t i = 0; i < input_gate.size(); ++i) {
    const double between =
        static_cast<double>(i % size.heads) / static_cast<double>(std::max<int64_t>(1, size.heads - 1));
    input_to[i] = static_cast<T>(0.1 * random.normal());
    forget_to[i] = static_cast<T>(-std::log1p(std::exp(-(3 + 3 * between))));  // log sigmoid
  }
  const auto leaf = [](const Array<T>& x) { return Tensor<T>::leaf(x); };
  return {leaf(query), leaf(key), leaf(value), leaf(input_gate), leaf(log_forget)};
}

/// Reads the first tokens of the first sequence.
template <Real T>
SeriesTerms series_terms(const MemoryRead& read, const MemorySize& size, const MemoryInputs<T>& inputs) {
  const auto first = [&](const Tensor<T>& x) {
    return slice<T>(slice<T>(x.value(), 0, 0, 1), 1, 0, std::min<int64_t>(size.tokens, 1024));
  };
  return mlstm_series_terms<T>(
      {first(inputs.query), first(inputs.key), first(inputs.value), first(inputs.input_gate), first(inputs.log_forget)},
      read);
}

/// A multiply-add is two operations. In backward nothing counts that forward has computed, and of a series only O(d^2).
/// Bounding the eigenvalues and deflation are not counted. In units of d^2:
///   all     C = f C + i k v^T 3, C^T q 2;                   dC = f dC + q dy^T 3, <dC, C> 2, dC v, dC^T k, C dy 2 each
///   NS      u = C^T k 2;                                    dC += k du^T 2, C du 2
///   k >= 1  A = f^2 A + p v^T + v p^T 5,                    dA = f^2 dA + dG 2, dA v, dA u, <dA, A>, <dG, G> 2 each,
///           N - 1 products with S 2 each;                   N - 1 products with S and outer products 2 each
/// Without a series (ops/memory/narrow.h): X_0 3, the last step 6;  the last step 12, the norm 4,
///   and each of k - 1 steps  X^T X d, X G 2 d;              X^T dX, dX G and X P 2 d each
MemoryFlops memory_flops(const MemoryRead& read, int64_t width, double terms) {
  MemoryFlops flops = {5, 11};
  if (read.orthogonalized) flops = {7, 15};
  if (read.orthogonalized && read.steps > 0 && terms == 0) {
    const auto steps = static_cast<double>(width * (read.steps - 1));
    flops = {14 + 3 * steps, 27 + 6 * steps};
  } else if (read.orthogonalized && read.steps > 0) {
    flops = {12 + 2 * (terms - 1), 25 + 4 * (terms - 1)};
  }
  const auto entries = static_cast<double>(width * width);
  return {flops.forward * entries, flops.backward * entries};
}

template <Real T>
double step_flops(const RecallModelConfig& model, int64_t tokens, int64_t batch_size) {
  int64_t weights = 0;
  RecallModel<T> shapes(model, RandomStream(0));
  for (const auto& [name, tensor] : shapes.parameters())
    if (name != "embedding.weight" && tensor->value().shape().size() >= 2) weights += tensor->value().size();
  const MemorySize memory = {1, tokens, model.heads, model.inner() / model.heads};
  const double terms = series_terms(model.read, memory, memory_inputs<T>(memory, false)).mean;
  const double a_token = 6 * static_cast<double>(weights) +
                         static_cast<double>(model.heads) * memory_flops(model.read, memory.width, terms).both();
  return static_cast<double>(batch_size * tokens) * a_token;
}

#define INSTANTIATE(T)                                                                             \
  template MemoryInputs<T> memory_inputs<T>(const MemorySize&, bool);                              \
  template SeriesTerms series_terms(const MemoryRead&, const MemorySize&, const MemoryInputs<T>&); \
  template double step_flops<T>(const RecallModelConfig&, int64_t, int64_t);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace orthoread
