#include "apps/probe/ridge_decoder.h"

#include "ops/gemm.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

namespace orthoread {
namespace {

constexpr double kLambdas[] = {.1, 1, 10, 100};

/// Rows of features with their labels.
struct Rows {
  Array<double> x;  // (n, f)
  std::vector<int64_t> labels;
};

Rows part(const Rows& rows, int64_t begin, int64_t end) {
  const int64_t width = rows.x.dim(1);
  Array<double> x({end - begin, width});
  std::copy_n(rows.x.data() + begin * width, x.size(), x.edit());
  return {std::move(x), {rows.labels.begin() + begin, rows.labels.begin() + end}};
}

/// Solves A W = B for a symmetric positive definite A (f, f), by Cholesky, A = L L^T. B (f, c).
Array<double> solve(Array<double> a, Array<double> b) {
  const int64_t n = a.dim(0), columns = b.dim(1);
  double *l = a.edit(), *w = b.edit();
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t j = 0; j <= i; ++j) {
      double s = l[i * n + j];
      for (int64_t k = 0; k < j; ++k) s -= l[i * n + k] * l[j * n + k];
      l[i * n + j] = i == j ? std::sqrt(s) : s / l[j * n + j];
    }
  }
  const auto eliminate = [&](int64_t i, int64_t k, double factor) {
    for (int64_t c = 0; c < columns; ++c) w[i * columns + c] -= factor * w[k * columns + c];
  };
  const auto divide = [&](int64_t i) {
    for (int64_t c = 0; c < columns; ++c) w[i * columns + c] /= l[i * n + i];
  };
  for (int64_t i = 0; i < n; ++i) {
    for (int64_t k = 0; k < i; ++k) eliminate(i, k, l[i * n + k]);
    divide(i);
  }
  for (int64_t i = n - 1; i >= 0; --i) {
    for (int64_t k = i + 1; k < n; ++k) eliminate(i, k, l[k * n + i]);
    divide(i);
  }
  return b;
}

/// W = (X^T X + lambda I)^-1 X^T Y, Y one-hot: (f, classes).
Array<double> fit(const Rows& rows, double lambda, int64_t classes) {
  Array<double> y({rows.x.dim(0), classes});
  for (size_t i = 0; i < rows.labels.size(); ++i) y.edit()[static_cast<int64_t>(i) * classes + rows.labels[i]] = 1;
  Array<double> gram = matmul(rows.x, rows.x, true);
  for (int64_t i = 0; i < gram.dim(0); ++i) gram.edit()[i * gram.dim(0) + i] += lambda;
  return solve(std::move(gram), matmul(rows.x, y, true));
}

double share_decoded(const Rows& rows, const Array<double>& weights) {
  const Array<double> scores = matmul(rows.x, weights);
  const int64_t classes = scores.dim(1);
  int64_t right = 0;
  for (size_t i = 0; i < rows.labels.size(); ++i) {
    const double* row = scores.data() + static_cast<int64_t>(i) * classes;
    right += std::max_element(row, row + classes) - row == rows.labels[i] ? 1 : 0;
  }
  return static_cast<double>(right) / static_cast<double>(rows.labels.size());
}

/// (feature - mean) / standard deviation, both over the first `train` rows; a constant feature is divided by 1.
Array<double> standardised(Array<double> x, int64_t train) {
  const int64_t n = x.dim(0), width = x.dim(1);
  double* to = x.edit();
  for (int64_t j = 0; j < width; ++j) {
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < train; ++i) mean += to[i * width + j] / static_cast<double>(train);
    for (int64_t i = 0; i < train; ++i)
      variance += (to[i * width + j] - mean) * (to[i * width + j] - mean) / static_cast<double>(train);
    const double deviation = variance > 0 ? std::sqrt(variance) : 1;
    for (int64_t i = 0; i < n; ++i) to[i * width + j] = (to[i * width + j] - mean) / deviation;
  }
  return x;
}

/// The q quantile of the distinct numbers, linear between neighbours (as in NumPy).
double quantile(std::vector<int64_t> numbers, double q) {
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  const double at = q * static_cast<double>(numbers.size() - 1);
  const auto below = static_cast<size_t>(at), above = std::min(below + 1, numbers.size() - 1);
  const auto a = static_cast<double>(numbers[below]), b = static_cast<double>(numbers[above]);
  return a + (b - a) * (at - static_cast<double>(below));
}

}  // namespace

DecoderResult ridge_decoder(const DecoderSamples& samples) {
  const int64_t n = samples.features.dim(0), width = samples.features.dim(1);
  const double last = n == 0 ? 0 : quantile(samples.groups, .7);
  std::vector<int64_t> order(samples.groups.size());  // the training samples first
  std::iota(order.begin(), order.end(), 0);
  const auto trains = [&](int64_t i) { return static_cast<double>(samples.groups[static_cast<size_t>(i)]) <= last; };
  const int64_t train = std::stable_partition(order.begin(), order.end(), trains) - order.begin(),
                fit_on = train - train / 5;
  check(fit_on < train && train < n,
        "ridge decoder: {} samples to train on and {} to test are too few; give it more sequences", train, n - train);
  Rows rows{Array<double>({n, width}), {}};
  for (size_t i = 0; i < order.size(); ++i) {
    std::copy_n(samples.features.data() + order[i] * width, width, rows.x.edit() + static_cast<int64_t>(i) * width);
    rows.labels.push_back(samples.labels[static_cast<size_t>(order[i])]);
  }
  rows.x = standardised(std::move(rows.x), train);
  const int64_t classes = *std::max_element(rows.labels.begin(), rows.labels.end()) + 1;
  double chosen = 0, best = -1;
  for (const double lambda : kLambdas) {
    const double share = share_decoded(part(rows, fit_on, train), fit(part(rows, 0, fit_on), lambda, classes));
    if (share > best) std::tie(chosen, best) = std::pair(lambda, share);
  }
  const Array<double> weights = fit(part(rows, 0, train), chosen, classes);
  return {share_decoded(part(rows, train, n), weights), chosen, train, n - train};
}

}  // namespace orthoread
