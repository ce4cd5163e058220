// The orthogonalized read in O(d^2): r = NS_k(C)^T q without NS_k(C), and its reverse.
//
// With rho = max(|C|_F, eps), X = C / rho and G = X^T X: NS_k(X) = X g(X^T X) for a polynomial g (ops/read_series.h),
// and G is symmetric, so
//   r = NS_k(X)^T q = g(G) y,   y = X^T q = C^T q / rho,   G = A / rho^2,   rho^2 = max(trace A, eps^2).
// NS_k(X) itself is never formed; what is needed is a polynomial in G times a vector. On [0, beta], which must contain
// the eigenvalues of G, g(x) = sum_{j<N} c_j T_j(2x/beta - 1). With S = 2G/beta - I, Clenshaw's recurrence
//   b_j = c_j y + 2 S b_{j+1} - b_{j+2},  j = N-1 ... 1,      r = b_0 = c_0 y + S b_1 - b_2
// sums the series with one matrix-vector product a term.
//
// beta. The traces of G, G^2 and G^3 bound its eigenvalues (leading.h), and the shortest interval of the ladder above
// the bound is used; where one eigenvalue stands apart, it is taken out first (apart.h). Each series equals g to the
// scalar's precision there, so the choice changes nothing but the cost, and has no derivative.
//
// Reverse. Let t_j be the cotangent of b_j. Transposing the recurrence runs it upwards:
//   t_0 = dr,  t_1 = S t_0,  t_{j+1} = 2 S t_j - t_{j-1},     that is t_j = T_j(S) dr,
//   dy = sum_j c_j t_j,       dS = t_0 b_1^T + 2 sum_{j>=1} t_j b_{j+1}^T,     dG = 2/beta dS.
// t_j needs no b and b_j no t, so the two recurrences climb together and share their passes over A.
// From G = A / rho^2 and y = C^T q / rho, with d(rho^2) = 0 where the norm is clamped:
//   dA = dG / rho^2 + d(rho^2) I,  d(rho^2) = -(<dG, G> + dy.y / 2) / rho^2.
// dA is meant to be symmetric, and as only (dA + dA^T)/2 is ever looked at, it may be kept as it falls out.
#pragma once

#include "ops/lane/leading.h"

namespace orthoread::ORTHOREAD_ISA {

/// How one token's memory is normalised and which series it takes.
template <typename T>
struct Scaling {
  T rho2;
  bool clamped;
  T leading;  // the eigenvalue of G that is taken out, or 0
  int rung;   // of the ladder, the series for the rest
  LaneSeries<T> series;
  T slope;  // S = slope A - I
};

template <typename T>
Scaling<T> scaling(const Memory<T>& memory) {
  const T floor = T(kMemoryEps * kMemoryEps);
  const bool clamped = memory.trace < floor;
  return {clamped ? floor : memory.trace, clamped, T(0), 0, {}, T(0)};
}

template <typename T>
void set_series(const LanePlan<T>& plan, T leading, int rung, Scaling<T>& s) {
  s.leading = leading;
  s.rung = rung;
  s.series = plan.ladder[rung];
  s.slope = T(2) / (s.series.beta * s.rho2);
}

/// One step of either recurrence, weight S x + rest, from the product A x. The next product waits for this one: a
/// single multiply-add stands between them, all else is ready before.
template <typename T>
ORTHOREAD_INLINE Pack<T> climb(T weight, T slope, Pack<T> product, Pack<T> x, Pack<T> rest) {
  return fma(splat(weight * slope), product, rest - splat(weight) * x);
}

/// Clenshaw's recurrence: b has a row for each b_j, one more is set to 0; the read is b_0.
template <typename T, class W>
void sum_series(W width, const Scaling<T>& s, const T* A, const T* y, T* b) {
  const int d = width.value, terms = s.series.terms;
  zero(width, b + terms * d);
  scale(width, s.series.coefficients[terms - 1], y, b + (terms - 1) * d);
  for (int j = terms - 2; j >= 0; --j) {
    const T weight = T(j == 0 ? 1 : 2), c = s.series.coefficients[j];
    T* bj = b + j * d;
    sum_rows<T, 1>(width, A, {bj + d}, [&](int, int column, Pack<T> product) {
      store(bj + column, climb(weight, s.slope, product, load(bj + d + column),
                               splat(c) * load(y + column) - load(bj + 2 * d + column)));
    });
  }
}

/// Both recurrences: b as above, and from t_0, which the caller has set, t_1 ... t_{N-1} and dy. At last t_0 is halved,
/// so that all pairs of t_j and b_{j+1} have the weight 2.
template <typename T, class W>
void sum_series_both_ways(W width, const Scaling<T>& s, const T* A, const T* y, T* b, T* t, T* dy) {
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
    sum_rows<T, 2>(width, A, {bj + d, tj - d}, [&](int r, int column, Pack<T> product) {
      if (r == 0) {
        store(bj + column, climb(weight_b, s.slope, product, load(bj + d + column),
                                 splat(c[down]) * load(y + column) - load(bj + 2 * d + column)));
      } else {
        const Pack<T> next = climb(weight_t, s.slope, product, load(tj - d + column), none - load(t_before + column));
        store(tj + column, next);
        store(dy + column, fma(splat(c[up]), next, load(dy + column)));
      }
    });
  }
  scale(width, T(0.5), t, t);  // all pairs' weights are 2 now
}

/// dA, kept as decay Z + shift I with Z not symmetric: see above.
template <typename T>
struct GramCotangent {
  T* Z;
  T decay, shift;
};

/// Adds the read's dA to `dA`, from `count` pairs of rows of t, the first one halved, and b. `radial` is what
/// <dG, G> + dy.y / 2 has beside those.
template <typename T, class W>
void add_gram_cotangent(W width, const Scaling<T>& s, int count, Wide<T> radial, const T* A, const T* y, const T* dy,
                        const T* b, T* t, GramCotangent<T>& dA) {
  if (count > 0) {
    T* Z = dA.Z;
    const T factor = T(2) * s.slope, decay = dA.decay;
    radial += sum_outer_products<T>(width, count, t, b + width.value, [&](int at, Pack<T> x, Pack<T>& products) {
      const Pack<T> new_part = splat(factor) * x;
      products = fma(new_part, load(A + at), products);
      store(Z + at, fma(splat(decay), load(Z + at), new_part));
    });
    dA.decay = T(1);
  }
  if (!s.clamped) dA.shift -= static_cast<T>(radial + Wide<T>(dot(width, dy, y)) / Wide<T>(2)) / s.rho2;
}

}  // namespace orthoread::ORTHOREAD_ISA
