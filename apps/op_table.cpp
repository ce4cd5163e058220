#include "apps/op_table.h"

#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gemm.h"
#include "ops/layout.h"
#include "ops/linear.h"
#include "ops/mlstm.h"
#include "ops/mlstm_composed.h"
#include "ops/newton_schulz.h"
#include "ops/norm.h"
#include "ops/norm_linear.h"
#include "ops/reduce.h"
#include "ops/softmax.h"

namespace orthoread {
namespace {

/// A line of the table. f(x, c) calls the op with tensors x and numbers c. Expressions pass as many of both as the
/// example.
template <class F>
OpEntry op(const char* name, std::vector<Input> inputs, const Numbers& numbers, F f,
           std::optional<Functions> twin = {}) {
  const auto tensors = static_cast<int>(inputs.size()), n = static_cast<int>(numbers.size());
  OpExample example{std::move(inputs), [f, numbers](const auto& x) { return f(x, numbers); }, std::move(twin)};
  OpEntry entry{name, {tensors, n, n, nullptr}, std::move(example)};
  using Result = std::invoke_result_t<F, const std::vector<Tensor<double>>&, const Numbers&>;
  if constexpr (std::same_as<Result, Tensor<double>>) entry.call.compute = f;
  return entry;
}

/// The same for an example that passes f not its inputs, but the `tensors` tensors that `prepare` makes of them.
template <class Prepare, class F>
OpEntry prepared(const char* name, int tensors, std::vector<Input> inputs, const Numbers& numbers, Prepare prepare,
                 F f) {
  OpEntry entry = op(name, std::move(inputs), numbers, f);
  entry.call.tensors = tensors;
  entry.example->f = [=](const auto& x) {
    const auto y = prepare(x);
    return f(y, numbers);
  };
  return entry;
}

// Ops with one or more tensors, with any number of numbers, or with at least one number.

constexpr int kSome = -1, kMost = 64;

OpEntry sequence(OpEntry entry) {
  entry.call.tensors = kSome;
  return entry;
}
OpEntry any(OpEntry entry) {
  entry.call.least = 0;
  entry.call.most = kMost;
  return entry;
}
OpEntry some(OpEntry entry) {
  entry.call.least = 1;
  entry.call.most = kMost;
  return entry;
}

/// A number in the tensors' scalar type.
template <Real T>
T constant(const std::vector<Tensor<T>>&, double c) {
  return number<T>(c);
}
std::vector<int> integers(const Numbers& c) { return {c.begin(), c.end()}; }
int axis(double c) { return static_cast<int>(c); }
Shape shape_of(const Numbers& c) { return {c.begin(), c.end()}; }
int64_t whole(double c) { return static_cast<int64_t>(c); }
/// The numbers as indices of this shape; their count must match.
Array<int64_t> indices(const Numbers& c, const Shape& shape) { return {shape, {c.begin(), c.end()}}; }
MemoryRead read_of(const Numbers& c) { return MemoryRead::ns(c.empty() ? 5 : static_cast<int>(c[0])); }

/// An input, uniform on [low, high).
Input uniform(const char* name, Shape shape, double low = -2, double high = 2) {
  Input input(std::move(shape), low, high);
  input.name = name;
  return input;
}

/// Input x, uniform on [-2, 2).
std::vector<Input> x_of(Shape shape) { return {uniform("x", std::move(shape))}; }
std::vector<Input> a_and_b(Shape a, Shape b) { return {uniform("a", std::move(a)), uniform("b", std::move(b))}; }

// For ops with a kink: numbers of both signs away from 0, and numbers whose largest is clearly the largest.
const Shape kSignsShape = {3, 4};

template <Real T>
Tensor<T> signed_of(const Tensor<T>& x) {  // x = 0.5 to 2
  Array<T> signs(kSignsShape);
  for (int64_t i = 0; i < signs.size(); ++i) signs.edit()[i] = T(i % 3 == 0 ? -1 : 1);
  return x * Tensor<T>(signs);
}

template <Real T>
Tensor<T> spread_of(const Tensor<T>& x) {  // x in [0, 0.9); 5 i mod 12 is a permutation
  Array<T> offsets(kSignsShape);
  for (int64_t i = 0; i < offsets.size(); ++i) offsets.edit()[i] = T(static_cast<double>(5 * i % offsets.size()));
  return x + Tensor<T>(offsets);
}

const std::vector<Input> kSized = {uniform("x", kSignsShape, 0.5, 2)};
const std::vector<Input> kSpread = {uniform("x", kSignsShape, 0, 0.9)};
constexpr auto with_signs = [](const auto& x) { return std::vector{signed_of(x[0])}; };
constexpr auto spread = [](const auto& x) { return std::vector{spread_of(x[0])}; };

std::vector<OpEntry> elementwise() {
  const std::vector<Input> broadcast = a_and_b({2, 3, 4}, {3, 1}), one = x_of({3, 4}),
                           positive = {uniform("x", {3, 4}, 0.5, 4)};
  const auto with_its_eighth = [](const auto& sized) {
    return std::vector{signed_of(sized[0]), scale(sized[0], {0.125})};
  };
  return {
      op("add", broadcast, {}, [](auto& x, auto&) { return add(x[0], x[1]); }),
      op("sub", broadcast, {}, [](auto& x, auto&) { return sub(x[0], x[1]); }),
      op("mul", broadcast, {}, [](auto& x, auto&) { return mul(x[0], x[1]); }),
      op("div", {uniform("a", {2, 3, 4}), uniform("b", {3, 1}, 0.5, 2)}, {},
         [](auto& x, auto&) { return div(x[0], x[1]); }),
      prepared("maximum", 2, kSized, {}, with_its_eighth, [](auto& x, auto&) { return maximum(x[0], x[1]); }),
      op("neg", one, {}, [](auto& x, auto&) { return neg(x[0]); }),
      op("exp", one, {}, [](auto& x, auto&) { return exp(x[0]); }),
      op("log", positive, {}, [](auto& x, auto&) { return log(x[0]); }),
      op("sqrt", positive, {}, [](auto& x, auto&) { return sqrt(x[0]); }),
      prepared("abs", 1, kSized, {}, with_signs, [](auto& x, auto&) { return abs(x[0]); }),
      op("tanh", one, {}, [](auto& x, auto&) { return tanh(x[0]); }),
      op("sigmoid", one, {}, [](auto& x, auto&) { return sigmoid(x[0]); }),
      op("log_sigmoid", one, {}, [](auto& x, auto&) { return log_sigmoid(x[0]); }),
      op("silu", one, {}, [](auto& x, auto&) { return silu(x[0]); }),
      op("softplus", one, {}, [](auto& x, auto&) { return softplus(x[0]); }),
      op("scale", one, {-1.5}, [](auto& x, auto& c) { return scale(x[0], constant(x, c[0])); }),
      op("shift", one, {0.5}, [](auto& x, auto& c) { return shift(x[0], constant(x, c[0])); }),
      prepared("clamp_min", 1, kSized, {0.25}, with_signs,
               [](auto& x, auto& c) { return clamp_min(x[0], constant(x, c[0])); }),
  };
}

std::vector<OpEntry> reductions() {
  const std::vector<Input> cube = x_of({2, 3, 4});
  return {
      any(op("sum", cube, {0, -1}, [](auto& x, auto& c) { return c.empty() ? sum(x[0]) : sum(x[0], integers(c)); })),
      any(op("mean", cube, {1}, [](auto& x, auto& c) { return c.empty() ? mean(x[0]) : mean(x[0], integers(c)); })),
      any(prepared("max", 1, kSpread, {1}, spread,
                   [](auto& x, auto& c) { return c.empty() ? max(x[0]) : max(x[0], integers(c)); })),
      op("cumsum", cube, {1}, [](auto& x, auto& c) { return cumsum(x[0], axis(c[0])); }),
      op("frobenius_norm", cube, {}, [](auto& x, auto&) { return frobenius_norm(x[0]); }),
  };
}

std::vector<OpEntry> layouts() {
  const auto one_twice = [](const auto& x) { return std::vector{x[0], x[1], x[0]}; };
  return {
      any(op("reshape", x_of({2, 3, 4}), {4, -1}, [](auto& x, auto& c) { return reshape(x[0], shape_of(c)); })),
      any(op("permute", x_of({2, 3, 4}), {2, 0, 1}, [](auto& x, auto& c) { return permute(x[0], integers(c)); })),
      op("slice", x_of({2, 5, 3}), {1, 1, 4},
         [](auto& x, auto& c) { return slice(x[0], axis(c[0]), whole(c[1]), whole(c[2])); }),
      prepared("concat", kSome, a_and_b({2, 3}, {2, 2}), {1}, one_twice,
               [](auto& x, auto& c) { return concat(x, axis(c[0])); }),
      op("split", x_of({2, 5}), {},
         [](auto& x, auto&) {
           return split(x[0], 1, {2, 0, 3});
         }),
      sequence(op("stack", a_and_b({2, 3}, {2, 3}), {1}, [](auto& x, auto& c) { return stack(x, axis(c[0])); })),
      op("unstack", x_of({2, 3, 4}), {}, [](auto& x, auto&) { return unstack(x[0], 1); }),
  };
}

std::vector<OpEntry> products() {
  const std::vector<Input> convolved = {uniform("x", {2, 5, 3}), uniform("weight", {3, 1, 4}), uniform("bias", {3})};
  return {
      op("matmul", a_and_b({2, 3, 4}, {2, 4, 5}), {}, [](auto& x, auto&) { return matmul(x[0], x[1]); }),
      sequence(op("linear", {uniform("x", {2, 3, 5}), uniform("weight", {4, 5}), uniform("bias", {4})}, {},
                  [](auto& x, auto&) {
                    check(x.size() == 2 || x.size() == 3, "linear: x, a weight and perhaps a bias, not {} tensors",
                          x.size());
                    return x.size() == 2 ? linear(x[0], x[1]) : linear(x[0], x[1], x[2]);
                  })),
      op("blockwise_linear", {uniform("x", {2, 3, 8}), uniform("weight", {2, 4, 4})}, {},
         [](auto& x, auto&) { return blockwise_linear(x[0], x[1]); }),
      op(
          "linear_maps",
          {uniform("x", {3, 8}), uniform("blocks 0", {2, 4, 4}), uniform("blocks 1", {4, 2, 2}),
           uniform("dense", {3, 8})},
          {},
          [](auto& x, auto&) {
            return linear_maps(x[0], {x[1], x[2]}, x[3]);
          },
          []<Real T>(const std::vector<Tensor<T>>& x) {
            return std::vector<Tensor<T>>{blockwise_linear(x[0], x[1]), blockwise_linear(x[0], x[2]),
                                          linear(x[0], x[3])};
          }),
      some(op("embedding", {uniform("weight", {5, 3})}, {0, 3, 3, 4, 0, 3},
              [](auto& x, auto& c) { return embedding(x[0], indices(c, {std::ssize(c)})); })),
      op("causal_conv", convolved, {}, [](auto& x, auto&) { return causal_conv(x[0], x[1], x[2]); }),
      op(
          "causal_conv_silu", convolved, {}, [](auto& x, auto&) { return causal_conv_silu(x[0], x[1], x[2]); },
          [](const auto& x) { return silu(causal_conv(x[0], x[1], x[2])); }),
  };
}

std::vector<OpEntry> norms() {
  const std::vector<Input> normed = {uniform("x", {3, 6}), uniform("weight", {6})};
  const std::vector<Input> gated = {uniform("x", {3, 6}), uniform("weight", {6}), uniform("skip", {6}),
                                    uniform("c", {3, 6}), uniform("z", {3, 6})};
  std::vector<Input> gated_linear = gated;
  gated_linear.push_back(uniform("map", {4, 6}));
  gated_linear.push_back(uniform("residual", {3, 4}));
  return {
      op("layer_norm", normed, {}, [](auto& x, auto&) { return layer_norm(x[0], x[1]); }),
      op("group_norm", normed, {2}, [](auto& x, auto& c) { return group_norm(x[0], x[1], whole(c[0])); }),
      op(
          "gated_norm", gated, {2},
          [](auto& x, auto& c) { return gated_norm(x[0], x[1], whole(c[0]), x[2], x[3], x[4]); },
          [](const auto& x) { return (group_norm(x[0], x[1], 2) + x[2] * x[3]) * silu(x[4]); }),
      op(
          "norm_linear", {uniform("x", {3, 6}), uniform("norm", {6}), uniform("weight", {4, 6}), uniform("bias", {4})},
          {}, [](auto& x, auto&) { return norm_linear(x[0], x[1], x[2], x[3]); },
          [](const auto& x) { return linear(layer_norm(x[0], x[1]), x[2], x[3]); }),
      op(
          "norm_linear_split", {uniform("x", {3, 6}), uniform("norm", {6}), uniform("weight", {5, 6})}, {},
          [](auto& x, auto&) {
            return norm_linear_split(x[0], x[1], x[2], {2, 3});
          },
          [](const auto& x) {
            return split(linear(layer_norm(x[0], x[1]), x[2]), -1, {2, 3});
          }),
      op(
          "gated_norm_linear", gated_linear, {2},
          [](auto& x, auto& c) { return gated_norm_linear(x[0], x[1], whole(c[0]), x[2], x[3], x[4], x[5], x[6]); },
          [](const auto& x) { return x[6] + linear(gated_norm(x[0], x[1], 2, x[2], x[3], x[4]), x[5]); }),
      op("log_softmax", x_of({4, 5}), {}, [](auto& x, auto&) { return log_softmax(x[0]); }),
      some(op("cross_entropy", {uniform("logits", {4, 5})}, {0, kIgnored, 4, 2},
              [](auto& x, auto& c) {
                return cross_entropy(x[0], indices(c, Shape(x[0].shape().begin(), x[0].shape().end() - 1)));
              })),
  };
}

std::vector<OpEntry> memories() {
  return {
      {"newton_schulz", {1, 1, 1, [](auto& x, auto& c) { return newton_schulz(x[0], static_cast<int>(c[0])); }}},
      {"mlstm", {5, 0, 1, [](auto& x, auto& c) { return mlstm(x[0], x[1], x[2], x[3], x[4], read_of(c)); }}},
      {"mlstm_composed",
       {5, 0, 1, [](auto& x, auto& c) { return mlstm_composed(x[0], x[1], x[2], x[3], x[4], read_of(c)); }}},
  };
}

}  // namespace

const std::vector<OpEntry>& op_table() {
  static const std::vector<OpEntry> table = [] {
    std::vector<OpEntry> all;
    for (const auto& family : {elementwise(), reductions(), layouts(), products(), norms(), memories()})
      all.insert(all.end(), family.begin(), family.end());
    return all;
  }();
  return table;
}

}  // namespace orthoread
