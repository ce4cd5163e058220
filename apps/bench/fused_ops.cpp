#include "apps/bench/fused_ops.h"

#include "core/random.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/gemm.h"
#include "ops/layout.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/norm_linear.h"
#include "ops/reduce.h"
#include "ops/softmax.h"

#include <algorithm>
#include <cmath>

namespace orthoread {
namespace {

template <Real T>
using Tensors = std::vector<Tensor<T>>;

template <Real T>
using Form = std::function<Tensors<T>(const Tensors<T>&)>;

template <Real T>
struct Comparison {
  std::string name, replaces;
  std::vector<Shape> inputs;
  Form<T> fused, composed;
};

template <Real T>
Tensors<T> normal_inputs(const std::vector<Shape>& shapes) {
  RandomStream random(3);
  Tensors<T> inputs;
  for (const Shape& shape : shapes) {
    auto x = Array<T>::uninitialized(shape);
    std::generate_n(x.edit(), x.size(), [&] { return static_cast<T>(random.normal()); });
    inputs.push_back(Tensor<T>::leaf(x));
  }
  return inputs;
}

/// Everything that a block computes beside its memory, and products of the same shapes by OpenBLAS.
template <Real T>
std::vector<Comparison<T>> comparisons(const RecallModelConfig& model, int64_t batch, int64_t tokens) {
  const int64_t dim = model.dim, inner = model.inner(), rows = batch * tokens, vocab = model.vocab_size;
  const int64_t gates = 2 * model.heads, block = model.qkv_block;
  const Shape x = {rows, dim}, wide = {rows, inner}, maps = {inner / block, block, block};
  std::vector<Comparison<T>> all;
  for (const auto& [out, in] : {std::pair{2 * inner, dim}, {dim, inner}, {vocab, dim}}) {
    all.push_back({fmt::format("linear, {} to {}", in, out),
                   "matmul (OpenBLAS)",
                   {{rows, in}, {out, in}},
                   [](const Tensors<T>& t) { return Tensors<T>{linear(t[0], t[1])}; },
                   [](const Tensors<T>& t) { return Tensors<T>{matmul(t[0], t[1], false, true)}; }});
  }
  all.push_back({"norm_linear_split",
                 "layer_norm, linear, split",
                 {x, {dim}, {2 * inner, dim}},
                 [=](const Tensors<T>& t) {
                   return norm_linear_split(t[0], t[1], t[2], {inner, inner});
                 },
                 [=](const Tensors<T>& t) {
                   return split(linear(layer_norm(t[0], t[1]), t[2]), -1, {inner, inner});
                 }});
  all.push_back({"causal_conv_silu",
                 "causal_conv, silu",
                 {{batch, tokens, inner}, {inner, 1, model.conv_kernel}, {inner}},
                 [](const Tensors<T>& t) { return Tensors<T>{causal_conv_silu(t[0], t[1], t[2])}; },
                 [](const Tensors<T>& t) { return Tensors<T>{silu(causal_conv(t[0], t[1], t[2]))}; }});
  all.push_back({"linear_maps",
                 "blockwise_linear twice, linear",
                 {wide, maps, maps, {gates, inner}},
                 [](const Tensors<T>& t) {
                   return linear_maps<T>(t[0], {t[1], t[2]}, t[3]);
                 },
                 [](const Tensors<T>& t) {
                   return Tensors<T>{blockwise_linear(t[0], t[1]), blockwise_linear(t[0], t[2]), linear(t[0], t[3])};
                 }});
  all.push_back({"gated_norm_linear",
                 "group_norm, mul, add, silu, mul, linear, add",
                 {wide, {inner}, {inner}, wide, wide, {dim, inner}, x},
                 [heads = model.heads](const Tensors<T>& t) {
                   return Tensors<T>{gated_norm_linear(t[0], t[1], heads, t[2], t[3], t[4], t[5], t[6])};
                 },
                 [heads = model.heads](const Tensors<T>& t) {
                   return Tensors<T>{t[6] + linear((group_norm(t[0], t[1], heads) + t[2] * t[3]) * silu(t[4]), t[5])};
                 }});
  all.push_back({"norm_linear",
                 "layer_norm, linear",
                 {x, {dim}, {vocab, dim}, {vocab}},
                 [](const Tensors<T>& t) { return Tensors<T>{norm_linear(t[0], t[1], t[2], t[3])}; },
                 [](const Tensors<T>& t) { return Tensors<T>{linear(layer_norm(t[0], t[1]), t[2], t[3])}; }});
  Array<int64_t> targets({rows});
  Array<T> one_hot({rows, vocab});
  for (int64_t row = 0; row < rows; ++row) {
    targets.edit()[row] = row % vocab;
    one_hot.edit()[row * vocab + row % vocab] = T(1);
  }
  all.push_back({"cross_entropy",
                 "log_softmax, mul, sum",
                 {{rows, vocab}},
                 [=](const Tensors<T>& t) { return Tensors<T>{cross_entropy(t[0], targets)}; },
                 [=](const Tensors<T>& t) {
                   return Tensors<T>{scale(sum(log_softmax(t[0]) * Tensor<T>(one_hot)), T(-1) / static_cast<T>(rows))};
                 }});
  return all;
}

/// What is compared must be the same: an Error if the forms' outputs differ by more than rounding.
template <Real T>
void check_equal(const Comparison<T>& forms, const Tensors<T>& inputs) {
  const NoGrad no_grad;
  const Tensors<T> fused = forms.fused(inputs), composed = forms.composed(inputs);
  for (size_t i = 0; i < fused.size(); ++i) {
    T largest = 0, difference = 0;
    for (int64_t j = 0; j < fused[i].value().size(); ++j) {
      const T a = fused[i].value().data()[j], b = composed[i].value().data()[j];
      largest = std::max(largest, std::abs(b));
      difference = std::max(difference, std::abs(a - b));
    }
    check(difference <= T(1e-4) * largest, "bench ops: output {} of {} is not that of {}: they differ by {} of {}", i,
          forms.name, forms.replaces, difference, largest);
  }
}

/// Of a forward and a backward. Each output is its own cotangent.
template <Real T>
double seconds_of_form(const Form<T>& form, const Tensors<T>& inputs) {
  for (Tensor<T> input : inputs) input.set_grad({});
  return seconds_of([&] {
    const Tensors<T> outputs = form(inputs);
    Grads<T> cotangents;
    for (const Tensor<T>& output : outputs) cotangents.push_back(output.value());
    backward(
        record<T>("outputs", Array<T>(Shape{}), outputs, [&](const Array<T>&, const Want&) { return cotangents; }));
  });
}

}  // namespace

template <Real T>
std::vector<OpTiming> time_fused_ops(const RecallModelConfig& model, int64_t batch, int64_t tokens, int64_t repeats,
                                     const std::function<void(int64_t, int64_t, const std::string&)>& done) {
  std::vector<OpTiming> timings;
  const std::vector<Comparison<T>> all = comparisons<T>(model, batch, tokens);
  for (const Comparison<T>& each : all) {
    const Tensors<T> inputs = normal_inputs<T>(each.inputs);
    check_equal(each, inputs);
    OpTiming timing = {each.name, each.replaces, {}, {}};
    for (int64_t i = 0; i <= repeats; ++i) {
      const double fused = seconds_of_form(each.fused, inputs), composed = seconds_of_form(each.composed, inputs);
      if (i == 0) continue;  // the warm-up
      timing.fused.add(fused);
      timing.composed.add(composed);
    }
    timings.push_back(timing);
    done(std::ssize(timings), std::ssize(all), each.name);
  }
  return timings;
}

template std::vector<OpTiming> time_fused_ops<float>(const RecallModelConfig&, int64_t, int64_t, int64_t,
                                                     const std::function<void(int64_t, int64_t, const std::string&)>&);
template std::vector<OpTiming> time_fused_ops<double>(const RecallModelConfig&, int64_t, int64_t, int64_t,
                                                      const std::function<void(int64_t, int64_t, const std::string&)>&);

}  // namespace orthoread
