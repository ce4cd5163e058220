#include "ops/mlstm.h"

#include "core/parallel.h"
#include "ops/instantiate.h"
#include "ops/mlstm_composed.h"

namespace orthoread {
namespace {

/// The read sees G through g, and g'(0) is nearly -2.25^k / 3.75 g(0): rounding errors of G's small eigenvalues are
/// amplified by the number of steps. To five steps float's 6e-8 leads to no larger errors than the composed form has.
/// From six steps on it does, so those reads, which only ablations ask for, are computed in double.
constexpr int kMostStepsInFloat = 5;

bool computed_in_wide(const MemoryRead& read) { return read.orthogonalized && read.steps > kMostStepsInFloat; }

template <Real To, Real From>
Array<To> converted(const Array<From>& x) {
  if constexpr (std::same_as<To, From>) {
    return x;
  } else {
    auto y = Array<To>::uninitialized(x.shape());
    std::transform(x.data(), x.data() + x.size(), y.edit(), [](From number) { return static_cast<To>(number); });
    return y;
  }
}

/// The inputs of a batch, and where its heads lie in them. Head b H + h, head h of sequence b, has columns h d to
/// (h + 1) d - 1 of the rows of (B, S, H d), and its gates are column h of (B, S, H).
template <Real T>
struct Heads {
  MemoryRead read;
  MemoryShape shape;
  Array<T> query, key, value, input_gate, log_forget;
  ReadMask mask;

  int64_t count() const { return shape.batch * shape.heads; }
  HeadShape head_shape() const { return {shape.tokens, shape.width, shape.heads * shape.width, shape.heads}; }
  int64_t gate_at(int64_t head) const { return head / shape.heads * shape.tokens * shape.heads + head % shape.heads; }
  int64_t feature_at(int64_t head) const { return gate_at(head) * shape.width; }

  HeadInputs<T> head(int64_t i) const {
    const int64_t feature = feature_at(i), gate = gate_at(i);
    return {query.data() + feature,   key.data() + feature,
            value.data() + feature,   input_gate.data() + gate,
            log_forget.data() + gate, mask.defined() ? mask.data() + i / shape.heads * shape.tokens : nullptr};
  }

  /// body(head, scratch) for every head, on several threads, with `scratch_size` numbers of scratch each.
  template <class Body>
  void for_each(int64_t scratch_size, Body body) const {
    parallel_for(count(), 1, [&](int64_t begin, int64_t end) {
      auto scratch = Array<T>::uninitialized({scratch_size});
      for (int64_t i = begin; i < end; ++i) body(i, scratch.edit());
    });
  }

  /// h, and the checkpoints that backward wants, a row for each head; without them, the rows are empty.
  struct Forward {
    Array<T> h, checkpoints;
  };
  Forward forward(bool with_checkpoints) const {
    const HeadShape head_sizes = head_shape();
    const int64_t size = with_checkpoints ? head_checkpoint_size<T>(read, head_sizes) : 0;
    Forward y = {Array<T>::uninitialized(query.shape()), Array<T>::uninitialized({count(), size})};
    T *h = y.h.edit(), *checkpoints = y.checkpoints.edit();
    for_each(head_forward_scratch_size<T>(read, head_sizes), [&](int64_t i, T* scratch) {
      head_forward<T>(read, head_sizes, head(i),
                      {.h = h + feature_at(i),
                       .checkpoints = with_checkpoints ? checkpoints + i * size : nullptr,
                       .scratch = scratch});
    });
    return y;
  }

  /// The gradients of the five inputs.
  Grads<T> backward(const Array<T>& dh, const Array<T>& checkpoints) const {
    const auto like = [](const Array<T>& x) { return Array<T>::uninitialized(x.shape()); };
    Grads<T> grads = {like(query), like(key), like(value), like(input_gate), like(log_forget)};
    T* to[5];
    for (size_t i = 0; i < 5; ++i) to[i] = grads[i].edit();
    const HeadShape head_sizes = head_shape();
    for_each(head_backward_scratch_size<T>(read, head_sizes), [&](int64_t i, T* scratch) {
      const int64_t feature = feature_at(i), gate = gate_at(i);
      head_backward<T>(read, head_sizes, head(i),
                       {.dh = dh.data() + feature,
                        .checkpoints = checkpoints.data() + i * checkpoints.dim(1),
                        .dx = {to[0] + feature, to[1] + feature, to[2] + feature, to[3] + gate, to[4] + gate},
                        .scratch = scratch});
    });
    return grads;
  }

