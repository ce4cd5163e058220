#include "apps/gradcheck/matrix_checks.h"

#include "models/recall_model.h"
#include "ops/elementwise.h"
#include "ops/gradcheck/numbers.h"
#include "ops/mlstm.h"
#include "ops/mlstm_composed.h"
#include "ops/newton_schulz.h"
#include "ops/norm.h"
#include "ops/softmax.h"

namespace orthoread {
namespace {

using Vectors = std::vector<std::vector<double>>;

constexpr int64_t kHeads = 2;

/// `count` orthonormal vectors of `width` numbers: Gram-Schmidt, done twice, on normal vectors.
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

/// The i-th of `rank` singular values, which fall geometrically from `scale` to scale / condition.
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

/// Query, key, value, input gate and log forget gate. In each head of each sequence, token t writes one of `rank`
/// orthonormal keys, in turn, with a normal value scaled by the key's singular value.
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

/// Two tokens of three are read. They differ by sequence, and include one of the two tokens at the border of two
/// chunks.
ReadMask mask_of(const MatrixCase& memory) {
  ReadMask mask({memory.sequences, memory.tokens});
  for (int64_t i = 0; i < mask.size(); ++i)
    mask.edit()[i] = (i / memory.tokens + i % memory.tokens + 1) % 3 != 0 ? 1 : 0;
  return mask;
}

}  // namespace

GradientReport check_newton_schulz(const MatrixCase& matrix) {
  const OddPolynomial step = matrix.polynomial == "quintic" ? kMuonQuintic : kCubic;
  // Three of Muon's quintic steps enlarge the rounding error of a small singular value 41 times.
  const bool quintic = matrix.polynomial == "quintic";
  const GradientLimits limits{.dual = 1e-14,
                              .on_dual = 1e-15,
                              .symmetry = quintic ? 1e-11 : 1e-14,
                              .hessian = quintic ? 1e-5 : 1e-6,
                              .float32 = quintic ? 40. : 6.,
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
  const ReadMask mask = memory.masked ? mask_of(memory) : ReadMask();
  const auto finish = [&]<Real T>(const Tensor<T>& h) {
    return memory.normed ? group_norm(h, Tensor<T>(Array<T>::filled(weight_shape, T(1))), kHeads) : h;
  };
  const Functions fused([&](const auto& x) { return finish(mlstm(x[0], x[1], x[2], x[3], x[4], read, mask)); });
  const Functions twin([&]<Real T>(const std::vector<Tensor<T>>& x) {
    Tensor<T> h = mlstm_composed(x[0], x[1], x[2], x[3], x[4], read);
    if (memory.masked) {
      Array<T> factors({memory.sequences, memory.tokens, 1});
      for (int64_t i = 0; i < mask.size(); ++i) factors.edit()[i] = T(mask.data()[i]);
      h = h * Tensor<T>(factors);
    }
    return finish(h);
  });
  const std::string name =
      fmt::format("read, {}{}, width {}, sequences {}, tokens {}, rank {}, condition {:g}, scale {:g}{}{}", read.name(),
                  read.alpha == 1 || !read.orthogonalized ? "" : fmt::format(" blended by {:g}", read.alpha),
                  memory.width, memory.sequences, memory.tokens, memory.rank, memory.condition, memory.scale,
                  memory.masked ? ", two tokens of three read" : "", memory.normed ? ", after the group norm" : "");
  // Both backwards have rounding errors that grow with 2.25^steps (ops/mlstm.cpp).
  const double limit = read.steps > 8 ? 2.5e-12 : read.steps > 5 ? 1e-12 : 3e-13;
  const GradientLimits limits{.dual = limit / 5,
                              .on_dual = limit,
                              .symmetry = 2e-13,
                              .float32 = read.steps > 5 ? 16. : 40.,
                              .seed = memory.seed};
  const std::vector<Input> inputs = memory_of(memory);
  return fused_report(name, inputs, fused, twin, limit, limits);
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
  RandomStream noise(seed + 1);  // moves parameters that start at 0 or 1, where gradients may vanish
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
                         {.dual = 2e-13, .on_dual = 5e-14, .symmetry = 1e-14, .float32 = 40, .seed = seed});
}

}  // namespace orthoread
