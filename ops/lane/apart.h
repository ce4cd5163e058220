// The read where the largest eigenvalue of G is taken out of the series, and its reverse. With leading.h's
//   G = mu w w^T + G',  G' w = 0,   y = eta w + y',  y' orthogonal to w,   dr = delta w + t' alike:
//   r = g(mu) eta w + g(G') y',     dy = g(mu) delta w + g(G') t'.
// The gradient of G has the divided differences of g for weights: from eigenvalue a's direction to b's
// (g(a) - g(b)) / (a - b), and g'(a) from a to itself. So with H(x) = (g(mu) - g(x)) / (mu - x)
//   dG = g'(mu) delta eta w w^T + w (delta H(G') y' + eta H(G') t')^T + M,
// up to what the symmetric part leaves out, M being the sum of outer products that g(G') gives by itself. H is as
// smooth as g, so its series on [0, beta] is as short; it is applied to the sequences T_j y' and T_j t' once both are
// there. Hence y' climbs upwards here, as t' does, and the b_j of M come from T_n y' afterwards: as 2 S turns U_n into
// U_{n+1},
//   b_j = sum_i c_i U_{i-j} y' = sum_n 2 (c_{j+n} + c_{j+n+2} + ...) T_n y',   j >= 1, with half of that for n = 0.
//
// Rounding. w is not exact and y' not quite orthogonal to it, and what is left along w is at an eigenvalue near 0 now,
// where g and its slope are largest. Along w it is known what results should be, so that part is taken out again: of
// g(G') y' and g(G') t' and, as (M w + M^T w) w^T, of M's symmetric part.
#pragma once

#include "ops/lane/read.h"

