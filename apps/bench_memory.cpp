#include "apps/bench_memory.h"

#include "core/random.h"
#include "ops/lane/widen.h"
#include "ops/read_series.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace orthoread {

template <Real T>
MemoryInputs<T> memory_inputs(const MemorySize& size, bool worst_case) {
  RandomStream random(7);
  const int64_t row = size.heads * size.width;
  const auto normal = [&](double deviation) {
    auto x = Array<T>::uninitialized({size.batch, size.tokens, row});
    T* to = x.edit();
    std::generate_n(to, x.size(), [&] { return static_cast<T>(deviation * random.normal()); });
    if (worst_case) {  // the second token is the first turned by a right angle, each pair (a, b) to (-b, a)
      for (int64_t i = 1; i < row && 2 * row <= x.size(); i += 2)
        std::tie(to[row + i - 1], to[row + i]) = std::pair(-to[i], to[i - 1]);
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

namespace {

/// The terms of one read, of a matrix A with this trace and sum of squares: those of all its eigenvalues or, where
/// taking the largest out pays, of the others; see ops/lane/leading.h for the rule. w is the last token's eigenvector,
/// and a few products make it this one's.
double terms_of_read(const std::vector<ReadSeries>& ladder, double precision, const std::vector<double>& A,
                     double trace, double square, std::vector<double>& w) {
  const auto bound = [](double count, double sum, double squares) {
    const double spread = (1 - 1 / count) * (squares - sum * sum / count);
    return sum / count + std::sqrt(std::max(1e-9, spread));
  };
  const auto terms = [&](double most) {
    const auto fits = [&](const ReadSeries& series) { return series.beta > most * 1.0001; };
    return static_cast<double>((std::find_if_not(ladder.begin() + 1, ladder.end(), fits) - 1)->coefficients.size());
  };
  double theta = 0;
  for (int product = 0; product < 6; ++product) {
    std::vector<double> next(w.size());
    double size = 0;
    for (size_t i = 0; i < w.size(); ++i) {
      for (size_t j = 0; j < w.size(); ++j) next[i] += A[i * w.size() + j] / trace * w[j];
      size += next[i] * next[i];
    }
    theta = std::sqrt(size);
    for (double& x : next) x /= theta;
    w = next;
  }
  const auto d = static_cast<double>(w.size());
  const double sigma = square / trace / trace, all = bound(d, 1, sigma);
  const double others = bound(d - 1, 1 - theta, sigma - theta * theta);
  if (all < kApartFrom || theta < others) return terms(all);
  const double products = std::acosh(0.05 / precision) / std::acosh(2 * theta / others - 1);  // for a guess 0.05 off
  return 4 * (terms(all) - terms(others)) > products + kApartPasses ? terms(others) : terms(all);
}

}  // namespace

/// Follows C and A = C^T C over the first sequence's first tokens, in double and without the stabiliser m, of which the
/// normalised read does not depend; see ops/lane/memory.h for the recurrence and ops/lane/read.h for the bound.
template <Real T>
SeriesTerms series_terms(const MemoryRead& read, const MemorySize& size, const MemoryInputs<T>& inputs) {
  if (!read.orthogonalized) return {};
  const bool in_double = std::same_as<T, double> || computed_in_double<T>(read);
  const double precision = in_double ? 0x1p-53 : 0x1p-24;
  const std::vector<ReadSeries>& ladder = read_series(read.steps, precision);
  const int64_t d = size.width, tokens = std::min<int64_t>(size.tokens, 1024);
  double total = 0;
  for (int64_t head = 0; head < size.heads; ++head) {
    std::vector<double> C(static_cast<size_t>(d * d)), A = C, p(static_cast<size_t>(d)), w(p.size(), 1);
    for (int64_t t = 0; t < tokens; ++t) {
      const int64_t gate = t * size.heads + head;
      const T *k = inputs.key.value().data() + gate * d, *v = inputs.value.value().data() + gate * d;
      const double f = std::exp(static_cast<double>(inputs.log_forget.value().data()[gate]));
      const double i = std::exp(static_cast<double>(inputs.input_gate.value().data()[gate]));
      double kk = 0, trace = 0, square = 0;
      for (int64_t a = 0; a < d; ++a) kk += static_cast<double>(k[a] * k[a]);
      for (int64_t b = 0; b < d; ++b) p[static_cast<size_t>(b)] = i * i * kk / 2 * static_cast<double>(v[b]);
      for (int64_t a = 0; a < d; ++a)
        for (int64_t b = 0; b < d; ++b) {
          double& c = C[static_cast<size_t>(a * d + b)];
          p[static_cast<size_t>(b)] += f * i * static_cast<double>(k[a]) * c;
          c = f * c + i * static_cast<double>(k[a] * v[b]);
        }
      for (int64_t a = 0; a < d; ++a)
        for (int64_t b = 0; b < d; ++b) {
          double& x = A[static_cast<size_t>(a * d + b)];
          x = f * f * x + p[static_cast<size_t>(a)] * static_cast<double>(v[b]) +
              p[static_cast<size_t>(b)] * static_cast<double>(v[a]);
          square += x * x;
          trace += a == b ? x : 0;
        }
      total += terms_of_read(ladder, precision, A, trace, square, w);
    }
  }
  return {total / static_cast<double>(size.heads * tokens), static_cast<double>(ladder[0].coefficients.size())};
}

/// A multiply-add is two operations; only what costs d^2 is counted, and in backward nothing that forward has made once
/// already. Taking an eigenvalue out is not counted. In units of d^2:
///   all     C = f C + i k v^T 3, C^T q 2;                   dC = f dC + q dy^T 3, <dC, C> 2, dC v, dC^T k, C dy 2 each
///   NS      u = C^T k 2;                                    dC += k du^T 2, C du 2
///   k >= 1  A = f^2 A + p v^T + v p^T 5, its square 2,      dA = f^2 dA + dG 2, dA v, dA u 2 each, <dA, A>, <dG, G> 2
///   each,
///           N - 1 products with S 2 each;                   N - 1 products with S and outer products 2 each
MemoryFlops memory_flops(const MemoryRead& read, int64_t width, double terms) {
  MemoryFlops flops = {5, 11};
  if (read.orthogonalized) flops = {7, 15};
  if (read.orthogonalized && read.steps > 0) flops = {14 + 2 * (terms - 1), 25 + 4 * (terms - 1)};
  const auto entries = static_cast<double>(width * width);
  return {flops.forward * entries, flops.backward * entries};
}

#define INSTANTIATE(T)                                                \
  template MemoryInputs<T> memory_inputs<T>(const MemorySize&, bool); \
  template SeriesTerms series_terms(const MemoryRead&, const MemorySize&, const MemoryInputs<T>&);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace orthoread
