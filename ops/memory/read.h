// The orthogonalized read in O(d^2): r = NS_k(C)^T q without NS_k(C), and its reverse.
//
// With rho = max(|C|_F, eps), X = C / rho and G = X^T X: NS_k(X) = X g(X^T X) for a polynomial g
// (ops/memory/read_series.h), and G is symmetric, so
//   r = NS_k(X)^T q = g(G) y,   y = X^T q = C^T q / rho,   G = A / rho^2,   rho^2 = max(trace A, eps^2).
// NS_k(X) itself is never formed; what is needed is a polynomial in G times a vector. On [0, beta], which must contain
// the eigenvalues of G, g(x) = sum_{j<N} c_j T_j(2x/beta - 1). With S = 2G/beta - I, Clenshaw's recurrence
//   b_j = c_j y + 2 S b_{j+1} - b_{j+2},  j = N-1 ... 1,      r = b_0 = c_0 y + S b_1 - b_2
// sums the series with one matrix-vector product a term.
//
// beta. The traces of G, G^2 and G^3 bound its eigenvalues (spectrum.h), and the shortest interval above that bound is
// used. Where one eigenvalue dominates, it is deflated first (deflated_read.h). On its interval each series equals g to
// the scalar's precision, so the choice changes nothing but the cost, and has no derivative.
//
// Reverse. Let t_j be the cotangent of b_j. The transposed recurrence runs upwards:
//   t_0 = dr,  t_1 = S t_0,  t_{j+1} = 2 S t_j - t_{j-1},     that is t_j = T_j(S) dr,
//   dy = sum_j c_j t_j,       dS = t_0 b_1^T + 2 sum_{j>=1} t_j b_{j+1}^T,     dG = 2/beta dS.
// No t_j needs a b_j and no b_j a t_j, so the two recurrences advance together and share their passes over A.
// From G = A / rho^2 and y = C^T q / rho, with d(rho^2) = 0 where the norm is clamped:
//   dA = dG / rho^2 + d(rho^2) I,  d(rho^2) = -(<dG, G> + dy.y / 2) / rho^2.
// dA should be symmetric. But only (dA + dA^T) / 2 is ever used, so it is not symmetrized.
#pragma once

#include "ops/memory/spectrum.h"

