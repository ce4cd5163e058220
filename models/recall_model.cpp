#include "models/recall_model.h"

#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/instantiate.h"
#include "ops/layout.h"
#include "ops/linear.h"
#include "ops/mlstm_composed.h"
#include "ops/norm_linear.h"

namespace orthoread {
namespace {

/// A leaf, filled in row-major order with numbers drawn in double, so that float and double models start alike.
template <Real T, class Draw>
Tensor<T> filled(Shape shape, Draw draw) {
  auto values = Array<T>::uninitialized(std::move(shape));
  T* to = values.edit();
  for (int64_t i = 0; i < values.size(); ++i) to[i] = number<T>(draw(i));
  return Tensor<T>::leaf(std::move(values));
}

template <Real T>
Tensor<T> constant(Shape shape, double value) {
  return filled<T>(std::move(shape), [value](int64_t) { return value; });
}

template <Real T>
Tensor<T> normal(Shape shape, double deviation, RandomStream& random) {
  return filled<T>(std::move(shape), [&](int64_t) { return deviation * random.normal(); });
}

/// Uniform on [-bound, bound).
template <Real T>
Tensor<T> uniform(Shape shape, double bound, RandomStream& random) {
  return filled<T>(std::move(shape), [&](int64_t) { return bound * (2 * random.uniform() - 1); });
}

/// The weights of norms are stored as their difference from 1.
template <Real T>
Tensor<T> one_plus(const Tensor<T>& weight) {
  return shift(weight, T(1));
}

}  // namespace

int64_t RecallModelConfig::inner() const {
  constexpr double kMultiple = 64;
  return static_cast<int64_t>(std::ceil(static_cast<double>(dim) * proj_factor / kMultiple) * kMultiple);
}

void RecallModelConfig::validate() const {
  constexpr int64_t kLargest = 1 << 20;
  const auto in_range = [&](const char* name, int64_t value) {
    check(1 <= value && value <= kLargest, "{}: from 1 to {} is allowed, not {}", name, kLargest, value);
  };
  in_range("vocab-size", vocab_size);
  in_range("dim", dim);
  in_range("heads", heads);
  in_range("qkv-block", qkv_block);
  in_range("conv-kernel", conv_kernel);
  check(proj_factor > 0 && proj_factor <= 64, "proj-factor: above 0 and up to 64 is allowed, not {}", proj_factor);
  check(inner() % heads == 0,
        "heads: must divide the inner width {} (dim {} times proj-factor {}, rounded up to a "
        "multiple of 64), {} does not",
        inner(), dim, proj_factor, heads);
  check(inner() % qkv_block == 0, "qkv-block: must divide the inner width {}, {} does not", inner(), qkv_block);
}

namespace {

const RecallModelConfig& valid(const RecallModelConfig& config) {
  config.validate();
  return config;
}

}  // namespace

template <Real T>
RecallModel<T>::RecallModel(const RecallModelConfig& config, RandomStream random)
    : config_(valid(config)),
      embedding_(normal<T>({config.vocab_size, config.dim}, 1, random)),
      norm_(constant<T>({config.dim}, 0)),
      // std sqrt(2 / (5 D)) ("small init") for input projections, 2 / (blocks sqrt(D)) for output projections, with one
      // block.
      proj_up_(normal<T>({2 * config.inner(), config.dim}, std::sqrt(0.4 / static_cast<double>(config.dim)), random)),
      conv_weight_(uniform<T>({config.inner(), 1, config.conv_kernel},
                              1 / std::sqrt(static_cast<double>(config.conv_kernel)), random)),
      conv_bias_(uniform<T>({config.inner()}, 1 / std::sqrt(static_cast<double>(config.conv_kernel)), random)),
      q_proj_(normal<T>({config.inner() / config.qkv_block, config.qkv_block, config.qkv_block},
                        std::sqrt(0.4 / static_cast<double>(config.dim)), random)),
      k_proj_(normal<T>(q_proj_.shape(), std::sqrt(0.4 / static_cast<double>(config.dim)), random)),
      v_proj_(normal<T>(q_proj_.shape(), std::sqrt(0.4 / static_cast<double>(config.dim)), random)),
      igate_weight_(constant<T>({config.heads, 3 * config.inner()}, 0)),
      igate_bias_(normal<T>({config.heads}, 0.1, random)),
      fgate_weight_(constant<T>({config.heads, 3 * config.inner()}, 0)),
      fgate_bias_(filled<T>({config.heads},  // evenly spaced from 3 to 6: forget gates from .953 to .998
                            [&](int64_t i) {
                              const auto last = static_cast<double>(std::max<int64_t>(1, config.heads - 1));
                              return 3 + 3 * static_cast<double>(i) / last;
                            })),
      outnorm_(constant<T>({config.inner()}, 0)),
      learnable_skip_(constant<T>({config.inner()}, 1)),
      proj_down_(normal<T>({config.dim, config.inner()}, 2 / std::sqrt(static_cast<double>(config.dim)), random)),
      post_norm_(constant<T>({config.dim}, 0)),
      head_weight_(uniform<T>({config.vocab_size, config.dim}, 1 / std::sqrt(static_cast<double>(config.dim)), random)),
      head_bias_(uniform<T>({config.vocab_size}, 1 / std::sqrt(static_cast<double>(config.dim)), random)) {}

template <Real T>
Parameters<T> RecallModel<T>::parameters() {
  return {{"embedding.weight", &embedding_},
          {"norm.weight", &norm_},
          {"layer.learnable_skip", &learnable_skip_},
          {"layer.proj_up.weight", &proj_up_},
          {"layer.q_proj.weight", &q_proj_},
          {"layer.k_proj.weight", &k_proj_},
          {"layer.v_proj.weight", &v_proj_},
          {"layer.conv1d.conv.weight", &conv_weight_},
          {"layer.conv1d.conv.bias", &conv_bias_},
          {"layer.mlstm_cell.igate.weight", &igate_weight_},
          {"layer.mlstm_cell.igate.bias", &igate_bias_},
          {"layer.mlstm_cell.fgate.weight", &fgate_weight_},
          {"layer.mlstm_cell.fgate.bias", &fgate_bias_},
          {"layer.mlstm_cell.outnorm.weight", &outnorm_},
          {"layer.proj_down.weight", &proj_down_},
          {"post_norm.weight", &post_norm_},
          {"head.weight", &head_weight_},
          {"head.bias", &head_bias_}};
}

template <Real T>
Tensor<T> RecallModel<T>::convolution(const Tensor<T>& a, RecallState<T>* state) const {
  if (state == nullptr) return causal_conv_silu(a, conv_weight_, conv_bias_);
  const int64_t past = config_.conv_kernel - 1, tokens = a.dim(1);
  if (!state->window.defined()) state->window = Array<T>({a.dim(0), past, a.dim(2)});
  const Tensor<T> window = concat<T>({state->window, a}, 1);
  state->window = slice(window, 1, tokens, tokens + past).value();
  return slice(causal_conv_silu(window, conv_weight_, conv_bias_), 1, past, past + tokens);
}

template <Real T>
Tensor<T> RecallModel<T>::embed(const Array<int64_t>& tokens) const {
  check_shape(tokens.rank() == 2, "recall model: tokens must be (B, S), they are {}", tokens.shape());
  return embedding(embedding_, tokens);
}

template <Real T>
std::vector<Tensor<T>> RecallModel<T>::project_up(const Tensor<T>& x) const {
  return norm_linear_split(x, one_plus(norm_), proj_up_, {config_.inner(), config_.inner()});
}

template <Real T>
MemoryInputs<T> RecallModel<T>::memory_inputs(const Tensor<T>& c, const Tensor<T>& a) const {
  const int64_t inner = config_.inner(), heads = config_.heads;
  // q = W_q c, k = W_k c, v = W_v a, gates = W_g [q k v] = (W_gq W_q + W_gk W_k) c + W_gv W_v a. Multiplying the
  // weights costs less than multiplying the activations.
  const std::vector<Tensor<T>> gates_of = split(concat<T>({igate_weight_, fgate_weight_}, 0), 1, {inner, inner, inner});
  const auto through = [](const Tensor<T>& gates, const Tensor<T>& blocks) {
    return blockwise_linear(gates, permute(blocks, {0, 2, 1}));
  };
  const int64_t head_width = inner / heads;
  const double root = std::sqrt(static_cast<double>(head_width));
  const std::vector<Tensor<T>> of_c = linear_maps<T>(c, {q_proj_, scale(k_proj_, number<T>(1 / root))},  // k / sqrt(d)
                                                     through(gates_of[0], q_proj_) + through(gates_of[1], k_proj_));
  const std::vector<Tensor<T>> of_a = linear_maps<T>(a, {v_proj_}, through(gates_of[2], v_proj_));
  const Tensor<T> gates = of_c[2] + of_a[1] + concat<T>({igate_bias_, fgate_bias_}, 0);
  const std::vector<Tensor<T>> gate = split(gates, -1, {heads, heads});
  return {of_c[0], of_c[1], of_a[0], gate[0], log_sigmoid(gate[1])};
}

template <Real T>
Tensor<T> RecallModel<T>::block(const Tensor<T>& x, const ReadMask& mask, RecallState<T>* state) const {
  const std::vector<Tensor<T>> up = project_up(x);
  const Tensor<T>&a = up[0], &z = up[1];
  const Tensor<T> c = convolution(a, state);
  const auto [query, key, value, input_gate, log_forget] = memory_inputs(c, a);
  const Tensor<T> memory =
      state != nullptr          ? Tensor<T>(mlstm_stream(query.value(), key.value(), value.value(), input_gate.value(),
                                                         log_forget.value(), config_.read, state->memory))
      : config_.composed_memory ? mlstm_composed(query, key, value, input_gate, log_forget, config_.read)
                                : mlstm(query, key, value, input_gate, log_forget, config_.read, mask);
  return gated_norm_linear(memory, one_plus(outnorm_), config_.heads, learnable_skip_, c, z, proj_down_, x);
}

template <Real T>
Tensor<T> RecallModel<T>::logits(const Array<int64_t>& tokens, const ReadMask& mask, RecallState<T>* state) const {
  const Tensor<T> y = block(embed(tokens), mask, state);
  return norm_linear(y, one_plus(post_norm_), head_weight_, head_bias_);
}

template <Real T>
Tensor<T> RecallModel<T>::forward(const Array<int64_t>& tokens, const ReadMask& mask) const {
  return logits(tokens, mask, nullptr);
}

template <Real T>
MemoryInputs<T> RecallModel<T>::memory_inputs(const Array<int64_t>& tokens) const {
  const Tensor<T> a = project_up(embed(tokens))[0];
  return memory_inputs(convolution(a, nullptr), a);
}

template <Real T>
Array<T> RecallModel<T>::step(const Array<int64_t>& tokens, RecallState<T>& state) const {
  check(!config_.composed_memory, "recall model: only the fused memory can be stepped");
  const NoGrad no_grad;
  return logits(tokens, {}, &state).value();
}

template class RecallModel<float>;
template class RecallModel<double>;
template class RecallModel<Dual>;

}  // namespace orthoread