namespace orthoread::ORTHOREAD_ISA {

/// g and its slope, by the steps that define g (ops/read_series.h).
template <typename T>
struct ReadAt {
  T g, slope;
};
template <typename T>
ReadAt<T> read_at(int steps, T x) {
  ReadAt<T> y{T(1), T(0)};
  T z = x, z_slope = T(1);
  for (int i = 0; i < steps; ++i) {
    const T h = (T(3) - z) / T(2), h_slope = -z_slope / T(2);
    y = {y.g * h, y.slope * h + y.g * h_slope};
    z_slope = z_slope * h * h + T(2) * z * h * h_slope;
    z *= h * h;
  }
  return y;
}

/// e_j of H(x) = sum_j e_j T_j(2x/beta - 1). With 2x/beta - 1 = cos phi,
///   (a - cos phi) H = 2/beta (g(mu) - g),  a = 2 mu/beta - 1,
/// and 1 / (a - cos phi) = sum_k z^|k| exp(i k phi) / sqrt(a^2 - 1) with z = a - sqrt(a^2 - 1): a convolution with the
/// right side's coefficients, that is two recurrences, one from each end.
template <typename T>
void divided_series(const Scaling<T>& s, T g, T* e) {
  const int terms = s.series.terms;
  const T* c = s.series.coefficients;
  const T two = T(2) / s.series.beta, a = two * s.leading - T(1), root = sqrt((a - T(1)) * (a + T(1)));
  const T z = T(1) / (a + root), over = two / root;
  T from_above = T(0);
  for (int j = terms - 1; j > 0; --j) {
    from_above *= z;
    e[j] = from_above;
    from_above -= c[j] / T(2);
  }
  from_above *= z;
  T from_below = from_above + g - c[0];
  e[0] = over * (from_below + from_above);
  for (int j = 1; j < terms; ++j) {
    from_below = z * from_below - c[j] / T(2);
    e[j] = T(2) * over * (from_below + e[j]);
  }
}

/// to_r = sum_j weights_r[j] row_j, j < count, for r < R.
template <typename T, int R, class W>
void weigh_rows(W width, int count, const T* const (&weights)[R], const T* rows, T* const (&to)[R]) {
  constexpr int lanes = Pack<T>::lanes, packs = packs_at_once<T, W>(R + 1);
  for (int column = 0; column < width.value; column += packs * lanes) {
    Pack<T> sums[R][packs] = {};
    for (int j = 0; j < count; ++j) {
      ORTHOREAD_UNROLL for (int p = 0; p < packs; ++p) {
        const Pack<T> row = in_register(load(rows + j * width.value + column + p * lanes));
        ORTHOREAD_UNROLL for (int r = 0; r < R; ++r) sums[r][p] = fma(splat(weights[r][j]), row, sums[r][p]);
      }
    }
    ORTHOREAD_UNROLL for (int r = 0; r < R; ++r) {
      ORTHOREAD_UNROLL for (int p = 0; p < packs; ++p) store(to[r] + column + p * lanes, sums[r][p]);
    }
  }
}

/// x -= w (w.x); the factor is returned.
template <typename T, class W>
ORTHOREAD_INLINE T project(W width, const T* w, T* x) {
  const T along = dot(width, w, static_cast<const T*>(x));
  add(width, -along, w, x);
  return along;
}

/// The read. y is y' then; rest: room for A'; b as in sum_series.
template <typename T, class W>
void sum_series_apart(W width, const LanePlan<T>& plan, const Scaling<T>& s, const T* A, const T* w, T* y, T* rest,
                      T* b) {
  take_out(width, A, s.leading * s.rho2, w, rest);
  const T eta = project(width, w, y);
  sum_series(width, s, rest, y, b);
  project(width, w, b);
  add(width, read_at(plan.steps, s.leading).g * eta, w, b);
}

/// What the reverse works in.
template <typename T>
struct ApartRows {
  T *w, *p, *e, *x, *z;  // w, the T_j y', the e_j, two vectors
};

/// As sum_series_both_ways: r in row 0 of b, the rows of b and t whose outer products are dG, and dy. There is one pair
/// more, w's: row `terms` of b and row terms - 1 of t. A is A' then; <dA, A - A'> is returned.
template <typename T, class W>
T sum_series_both_ways_apart(W width, const LanePlan<T>& plan, const Scaling<T>& s, T* A, const T* y, T* b, T* t, T* dy,
                             const ApartRows<T>& rows) {
  const int d = width.value, terms = s.series.terms;
  const T *c = s.series.coefficients, *w = rows.w;
  T *p = rows.p, *e = rows.e, *x = rows.x, *z = rows.z;  // w's pair is w and z
  take_out(width, A, s.leading * s.rho2, w, A);
  scale(width, T(1), y, p);
  const T eta = project(width, w, p), delta = project(width, w, t);
  zero(width, x);
  for (int j = 1; j < terms; ++j) {
    const T weight = T(j == 1 ? 1 : 2);
    T* const to[2] = {p + j * d, t + j * d};
    const T* const before[2] = {j == 1 ? x : to[0] - 2 * d, j == 1 ? x : to[1] - 2 * d};
    sum_rows<T, 2>(width, A, {to[0] - d, to[1] - d}, [&](int r, int column, Pack<T> product) {
      store(to[r] + column,
            climb(weight, s.slope, product, load(to[r] - d + column), Pack<T>{} - load(before[r] + column)));
    });
  }

  const ReadAt<T> at = read_at(plan.steps, s.leading);
  divided_series(s, at.g, e);
  weigh_rows<T, 2>(width, terms, {c, e}, p, {b, z});
  weigh_rows<T, 2>(width, terms, {c, e}, t, {dy, x});
  project(width, w, b);
  add(width, at.g * eta, w, b);
  project(width, w, dy);
  add(width, at.g * delta, w, dy);
  combine(width, delta, z, eta, x, z);
  project(width, w, z);
  add(width, at.slope * delta * eta, w, z);
  scale(width, T(1) / (T(2) * s.slope * s.rho2), z, z);  // in units of the other pairs

  scale(width, T(0.5), p, p);
  const T* tails = s.series.tails;
  for (int j = 1; j < terms; j += 2)
    weigh_rows<T, 2>(width, terms - j, {tails + j, tails + j + 1}, p, {b + j * d, b + (j + 1) * d});
  scale(width, T(0.5), t, t);  // all weights are 2 now
  const auto clear_along_w = [&](const T* these, const T* others) {
    for (int j = 0; j < terms - 1; ++j) e[j] = dot(width, w, these + j * d);
    weigh_rows<T, 1>(width, terms - 1, {e}, others, {x});
    add(width, T(-1), x, z);
  };
  clear_along_w(t, b + d);
  clear_along_w(b + d, t);
  scale(width, T(1), w, t + (terms - 1) * d);
  scale(width, T(1), z, b + terms * d);
  return T(2) * s.slope * s.leading * s.rho2 * dot(width, w, static_cast<const T*>(z));
}

}  // namespace orthoread::ORTHOREAD_ISA