namespace orthoread::ORTHOREAD_ISA {

/// How one token's memory is normalised and which series it takes.
template <typename T>
struct Scaling {
  T rho2;
  bool clamped;
  T mu;          // the eigenvalue of G that is deflated, or 0
  int interval;  // which one holds the others
  SeriesView<T> series;
  T slope;  // S = slope A - I
};

template <typename T>
Scaling<T> scaling(T trace) {
  const T floor = T(kMemoryEps * kMemoryEps);
  const bool clamped = trace < floor;
  return {clamped ? floor : trace, clamped, T(0), 0, {}, T(0)};
}

template <typename T>
void set_series(const ReadPlan<T>& plan, T mu, int interval, Scaling<T>& s) {
  s.mu = mu;
  s.interval = interval;
  s.series = plan.series[interval];
  s.slope = T(2) / (s.series.beta * s.rho2);
}

/// One step of either recurrence, weight S x + rest, from the product A x. The next product waits for it, so all but
/// one multiply-add is done before A x is known.
template <typename T>
ORTHOREAD_INLINE Pack<T> advance(T weight, T slope, Pack<T> product, Pack<T> x, Pack<T> rest) {
  return fma(splat(weight * slope), product, rest - splat(weight) * x);
}

/// Clenshaw's recurrence: row j of b is b_j, and one more is 0. The read is b_0.
template <typename T, class W>
void sum_series(W width, const Scaling<T>& s, const T* A, const T* y, T* b) {
  const int d = width.value, terms = s.series.terms;
  zero(width, b + terms * d);
  scale(width, s.series.coefficients[terms - 1], y, b + (terms - 1) * d);
  for (int j = terms - 2; j >= 0; --j) {
    const T weight = T(j == 0 ? 1 : 2), c = s.series.coefficients[j];
    T* bj = b + j * d;
    sum_rows<T, 1>(width, direction_of<T>(width, j), A, {bj + d}, [&](int, int column, Pack<T> product) {
      store(bj + column, advance(weight, s.slope, product, load(bj + d + column),
                                 splat(c) * load(y + column) - load(bj + 2 * d + column)));
    });
  }
}

/// The vectors of a read's reverse: y as the series sees it, its cotangent, the b_j and the t_j.
template <typename T>
struct SeriesRows {
  T *y, *dy, *b, *t;
};

/// Both recurrences: b as above, and t_1 ... t_{N-1} and dy from t_0 = dr. At the end t_0 is halved, so that all pairs
/// of t_j and b_{j+1} have the weight 2.
template <typename T, class W>
void sum_series_both_ways(W width, const Scaling<T>& s, const T* A, const SeriesRows<T>& rows) {
  const T* y = rows.y;
  T *b = rows.b, *t = rows.t, *dy = rows.dy;
  const int d = width.value, terms = s.series.terms;
  const T* c = s.series.coefficients;
  const Pack<T> none = {};
  zero(width, b + terms * d);
  scale(width, c[terms - 1], y, b + (terms - 1) * d);
  scale(width, c[0], t, dy);
  for (int up = 1, down = terms - 2; down >= 0; ++up, --down) {
    const T weight_b = T(down == 0 ? 1 : 2), weight_t = T(up == 1 ? 1 : 2);
    T *bj = b + down * d, *tj = t + up * d;
    const T* t_before = up == 1 ? b + terms * d : tj - 2 * d;  // that row of b is 0
    sum_rows<T, 2>(width, direction_of<T>(width, down), A, {bj + d, tj - d}, [&](int r, int column, Pack<T> product) {
      if (r == 0) {
        store(bj + column, advance(weight_b, s.slope, product, load(bj + d + column),
                                   splat(c[down]) * load(y + column) - load(bj + 2 * d + column)));
      } else {
        const Pack<T> next = advance(weight_t, s.slope, product, load(tj - d + column), none - load(t_before + column));
        store(tj + column, next);
        store(dy + column, fma(splat(c[up]), next, load(dy + column)));
      }
    });
  }
  scale(width, T(0.5), t, t);
}

/// dA = decay Z + shift I, with Z not symmetric.
template <typename T>
struct GramCotangent {
  T* Z;
  T decay, shift;
};

/// Adds dG / rho^2, from `count` pairs of t_j and b_{j+1}, and returns <dG, G>.
template <typename T, class W>
Wide<T> add_series_cotangent(W width, const Scaling<T>& s, int count, const T* A, const SeriesRows<T>& rows,
                             GramCotangent<T>& dA) {
  if (count == 0) return Wide<T>(0);
  T* Z = dA.Z;
  const T factor = T(2) * s.slope, decay = dA.decay;
  dA.decay = T(1);
  return sum_outer_products<T>(width, count, rows.t, rows.b + width.value, [&](int at, Pack<T> x, Pack<T>& products) {
    const Pack<T> new_part = splat(factor) * x;
    products = fma(new_part, load(A + at), products);
    store(Z + at, fma(splat(decay), load(Z + at), new_part));
  });
}

/// Adds d(rho^2) I. `radial` is <dG, G>, and what dy.y / 2 has beside rows.y.
template <typename T, class W>
void add_norm_cotangent(W width, const Scaling<T>& s, Wide<T> radial, const SeriesRows<T>& rows, GramCotangent<T>& dA) {
  if (s.clamped) return;
  dA.shift -= static_cast<T>(radial + Wide<T>(dot(width, rows.dy, rows.y)) / Wide<T>(2)) / s.rho2;
}

}  // namespace orthoread::ORTHOREAD_ISA
