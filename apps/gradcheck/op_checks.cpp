#include "apps/gradcheck/op_checks.h"

#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gemm.h"
#include "ops/layout.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/norm_linear.h"
#include "ops/reduce.h"
#include "ops/softmax.h"

#include <algorithm>

namespace orthoread {
namespace {

/// An input that is uniform on [low, high).
Input uniform(const char* name, Shape shape, double low = -2, double high = 2) {
  Input input(std::move(shape), low, high);
  input.name = name;
  return input;
}

/// Input x, uniform on [-2, 2).
std::vector<Input> x_of(Shape shape) { return {uniform("x", std::move(shape))}; }
std::vector<Input> a_and_b(Shape a, Shape b) { return {uniform("a", std::move(a)), uniform("b", std::move(b))}; }

// Of ops with a kink: numbers of both signs that stay away from 0, and numbers of which the largest stays the largest.
const Shape kSignsShape = {3, 4};

template <Real T>
Tensor<T> with_signs(const Tensor<T>& x) {  // x = 0.5 to 2
  Array<T> signs(kSignsShape);
  for (int64_t i = 0; i < signs.size(); ++i) signs.edit()[i] = T(i % 3 == 0 ? -1 : 1);
  return x * Tensor<T>(signs);
}

template <Real T>
Tensor<T> spread(const Tensor<T>& x) {  // x = 0 to 0.9; 5 i mod 12 has each number once
  Array<T> offsets(kSignsShape);
  for (int64_t i = 0; i < offsets.size(); ++i) offsets.edit()[i] = T(static_cast<double>(5 * i % offsets.size()));
  return x + Tensor<T>(offsets);
}

const std::vector<Input> kSized = {uniform("x", kSignsShape, 0.5, 2)};
const std::vector<Input> kSpread = {uniform("x", kSignsShape, 0, 0.9)};

std::vector<OpCheck> elementwise_checks() {
  return {
      {"add", a_and_b({2, 3, 4}, {3, 1}), [](const auto& x) { return add(x[0], x[1]); }},
      {"sub", a_and_b({2, 3, 4}, {3, 1}), [](const auto& x) { return sub(x[0], x[1]); }},
      {"mul", a_and_b({2, 3, 4}, {3, 1}), [](const auto& x) { return mul(x[0], x[1]); }},
      {"div", {uniform("a", {2, 3, 4}), uniform("b", {3, 1}, 0.5, 2)}, [](const auto& x) { return div(x[0], x[1]); }},
      {"maximum", kSized, [](const auto& x) { return maximum(with_signs(x[0]), scale(x[0], {0.125})); }},
      {"neg", x_of({3, 4}), [](const auto& x) { return neg(x[0]); }},
      {"exp", x_of({3, 4}), [](const auto& x) { return exp(x[0]); }},
      {"log", {uniform("x", {3, 4}, 0.5, 4)}, [](const auto& x) { return log(x[0]); }},
      {"sqrt", {uniform("x", {3, 4}, 0.5, 4)}, [](const auto& x) { return sqrt(x[0]); }},
      {"abs", kSized, [](const auto& x) { return abs(with_signs(x[0])); }},
      {"tanh", x_of({3, 4}), [](const auto& x) { return tanh(x[0]); }},
      {"sigmoid", x_of({3, 4}), [](const auto& x) { return sigmoid(x[0]); }},
      {"log_sigmoid", x_of({3, 4}), [](const auto& x) { return log_sigmoid(x[0]); }},
      {"silu", x_of({3, 4}), [](const auto& x) { return silu(x[0]); }},
      {"softplus", x_of({3, 4}), [](const auto& x) { return softplus(x[0]); }},
      {"scale", x_of({3, 4}), [](const auto& x) { return scale(x[0], {-1.5}); }},
      {"shift", x_of({3, 4}), [](const auto& x) { return shift(x[0], {0.5}); }},
      {"clamp_min", kSized, [](const auto& x) { return clamp_min(with_signs(x[0]), {0.25}); }},
  };
}

std::vector<OpCheck> reduce_checks() {
  return {
      {"sum", x_of({2, 3, 4}),
       [](const auto& x) {
         return sum(x[0], {0, -1});
       }},
      {"mean", x_of({2, 3, 4}), [](const auto& x) { return mean(x[0], {1}, true); }},
      {"max", kSpread, [](const auto& x) { return max(spread(x[0]), {1}); }},
      {"cumsum", x_of({2, 3, 4}), [](const auto& x) { return cumsum(x[0], 1); }},
      {"frobenius_norm", x_of({2, 3, 4}), [](const auto& x) { return frobenius_norm(x[0]); }},
  };
}

std::vector<OpCheck> layout_checks() {
  return {
      {"reshape", x_of({2, 3, 4}),
       [](const auto& x) {
         return reshape(x[0], {4, -1});
       }},
      {"permute", x_of({2, 3, 4}),
       [](const auto& x) {
         return permute(x[0], {2, 0, 1});
       }},
      {"slice", x_of({2, 5, 3}), [](const auto& x) { return slice(x[0], 1, 1, 4); }},
      {"concat", a_and_b({2, 3}, {2, 2}),
       [](const auto& x) {
         return concat(std::vector{x[0], x[1], x[0]}, 1);
       }},
      {"split", x_of({2, 5}),
       [](const auto& x) {
         return split(x[0], 1, {2, 0, 3});
       }},
      {"stack", a_and_b({2, 3}, {2, 3}),
       [](const auto& x) {
         return stack(std::vector{x[0], x[1]}, 1);
       }},
      {"unstack", x_of({2, 3, 4}), [](const auto& x) { return unstack(x[0], 1); }},
  };
}

std::vector<OpCheck> product_checks() {
  return {
      {"matmul", a_and_b({2, 3, 4}, {2, 4, 5}), [](const auto& x) { return matmul(x[0], x[1]); }},
      {"linear",
       {uniform("x", {2, 3, 5}), uniform("weight", {4, 5}), uniform("bias", {4})},
       [](const auto& x) { return linear(x[0], x[1], x[2]); }},
      {"blockwise_linear",
       {uniform("x", {2, 3, 8}), uniform("weight", {2, 4, 4})},
       [](const auto& x) { return blockwise_linear(x[0], x[1]); }},
      {"linear_maps",
       {uniform("x", {3, 8}), uniform("blocks 0", {2, 4, 4}), uniform("blocks 1", {4, 2, 2}), uniform("dense", {3, 8})},
       [](const auto& x) {
         return linear_maps(x[0], {x[1], x[2]}, x[3]);
       },
       []<Real T>(const std::vector<Tensor<T>>& x) {
         return std::vector<Tensor<T>>{blockwise_linear(x[0], x[1]), blockwise_linear(x[0], x[2]), linear(x[0], x[3])};
       }},
      {"embedding",
       {uniform("weight", {5, 3})},
       [](const auto& x) {
         return embedding(x[0], Array<int64_t>({2, 3}, {0, 3, 3, 4, 0, 3}));
       }},
      {"causal_conv",
       {uniform("x", {2, 5, 3}), uniform("weight", {3, 1, 4}), uniform("bias", {3})},
       [](const auto& x) { return causal_conv(x[0], x[1], x[2]); }},
      {"causal_conv_silu",
       {uniform("x", {2, 5, 3}), uniform("weight", {3, 1, 4}), uniform("bias", {3})},
       [](const auto& x) { return causal_conv_silu(x[0], x[1], x[2]); },
       [](const auto& x) { return silu(causal_conv(x[0], x[1], x[2])); }},
  };
}

std::vector<OpCheck> norm_checks() {
  const std::vector<Input> gated = {uniform("x", {3, 6}), uniform("weight", {6}), uniform("skip", {6}),
                                    uniform("c", {3, 6}), uniform("z", {3, 6})};
  std::vector<Input> gated_linear = gated;
  gated_linear.push_back(uniform("map", {4, 6}));
  gated_linear.push_back(uniform("residual", {3, 4}));
  return {
      {"layer_norm",
       {uniform("x", {3, 6}), uniform("weight", {6})},
       [](const auto& x) { return layer_norm(x[0], x[1]); }},
      {"group_norm",
       {uniform("x", {3, 6}), uniform("weight", {6})},
       [](const auto& x) { return group_norm(x[0], x[1], 2); }},
      {"gated_norm", gated, [](const auto& x) { return gated_norm(x[0], x[1], 2, x[2], x[3], x[4]); },
       [](const auto& x) { return (group_norm(x[0], x[1], 2) + x[2] * x[3]) * silu(x[4]); }},
      {"norm_linear",
       {uniform("x", {3, 6}), uniform("norm", {6}), uniform("weight", {4, 6}), uniform("bias", {4})},
       [](const auto& x) { return norm_linear(x[0], x[1], x[2], x[3]); },
       [](const auto& x) { return linear(layer_norm(x[0], x[1]), x[2], x[3]); }},
      {"norm_linear_split",
       {uniform("x", {3, 6}), uniform("norm", {6}), uniform("weight", {5, 6})},
       [](const auto& x) {
         return norm_linear_split(x[0], x[1], x[2], {2, 3});
       },
       [](const auto& x) {
         return split(linear(layer_norm(x[0], x[1]), x[2]), -1, {2, 3});
       }},
      {"gated_norm_linear", gated_linear,
       [](const auto& x) { return gated_norm_linear(x[0], x[1], 2, x[2], x[3], x[4], x[5], x[6]); },
       [](const auto& x) { return x[6] + linear(gated_norm(x[0], x[1], 2, x[2], x[3], x[4]), x[5]); }},
      {"log_softmax", x_of({4, 5}), [](const auto& x) { return log_softmax(x[0]); }},
      {"cross_entropy",
       {uniform("logits", {4, 5})},
       [](const auto& x) {
         return cross_entropy(x[0], Array<int64_t>({4}, {0, kIgnored, 4, 2}));
       }},
  };
}

const OpCheck* find(const std::string& name) {
  const std::vector<OpCheck>& checks = op_checks();
  const auto at = std::find_if(checks.begin(), checks.end(), [&](const OpCheck& op) { return op.name == name; });
  return at == checks.end() ? nullptr : &*at;
}

}  // namespace

const std::vector<OpCheck>& op_checks() {
  static const std::vector<OpCheck> checks = [] {
    std::vector<OpCheck> all;
    for (const auto& family : {elementwise_checks(), reduce_checks(), layout_checks(), product_checks(), norm_checks()})
      all.insert(all.end(), family.begin(), family.end());
    return all;
  }();
  return checks;
}

bool is_checked_op(const std::string& name) { return find(name) != nullptr; }

GradientReport check_op(const std::string& name, uint64_t seed) {
  const OpCheck* op = find(name);
  check(op != nullptr, "gradcheck: no op is called {}", name);
  // The errors of a few roundings: twice the worst of seeds 1 to 200 and more (docs/gradient-checking.md).
  const GradientLimits limits{.dual = 5e-15, .on_dual = 1e-14, .symmetry = 5e-15, .float32 = 16, .seed = seed};
  return op->twin ? fused_report(name, op->inputs, op->f, *op->twin, 1e-14, limits)
                  : gradient_report(name, op->inputs, op->f, limits);
}

}  // namespace orthoread