  Array<T> stream(std::vector<HeadState<Wide<T>>>& state) const {
    auto h = Array<T>::uninitialized(query.shape());
    T* to = h.edit();
    const HeadShape head_sizes = head_shape();
    for_each(head_forward_scratch_size<T>(read, head_sizes), [&](int64_t i, T* scratch) {
      head_stream<T>(read, head_sizes, head(i), to + feature_at(i), state[static_cast<size_t>(i)], scratch);
    });
    return h;
  }
};

/// An error unless the shapes fit; inputs in the order of mlstm's arguments.
template <Real T>
MemoryShape checked_shape(const char* op, const std::vector<Array<T>>& inputs, const MemoryRead& read) {
  check(0 <= read.steps && read.steps <= kMostReadSteps, "mlstm: from 0 to {} Newton-Schulz steps are possible, not {}",
        kMostReadSteps, read.steps);
  return memory_shape(op, inputs[0].shape(), inputs[1].shape(), inputs[2].shape(), inputs[3].shape(),
                      inputs[4].shape());
}

template <Real C, Real T>
Heads<C> heads_of(const std::vector<Array<T>>& x, const MemoryRead& read, const MemoryShape& shape,
                  const ReadMask& mask = {}) {
  return {
      read, shape, converted<C>(x[0]), converted<C>(x[1]), converted<C>(x[2]), converted<C>(x[3]), converted<C>(x[4]),
      mask};
}

/// mlstm, computed in C.
template <Real C, Real T>
Tensor<T> mlstm_in(const std::vector<Tensor<T>>& inputs, const Heads<C>& heads) {
  const bool history =
      !NoGrad::active() && std::any_of(inputs.begin(), inputs.end(), [](const Tensor<T>& x) { return x.needs_grad(); });
  const auto [h, checkpoints] = heads.forward(history);
  return record<T>("mlstm", converted<T>(h), inputs,
                   [heads, checkpoints = checkpoints](const Array<T>& dh, const Want&) {
                     Grads<T> grads;
                     for (const Array<C>& x : heads.backward(converted<C>(dh), checkpoints)) {
                       grads.push_back(converted<T>(x));
                     }
                     return grads;
                   });
}

template <Real T>
std::vector<Array<T>> values_of(const std::vector<Tensor<T>>& inputs) {
  std::vector<Array<T>> values;
  for (const Tensor<T>& x : inputs) values.push_back(x.value());
  return values;
}

}  // namespace

template <Real T>
Tensor<T> mlstm(const Tensor<T>& query, const Tensor<T>& key, const Tensor<T>& value, const Tensor<T>& input_gate,
                const Tensor<T>& log_forget, const MemoryRead& read, const ReadMask& mask) {
  const std::vector<Tensor<T>> inputs = {query, key, value, input_gate, log_forget};
  const std::vector<Array<T>> values = values_of(inputs);
  const MemoryShape shape = checked_shape("mlstm", values, read);
  check_shape(!mask.defined() || mask.shape() == Shape{shape.batch, shape.tokens},
              "mlstm: the mask must be (B, S): the mask is {}, query is {}", mask.shape(), query.shape());
  return computed_in_wide(read) ? mlstm_in<Wide<T>>(inputs, heads_of<Wide<T>>(values, read, shape, mask))
                                : mlstm_in<T>(inputs, heads_of<T>(values, read, shape, mask));
}

template <Real T>
Array<T> mlstm_stream(const Array<T>& query, const Array<T>& key, const Array<T>& value, const Array<T>& input_gate,
                      const Array<T>& log_forget, const MemoryRead& read, MlstmState<T>& state) {
  const std::vector<Array<T>> inputs = {query, key, value, input_gate, log_forget};
  const MemoryShape shape = checked_shape("mlstm_stream", inputs, read);
  const auto heads = static_cast<size_t>(shape.batch * shape.heads);
  if (state.empty()) state.resize(heads);
  check_shape(state.size() == heads, "mlstm_stream: {} memories for {} heads of {}", state.size(), heads,
              query.shape());
  return computed_in_wide(read) ? converted<T>(heads_of<Wide<T>>(inputs, read, shape).stream(state))
                                : heads_of<T>(inputs, read, shape).stream(state);
}

template <Real T>
SeriesTerms mlstm_series_terms(const MemoryInputs<T>& x, const MemoryRead& read) {
  const std::vector<Array<T>> inputs = values_of<T>({x.query, x.key, x.value, x.input_gate, x.log_forget});
  const MemoryShape shape = checked_shape("mlstm_series_terms", inputs, read);
  const auto terms_of = [&]<Real C>(const Heads<C>& heads) {
    const Array<C> checkpoints = heads.forward(true).checkpoints;
    SeriesTerms terms;
    for (int64_t i = 0; i < heads.count(); ++i) {
      const SeriesTerms of_head =
          head_series_terms<C>(read, heads.head_shape(), checkpoints.data() + i * checkpoints.dim(1));
      terms = {terms.mean + of_head.mean / static_cast<double>(heads.count()), of_head.most};
    }
    return terms;
  };
  return computed_in_wide(read) ? terms_of(heads_of<Wide<T>>(inputs, read, shape))
                                : terms_of(heads_of<T>(inputs, read, shape));
}

#define INSTANTIATE(T)                                                                                                \
  template Tensor<T> mlstm(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>&,  \
                           const MemoryRead&, const ReadMask&);                                                       \
  template Array<T> mlstm_stream(const Array<T>&, const Array<T>&, const Array<T>&, const Array<T>&, const Array<T>&, \
                                 const MemoryRead&, MlstmState<T>&);                                                  \
  template SeriesTerms mlstm_series_terms(const MemoryInputs<T>&, const MemoryRead&);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
