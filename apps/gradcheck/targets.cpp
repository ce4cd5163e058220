#include "apps/gradcheck/targets.h"

#include "models/recall_model.h"
#include "ops/check/numbers.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/layout.h"
#include "ops/linear.h"
#include "ops/mlstm.h"
#include "ops/mlstm_composed.h"
#include "ops/newton_schulz.h"
#include "ops/norm.h"
#include "ops/norm_linear.h"
#include "ops/softmax.h"

namespace orthoread {
namespace {

using Vectors = std::vector<std::vector<double>>;

constexpr int64_t kHeads = 2;

/// `count` orthonormal vectors of `width` numbers: Gram-Schmidt of normal ones, twice each, which is enough.
Vectors orthonormal(int64_t count, int64_t width, RandomStream& random) {
  Vectors vectors;
  while (static_cast<int64_t>(vectors.size()) < count) {
    std::vector<double> v(static_cast<size_t>(width));
    for (double& x : v) x = random.normal();
    for (int round = 0; round < 2; ++round) {
      for (const std::vector<double>& u : vectors) {
        double along = 0;
        for (size_t i = 0; i < v.size(); ++i) along += u[i] * v[i];
        for (size_t i = 0; i < v.size(); ++i) v[i] -= along * u[i];
      }
      double squares = 0;
      for (const double x : v) squares += x * x;
      for (double& x : v) x /= std::sqrt(squares);
    }
    vectors.push_back(std::move(v));
  }
  return vectors;
}

/// The i-th of `rank` singular values, falling from `scale` to scale / condition by equal factors.
double singular_value(const MatrixCase& matrix, int64_t i) {
  const double share = matrix.rank > 1 ? static_cast<double>(i) / static_cast<double>(matrix.rank - 1) : 0;
  return matrix.scale * std::pow(matrix.condition, -share);
}

/// sum_i s_i u_i v_i^T
Array<double> matrix_of(const MatrixCase& matrix) {
  RandomStream random(matrix.seed);
  const Vectors u = orthonormal(matrix.rank, matrix.width, random), v = orthonormal(matrix.rank, matrix.width, random);
  Array<double> x({matrix.width, matrix.width});
  double* to = x.edit();
  for (int64_t i = 0; i < matrix.rank; ++i) {
    const std::vector<double>&ui = u[static_cast<size_t>(i)], &vi = v[static_cast<size_t>(i)];
    for (size_t row = 0; row < ui.size(); ++row) {
      for (size_t column = 0; column < vi.size(); ++column)
        to[row * vi.size() + column] += singular_value(matrix, i) * ui[row] * vi[column];
    }
  }
  return x;
}

/// Query, key, value, input gate and log forget gate of some sequences: in each head of each, token t writes one of
/// `rank` orthonormal keys, in turn, with a normal value whose size is the key's singular value.
std::vector<Input> memory_of(const MatrixCase& memory) {
  RandomStream random(memory.seed);
  const int64_t B = memory.sequences, S = memory.tokens, d = memory.width;
  const auto normal = [&](const Shape& shape, double mean, double deviation) {
    Array<double> x(shape);
    double* to = x.edit();
    for (int64_t i = 0; i < x.size(); ++i) to[i] = mean + deviation * random.normal();
    return x;
  };
  Array<double> key({B, S, kHeads * d}), value = normal(key.shape(), 0, 1);
  for (int64_t i = 0; i < B * kHeads; ++i) {
    const int64_t sequence = i / kHeads, head = i % kHeads;
    const Vectors keys = orthonormal(memory.rank, d, random);
    for (int64_t t = 0; t < S; ++t) {
      const int64_t at = ((sequence * S + t) * kHeads + head) * d, which = t % memory.rank;
      std::copy(keys[static_cast<size_t>(which)].begin(), keys[static_cast<size_t>(which)].end(), key.edit() + at);
      for (int64_t c = at; c < at + d; ++c) value.edit()[c] *= singular_value(memory, which);
    }
  }
  return {{normal(key.shape(), 0, 1), "query"},
          {key, "key"},
          {value, "value"},
          {normal({B, S, kHeads}, 0, 0.5), "input gate"},
          {normal({B, S, kHeads}, -0.7, 0.2), "log forget gate"}};
}

/// Two outputs of three, others in each sequence: of two tokens on both sides of a chunk's end one is wanted.
ReadMask wanted_of(const MatrixCase& memory) {
  ReadMask wanted({memory.sequences, memory.tokens});
  for (int64_t i = 0; i < wanted.size(); ++i)
    wanted.edit()[i] = (i / memory.tokens + i % memory.tokens + 1) % 3 != 0 ? 1 : 0;
  return wanted;
}

/// Both reports as one: the failures and the ways of the second after those of the first.
GradientReport joined(GradientReport report, const GradientReport& twin) {
  report.failures.insert(report.failures.end(), twin.failures.begin(), twin.failures.end());
  report.ways.insert(report.ways.end(), twin.ways.begin(), twin.ways.end());
  return report;
}

/// Of layers: their errors are those of a few roundings.
const GradientLimits kLayerLimits{.dual = 1e-14, .on_dual = 1e-14, .symmetry = 1e-14, .float32 = 8};

GradientReport layer_report(const std::string& name, const std::vector<Input>& inputs, const Functions& f) {
  return gradient_report(name, inputs, f, kLayerLimits);
}
GradientReport layer_report(const std::string& name, const std::vector<Input>& inputs, const Functions& fused,
                            const Functions& composed) {
  return joined(gradient_report(name, inputs, fused, kLayerLimits),
                twin_report(name, inputs, fused, composed, 1e-14, kLayerLimits));
}

/// Inputs uniform on [-2, 2).
std::vector<Input> uniform(uint64_t seed, const std::vector<std::pair<const char*, Shape>>& named) {
  std::vector<Input> inputs;
  for (const auto& [name, shape] : named) inputs.emplace_back(uniform_array(shape, seed++), name);
  return inputs;
}

/// A row for each polynomial and number of steps: all ranks, conditions and scales.
std::vector<CheckGroup> newton_schulz_groups(uint64_t seed) {
  std::vector<CheckGroup> groups;
  for (const std::string polynomial : {"cubic", "quintic"}) {
    for (int steps = 0; steps <= kMostReadSteps; ++steps) {
      CheckGroup group{"newton_schulz", fmt::format("{}, {} steps", polynomial, steps), {}};
      MatrixCase matrix{.polynomial = polynomial, .steps = steps, .seed = seed};
      for (matrix.rank = 1; matrix.rank <= matrix.width; ++matrix.rank) {
        for (const double condition : {1., 1e4, 1e8}) {
          if (matrix.rank == 1 && condition != 1) continue;
          for (const double scale : {1e-8, 1., 1e8}) {
            matrix.condition = condition, matrix.scale = scale;
            group.checks.emplace_back([matrix] { return check_newton_schulz(matrix); });
          }
        }
      }
      groups.push_back(std::move(group));
    }
  }
  return groups;
}

/// A row for each read, before the group norm and after it: short sequences with all kinds of keys, and long ones.
std::vector<CheckGroup> read_groups(uint64_t seed) {
  std::vector<std::pair<std::string, double>> reads = {{"raw", 1}};
  for (int steps = 0; steps <= kMostReadSteps; ++steps) reads.emplace_back(fmt::format("ns{}", steps), 1);
  reads.insert(reads.end(), {{"ns5", 0.7}, {"ns5", 0.3}, {"ns2", 0}});
  struct Keys {
    int64_t rank;
    double condition, scale;
  };
  std::vector<CheckGroup> groups;
  for (const bool normed : {false, true}) {
    for (const auto& [read, alpha] : reads) {
      const std::string blend = alpha == 1 ? "" : fmt::format(" blended by {:g}", alpha);
      CheckGroup group{"read", read + blend + (normed ? ", group norm" : ""), {}};
      for (const Keys& keys :
           {Keys{1, 1, 1}, Keys{3, 1, 1}, Keys{5, 1, 1}, Keys{5, 1e4, 1}, Keys{5, 1e8, 1}, Keys{3, 1, 1e-8}}) {
        const MatrixCase memory{.read = read,
                                .alpha = alpha,
                                .normed = normed,
                                .rank = keys.rank,
                                .sequences = 1,
                                .tokens = 6,
                                .condition = keys.condition,
                                .scale = keys.scale,
                                .seed = seed};
        group.checks.emplace_back([memory] { return check_read(memory); });
      }
      groups.push_back(std::move(group));
    }
  }
  for (const bool masked : {false, true}) {
    CheckGroup group{"read", masked ? "two chunks, some wanted" : "two chunks", {}};
    for (const char* read : {"raw", "ns0", "ns5"}) {
      const MatrixCase memory{.read = read, .normed = true, .masked = masked, .seed = seed};
      group.checks.emplace_back([memory] { return check_read(memory); });
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace

GradientReport check_newton_schulz(const MatrixCase& matrix) {
  const OddPolynomial step = matrix.polynomial == "quintic" ? kMuonQuintic : kCubic;
  // Three of Muon's steps enlarge what rounding has left of a small singular value 41 times.
  const bool quintic = matrix.polynomial == "quintic";
  const GradientLimits limits{.dual = 5e-14,
                              .on_dual = 5e-14,
                              .symmetry = quintic ? 3e-11 : 1e-13,
                              .hessian = quintic ? 1e-5 : 1e-6,
                              .float32 = quintic ? 48. : 8.,
                              .seed = matrix.seed};
  return gradient_report(
      fmt::format("newton_schulz, {}, {} steps, width {}, rank {}, condition {:g}, scale {:g}", matrix.polynomial,
                  matrix.steps, matrix.width, matrix.rank, matrix.condition, matrix.scale),
      {{matrix_of(matrix), "matrix"}},
      [&](const auto& x) { return newton_schulz(x[0], matrix.steps, kMemoryEps, step); }, limits);
}

GradientReport check_read(const MatrixCase& memory) {
  MemoryRead read = MemoryRead::parse(memory.read);
  read.alpha = read.orthogonalized ? memory.alpha : 0;
  const Shape weight_shape = {kHeads * memory.width};
  const ReadMask wanted = memory.masked ? wanted_of(memory) : ReadMask();
  const auto finish = [&]<Real T>(const Tensor<T>& h) {
    return memory.normed ? group_norm(h, Tensor<T>(Array<T>::filled(weight_shape, T(1))), kHeads) : h;
  };
  const Functions fused([&](const auto& x) { return finish(mlstm(x[0], x[1], x[2], x[3], x[4], read, wanted)); });
  const Functions twin([&]<Real T>(const std::vector<Tensor<T>>& x) {
    Tensor<T> h = mlstm_composed(x[0], x[1], x[2], x[3], x[4], read);
    if (memory.masked) {
      Array<T> mask({memory.sequences, memory.tokens, 1});
      for (int64_t i = 0; i < mask.size(); ++i) mask.edit()[i] = T(wanted.data()[i]);
      h = h * Tensor<T>(mask);
    }
    return finish(h);
  });
  const std::string name =
      fmt::format("read, {}{}, width {}, sequences {}, tokens {}, rank {}, condition {:g}, scale {:g}{}{}", read.name(),
                  read.alpha == 1 || !read.orthogonalized ? "" : fmt::format(" blended by {:g}", read.alpha),
                  memory.width, memory.sequences, memory.tokens, memory.rank, memory.condition, memory.scale,
                  memory.masked ? ", two tokens of three wanted" : "", memory.normed ? ", after the group norm" : "");
  // Rounding errors, which both backwards have, grow with 2.25^steps (ops/mlstm.cpp).
  const double limit = read.steps > 8 ? 5e-12 : 1e-12;
  const GradientLimits limits{
      .dual = limit, .on_dual = limit, .float32 = read.steps > 5 ? 16. : 48., .seed = memory.seed};
  const std::vector<Input> inputs = memory_of(memory);
  return joined(gradient_report(name, inputs, fused, limits), twin_report(name, inputs, fused, twin, limit, limits));
}

GradientReport check_model(const MemoryRead& read, uint64_t seed) {
  RecallModelConfig config;
  config.vocab_size = 5;
  config.dim = 4;
  config.heads = 8;
  config.proj_factor = 1;
  config.read = read;
  RecallModel<double> start(config, RandomStream(seed));
  std::vector<Input> inputs;
  RandomStream noise(seed + 1);  // moves what starts at 0 or 1 to a place where nothing vanishes
  for (const auto& [name, tensor] : start.parameters()) {
    for (int64_t i = 0; i < tensor->value().size(); ++i) tensor->edit()[i] += 0.1 * noise.normal();
    inputs.emplace_back(tensor->value(), name);
  }
  const Array<int64_t> tokens({2, 4}, {0, 3, 2, 0, 4, 4, 1, 4}), targets({2, 4}, {3, 2, kIgnored, 3, 4, 1, 4, 0});
  return gradient_report("model, " + read.name(), inputs,
                         [&]<Real T>(const std::vector<Tensor<T>>& x) {
                           RecallModel<T> model(config, RandomStream(0));
                           const Parameters<T> parameters = model.parameters();
                           for (size_t i = 0; i < x.size(); ++i) *parameters[i].tensor = x[i];
                           return cross_entropy(model.forward(tokens), targets);
                         },
                         {.dual = 2e-13, .on_dual = 5e-13, .seed = seed});
}

const std::map<std::string, std::function<GradientReport(uint64_t)>>& layer_checks() {
  static const std::map<std::string, std::function<GradientReport(uint64_t)>> checks = {
      {"linear",
       [](uint64_t seed) {
         return layer_report("linear", uniform(seed, {{"x", {2, 3, 5}}, {"weight", {4, 5}}, {"bias", {4}}}),
                             [](const auto& x) { return linear(x[0], x[1], x[2]); });
       }},
      {"blockwise_linear",
       [](uint64_t seed) {
         return layer_report("blockwise_linear", uniform(seed, {{"x", {2, 3, 8}}, {"weight", {2, 4, 4}}}),
                             [](const auto& x) { return blockwise_linear(x[0], x[1]); });
       }},
      {"embedding",
       [](uint64_t seed) {
         return layer_report("embedding", uniform(seed, {{"weight", {5, 3}}}), [](const auto& x) {
           return embedding(x[0], Array<int64_t>({2, 3}, {0, 3, 3, 4, 0, 3}));
         });
       }},
      {"causal_conv_silu",
       [](uint64_t seed) {
         const Functions fused([](const auto& x) { return causal_conv_silu(x[0], x[1], x[2]); });
         const auto inputs = uniform(seed, {{"x", {2, 5, 3}}, {"weight", {3, 1, 4}}, {"bias", {3}}});
         return layer_report("causal_conv_silu", inputs, fused,
                             [](const auto& x) { return silu(causal_conv(x[0], x[1], x[2])); });
       }},
      {"layer_norm",
       [](uint64_t seed) {
         return layer_report("layer_norm", uniform(seed, {{"x", {3, 6}}, {"weight", {6}}}),
                             [](const auto& x) { return layer_norm(x[0], x[1]); });
       }},
      {"group_norm",
       [](uint64_t seed) {
         return layer_report("group_norm", uniform(seed, {{"x", {3, 6}}, {"weight", {6}}}),
                             [](const auto& x) { return group_norm(x[0], x[1], 2); });
       }},
      {"gated_norm",
       [](uint64_t seed) {
         const Functions fused([](const auto& x) { return gated_norm(x[0], x[1], 2, x[2], x[3], x[4]); });
         const auto inputs =
             uniform(seed, {{"x", {3, 6}}, {"weight", {6}}, {"skip", {6}}, {"c", {3, 6}}, {"z", {3, 6}}});
         return layer_report("gated_norm", inputs, fused,
                             [](const auto& x) { return (group_norm(x[0], x[1], 2) + x[2] * x[3]) * silu(x[4]); });
       }},
      {"linear_maps",
       [](uint64_t seed) {
         const Functions fused([](const auto& x) { return concat(linear_maps(x[0], {x[1], x[2]}, x[3]), -1); });
         const auto inputs =
             uniform(seed, {{"x", {3, 8}}, {"blocks 0", {2, 4, 4}}, {"blocks 1", {4, 2, 2}}, {"dense", {3, 8}}});
         return layer_report("linear_maps", inputs, fused, []<Real T>(const std::vector<Tensor<T>>& x) {
           return concat<T>({blockwise_linear(x[0], x[1]), blockwise_linear(x[0], x[2]), linear(x[0], x[3])}, -1);
         });
       }},
      {"norm_linear",
       [](uint64_t seed) {
         const Functions fused([](const auto& x) { return norm_linear(x[0], x[1], x[2], x[3]); });
         const auto inputs = uniform(seed, {{"x", {3, 6}}, {"norm", {6}}, {"weight", {4, 6}}, {"bias", {4}}});
         return layer_report("norm_linear", inputs, fused,
                             [](const auto& x) { return linear(layer_norm(x[0], x[1]), x[2], x[3]); });
       }},
      {"gated_norm_linear",
       [](uint64_t seed) {
         const Functions fused(
             [](const auto& x) { return gated_norm_linear(x[0], x[1], 2, x[2], x[3], x[4], x[5], x[6]); });
         const auto inputs = uniform(seed, {{"x", {3, 6}},
                                            {"norm", {6}},
                                            {"skip", {6}},
                                            {"c", {3, 6}},
                                            {"z", {3, 6}},
                                            {"weight", {4, 6}},
                                            {"residual", {3, 4}}});
         return layer_report("gated_norm_linear", inputs, fused, [](const auto& x) {
           return x[6] + linear(gated_norm(x[0], x[1], 2, x[2], x[3], x[4]), x[5]);
         });
       }},
      {"cross_entropy",
       [](uint64_t seed) {
         return layer_report("cross_entropy", uniform(seed, {{"logits", {4, 5}}}), [](const auto& x) {
           return cross_entropy(x[0], Array<int64_t>({4}, {0, kIgnored, 4, 2}));
         });
       }},
  };
  return checks;
}

std::vector<std::string> check_targets() {
  std::vector<std::string> names = {"newton_schulz", "read"};
  for (const auto& [name, check] : layer_checks()) names.push_back(name);
  names.emplace_back("model");
  return names;
}

std::vector<CheckGroup> check_groups(const std::string& target, uint64_t seed) {
  if (target == "newton_schulz") return newton_schulz_groups(seed);
  if (target == "read") return read_groups(seed);
  if (target == "model") {
    std::vector<CheckGroup> groups;
    for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(5)})
      groups.push_back({target, read.name(), {[=] { return check_model(read, seed); }}});
    return groups;
  }
  return {{target, "", {[target, seed] { return layer_checks().at(target)(seed); }}}};
}

}  // namespace orthoread
