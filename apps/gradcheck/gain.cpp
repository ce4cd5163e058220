#include "apps/gradcheck/gain.h"

#include "apps/plot.h"
#include "core/random.h"

#include <fmt/format.h>

namespace orthoread {
namespace {

constexpr int64_t kWidth = 8;
constexpr double kLargestSingularValue = 0.7;  // of a pair, as all singular values together have norm 1

/// x += factor a b^T, where a and b are columns of two matrices.
void add_outer(Array<double>& x, double factor, const Array<double>& a, int64_t i, const Array<double>& b, int64_t j) {
  double* to = x.edit();
  for (int64_t row = 0; row < kWidth; ++row) {
    for (int64_t column = 0; column < kWidth; ++column)
      to[row * kWidth + column] += factor * a.data()[row * kWidth + i] * b.data()[column * kWidth + j];
  }
}

/// A random orthogonal matrix: the reflection I - 2 w w^T / |w|^2 with normal w.
Array<double> reflection(RandomStream& random) {
  double w[kWidth], squares = 0;
  for (double& x : w) {
    x = random.normal();
    squares += x * x;
  }
  Array<double> y({kWidth, kWidth});
  for (int64_t i = 0; i < kWidth * kWidth; ++i)
    y.edit()[i] = (i / kWidth == i % kWidth ? 1 : 0) - 2 * w[i / kWidth] * w[i % kWidth] / squares;
  return y;
}

double norm(const Array<double>& x) {
  double squares = 0;
  for (int64_t i = 0; i < x.size(); ++i) squares += x.data()[i] * x.data()[i];
  return std::sqrt(squares);
}

}  // namespace

Gain newton_schulz_gain(double s, int steps, OddPolynomial step, uint64_t seed) {
  check(s >= 0 && s <= kLargestSingularValue, "gain: a pair of singular values from 0 to {} is allowed, not {}",
        kLargestSingularValue, s);
  RandomStream random(seed);
  const Array<double> u = reflection(random), v = reflection(random);
  const double others = std::sqrt((1 - 2 * s * s) / static_cast<double>(kWidth - 2));
  Array<double> c({kWidth, kWidth});
  for (int64_t i = 0; i < kWidth; ++i) add_outer(c, i < 2 ? s : others, u, i, v, i);
  const auto gain = [&](int64_t of_u, int64_t of_v) {  // for the cotangent (u v[of_v]^T - u' v[of_u]^T) / sqrt 2
    Array<double> cotangent(c.shape());
    add_outer(cotangent, std::sqrt(0.5), u, 0, v, of_u);
    add_outer(cotangent, -std::sqrt(0.5), u, 1, v, of_v);
    const Tensor<double> leaf = Tensor<double>::leaf(c);
    backward(newton_schulz(leaf, steps, 1e-6, step), cotangent);
    return norm(leaf.grad()) * norm(c) / norm(cotangent);
  };
  return {.turning = gain(1, 0), .stretching = gain(0, 1)};
}

Gain polar_gain(double s) { return {.turning = 1 / s, .stretching = 0}; }

GainTable::GainTable(std::vector<double> rows, std::vector<int> columns, OddPolynomial step, uint64_t seed)
    : singular_values(std::move(rows)), steps(std::move(columns)) {
  for (const double s : singular_values) {
    std::vector<Gain>& row = gains.emplace_back();
    for (const int k : steps) row.push_back(newton_schulz_gain(s, k, step, seed));
  }
}

std::string GainTable::text() const {
  std::string table;
  for (const bool turning : {true, false}) {
    table +=
        fmt::format("{}{}\n{:>10}", table.empty() ? "" : "\n",
                    turning ? "turning: |dL/dC| |C| / |dL/dR| for a cotangent that turns a pair of singular vectors"
                            : "stretching: the same for a cotangent that stretches the pair",
                    "s / |C|");
    for (const int k : steps) table += fmt::format("{:>9}", fmt::format("ns{}", k));
    table += fmt::format("{:>9}\n", "polar");
    for (size_t i = 0; i < gains.size(); ++i) {
      const auto cell = [&](const Gain& gain) {
        return fmt::format("{:>9.3g}", turning ? gain.turning : gain.stretching);
      };
      table += fmt::format("{:>10g}", singular_values[i]);
      for (const Gain& gain : gains[i]) table += cell(gain);
      table += cell(polar_gain(singular_values[i])) + "\n";
    }
  }
  return table;
}

void plot_gains(const std::string& path, OddPolynomial step, uint64_t seed) {
  std::vector<double> singular_values;
  for (double s = kLargestSingularValue; s > 0.9e-4; s /= 1.1) singular_values.push_back(s);
  const GainTable table(std::move(singular_values), {0, 1, 3, 5, 8, 10}, step, seed);
  std::string script =
      "set logscale xy\nset grid\nset key outside right\n"
      "set xlabel 'a pair of singular values of C, relative to |C|'\n"
      "set ylabel 'gain of a turning cotangent'\n"
      "set title 'The gradient before orthogonalization over the one after it'\n"
      "set format '%g'\nset yrange [0.7:2000]\n$gains << END\n";
  for (size_t i = 0; i < table.gains.size(); ++i) {
    script += fmt::format("{:.9g}", table.singular_values[i]);
    for (const Gain& gain : table.gains[i]) script += fmt::format(" {:.9g}", gain.turning);
    script += fmt::format(" {:.9g}\n", polar_gain(table.singular_values[i]).turning);
  }
  script += "END\nplot ";
  size_t column = 2;
  for (const int k : table.steps)
    script += fmt::format("$gains using 1:{} with lines lw 2 title 'ns{}', ", column++, k);
  script += fmt::format("$gains using 1:{} with lines lw 2 dashtype 2 lc 'gray40' title 'exact polar factor'", column);
  plot(path, script);
}

}  // namespace orthoread
