// The read where the largest eigenvalue of G is taken out of the series, and its reverse. With leading.h's
//   G = mu w w^T + G',  G' w = 0,   y = eta w + y',  y' orthogonal to w,   dr = delta w + t' alike:
//   r = g(mu) eta w + g(G') y',     dy = g(mu) delta w + g(G') t'.
//
// The query is taken apart as well. a = C w is orthogonal to C times anything orthogonal to w, and |a|^2 = rho^2 mu:
//   q = kappa a + q',  q' orthogonal to a,   kappa = a.q / |a|^2,   eta = a.q / rho,   y' = C^T q' / rho.
// y - eta w is the same vector, but where keys are alike y' is a small part of y, and the rounding errors of y, as
// large along the small eigenvalues as along w, would all be in it, for g to amplify: g(0) is 7.6 for five steps.
//
// Reverse. The gradient of G has the divided differences of g for weights: between the directions of eigenvalues x and
// x' (g(x) - g(x')) / (x - x'), and g'(x) from x to itself. So with H(x) = (g(mu) - g(x)) / (mu - x)
//   dG = g'(mu) delta eta w w^T + w z^T + M,   z = delta H(G') y' + eta H(G') t',
// up to an antisymmetric part, M being the sum of outer products that g(G') gives by itself. M goes the way of read.h,
// through dA. The terms with w would lose digits there: beside t'^T, in the direction of an eigenvalue x, q dy^T / rho
// contributes a eta g(x) / (rho^2 mu) and dA contributes a eta H(x) / rho^2. Their sum at x = 0 is a eta g(mu) /
// (rho^2 mu), though each alone is of the size of g(0). So they are added before anything is rounded, and go to dC:
//   dC = q' dy^T / rho + a b^T + c w^T,   c = C z / rho^2,
//   b  = (F(G') t' + delta H(G') y' + p'(s) delta eta / mu w) / rho^2,   F(x) = kappa rho g(x) + eta H(x),
// where s^2 = mu, and p(s) = s g(s^2) is what the read makes of a singular value: g(mu) + 2 mu g'(mu) = p'(s), which is
// a product over the steps, of 3 (1 - s_i^2) / 2, s_i being s after i steps.
//
// H is as smooth as g, so its series on [0, beta] is as short; it is applied to the sequences T_j y' and T_j t' once
// both are there. Hence y' climbs upwards here, as t' does, and the b_j of M come from T_n y' afterwards: with U_n for
// the Chebyshev polynomials of the second kind,
//   b_j = sum_i c_i U_{i-j} y' = sum_n 2 (c_{j+n} + c_{j+n+2} + ...) T_n y',   j >= 1, with half of that for n = 0.
//
// Rounding. w is not exact and y' not quite orthogonal to it, and what is left along w is at an eigenvalue near 0 now,
// where g and its slope are largest. Along w it is known what results should be, so that part is taken out again: of
// y', g(G') t' and b and, as (M w + M^T w) w^T, of M's symmetric part. So is c's part along a, as a.C z = rho^2 mu w.z
// = 0 while each row of C z is a sum that cancels, and dq's, as a.C dy = |a|^2 w.dy. Without the one of y' the errors
// of h double where queries, keys and values are alike; without another those of a gradient grow 2 to 7 times, so that
// tests/mlstm_test.cpp fails.
#pragma once

#include "ops/lane/read.h"

namespace orthoread::ORTHOREAD_ISA {

/// g(x) and p'(s), s^2 = x, by the steps that define g (ops/read_series.h).
template <typename T>
struct ReadAt {
  T g, p_slope;
};
template <typename T>
ReadAt<T> read_at(int steps, T x) {
  ReadAt<T> y{T(1), T(1)};
  for (int i = 0; i < steps; ++i) {
    const T h = (T(3) - x) / T(2);
    y = {y.g * h, y.p_slope * T(3) * (T(1) - x) / T(2)};
    x *= h * h;
  }
  return y;
}

/// What the forward leaves of a token for the reverse: the rung of its series and mu, or 0 where nothing was taken out,
/// w and y'.
template <typename T>
struct Leading {
  int rung;
  T mu;
  const T *w, *y;
};

/// A query taken apart by w.
template <typename T>
struct SplitQuery {
  Wide<T> mu, eta, rho;
  T kappa;
};

/// a = C w and rest = q', from q.
template <typename T, class W>
SplitQuery<T> split_query(W width, const T* C, const T* w, T rho2, const T* q, T* a, T* rest) {
  dot_rows(width, C, w, a);
  const Wide<T> aa = wide_dot<T>(width, a, a), aq = wide_dot<T>(width, a, q), rho = sqrt(Wide<T>(rho2));
  const T kappa = static_cast<T>(aq / aa);
  scale(width, T(1), q, rest);
  add(width, -kappa, a, rest);  // as fma, kappa a is not rounded: q is q' + kappa a to the rounding of q' alone
  return {aa / Wide<T>(rho2), aq / rho, rho, kappa};
}

/// Is mu beyond the interval of the series for the others, as divided_series needs? find_leading has seen to that, but
/// with the bound that it had before w was refined: another may be a rung longer.
template <typename T>
bool is_beyond(Wide<T> mu, const LaneSeries<T>& series) {
  return mu > Wide<T>(1.01) * Wide<T>(series.beta);
}

/// y', from q'.
template <typename T, class W>
void rest_of_y(W width, const T* C, const T* w, T rho2, const T* rest_of_q, T* y) {
  const Pack<T> over_rho = splat(T(1) / sqrt(rho2));
  sum_rows<T, 1>(width, C, {rest_of_q}, [&](int, int column, Pack<T> x) { store(y + column, over_rho * x); });
  project(width, w, y);
}

/// e_j of H(x) = sum_j e_j T_j(2x/beta - 1), and f_j of F. With 2x/beta - 1 = cos phi,
///   (u - cos phi) H = 2/beta (g(mu) - g),  u = 2 mu/beta - 1,
/// and 1 / (u - cos phi) = sum_k z^|k| exp(i k phi) / sqrt(u^2 - 1) with z = u - sqrt(u^2 - 1): a convolution with the
/// right side's coefficients, that is two recurrences, one from each end. F's terms cancel, so all this is Wide.
template <typename T>
void divided_series(const LaneSeries<T>& series, const SplitQuery<T>& split, Wide<T> g, T* e, T* f) {
  using V = Wide<T>;
  const int terms = series.terms;
  const T* c = series.coefficients;
  const V two = V(2) / V(series.beta), u = two * split.mu - V(1), root = sqrt((u - V(1)) * (u + V(1)));
  const V z = V(1) / (u + root), over = two / root;
  V above[kMostSeriesTerms], from_above = V(0);
  for (int j = terms - 1; j >= 0; --j) {
    above[j] = from_above *= z;
    from_above -= V(c[j]) / V(2);
  }
  V from_below = above[0] + g - V(c[0]);
  for (int j = 0; j < terms; ++j) {
    if (j > 0) from_below = z * from_below - V(c[j]) / V(2);
    const V ej = V(j == 0 ? 1 : 2) * over * (from_below + above[j]);
    e[j] = static_cast<T>(ej);
    f[j] = static_cast<T>(V(split.kappa) * split.rho * V(c[j]) + split.eta * ej);
  }
}

/// to_r = sum_j weights_r[j] row_j, j < count, for r < R, the last rows first: a series' terms fade.
template <typename T, int R, class W>
void weigh_rows(W width, int count, const T* const (&weights)[R], const T* rows, T* const (&to)[R]) {
  constexpr int lanes = Pack<T>::lanes, packs = packs_at_once<T, W>(R + 1);
  for (int column = 0; column < width.value; column += packs * lanes) {
    Pack<T> sums[R][packs] = {};
    for (int j = count - 1; j >= 0; --j) {
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

/// The read, from y' and eta. rest: room for A'; b as in sum_series.
template <typename T, class W>
void sum_series_apart(W width, const LanePlan<T>& plan, const Scaling<T>& s, const T* A, const T* w, const T* y, T eta,
                      T* rest, T* b) {
  take_out(width, A, s.leading * s.rho2, w, rest);
  sum_series(width, s, rest, y, b);
  add(width, read_at(plan.steps, s.leading).g * eta, w, b);
}

/// What the reverse works in, and the vectors of dC = q' dy^T + a b^T + c w^T, which are its results.
template <typename T>
struct ApartRows {
  T *p, *e, *f;  // the T_j y', e_j and f_j
  T *x, *z;      // a vector, and z
  T *w, *q, *a, *b, *c;
};

/// What w's direction has in <dG, G> + dy.y / 2, in dy, and kappa.
template <typename T>
struct ApartScalars {
  T radial, along, kappa;
};

/// T_j y' and T_j t', from the rows for j = 0. none: room for a vector of 0.
template <typename T, class W>
void climb_together(W width, const Scaling<T>& s, const T* A, T* p, T* t, T* none) {
  const int d = width.value;
  zero(width, none);
  for (int j = 1; j < s.series.terms; ++j) {
    const T weight = T(j == 1 ? 1 : 2);
    T* const to[2] = {p + j * d, t + j * d};
    const T* const before[2] = {j == 1 ? none : to[0] - 2 * d, j == 1 ? none : to[1] - 2 * d};
    sum_rows<T, 2>(width, A, {to[0] - d, to[1] - d}, [&](int r, int column, Pack<T> product) {
      store(to[r] + column,
            climb(weight, s.slope, product, load(to[r] - d + column), Pack<T>{} - load(before[r] + column)));
    });
  }
}

/// The pairs of rows of t and b whose outer products are M, once the rows of t and p are there. The last pair is what M
/// should not have.
template <typename T, class W>
void pair_rows(W width, const Scaling<T>& s, T* b, T* t, const ApartRows<T>& rows) {
  const int d = width.value, terms = s.series.terms;
  const T *tails = s.series.tails, *w = rows.w;
  T *p = rows.p, *e = rows.e, *x = rows.x, *z = rows.z;
  scale(width, T(0.5), p, p);
  for (int j = 1; j < terms; j += 2)
    weigh_rows<T, 2>(width, terms - j, {tails + j, tails + j + 1}, p, {b + j * d, b + (j + 1) * d});
  scale(width, T(0.5), t, t);  // all weights are 2 now
  const auto along_w = [&](const T* these, const T* others, T* to) {
    for (int j = 0; j < terms - 1; ++j) e[j] = dot(width, w, these + j * d);
    weigh_rows<T, 1>(width, terms - 1, {e}, others, {to});
  };
  along_w(t, b + d, x);
  along_w(b + d, t, z);
  scale(width, T(1), w, t + (terms - 1) * d);
  combine(width, T(-1), x, T(-1), z, b + terms * d);
}

/// As sum_series_both_ways: r in row 0 of b, dy, and the rows of b and t whose outer products are M, one pair more: row
/// `terms` of b and row terms - 1 of t. A is A' then.
template <typename T, class W>
ApartScalars<T> sum_series_both_ways_apart(W width, const LanePlan<T>& plan, const Scaling<T>& s,
                                           const Leading<T>& leading, const T* q, const T* C, T* A, T* b, T* t, T* dy,
                                           const ApartRows<T>& rows) {
  const int terms = s.series.terms;
  const T *c = s.series.coefficients, *w = rows.w;
  T *p = rows.p, *e = rows.e, *f = rows.f, *x = rows.x, *z = rows.z;
  scale(width, T(1), leading.w, rows.w);
  const SplitQuery<T> split = split_query(width, C, w, s.rho2, q, rows.a, rows.q);
  const ReadAt<Wide<T>> at = read_at(plan.steps, split.mu);
  divided_series(s.series, split, at.g, e, f);
  const T eta = static_cast<T>(split.eta), g = static_cast<T>(at.g);

  take_out(width, A, s.leading * s.rho2, w, A);
  scale(width, T(1), leading.y, p);
  const T delta = project(width, w, t), p_slope = static_cast<T>(at.p_slope) * delta * eta;
  climb_together(width, s, A, p, t, x);

  weigh_rows<T, 2>(width, terms, {c, e}, p, {b, x});
  weigh_rows<T, 3>(width, terms, {c, e, f}, t, {dy, z, rows.b});
  add(width, g * eta, w, b);
  project(width, w, dy);
  add(width, g * delta, w, dy);

  add(width, delta, x, rows.b);
  project(width, w, rows.b);
  add(width, p_slope / s.leading, w, rows.b);
  scale(width, T(1) / s.rho2, rows.b, rows.b);

  combine(width, delta, x, eta, z, z);
  dot_rows(width, C, z, rows.c);
  add(width, -dot(width, rows.a, rows.c) / (s.leading * s.rho2), rows.a, rows.c);
  scale(width, T(1) / s.rho2, rows.c, rows.c);

  pair_rows(width, s, b, t, rows);
  return {p_slope / T(2), g * delta, split.kappa};
}

}  // namespace orthoread::ORTHOREAD_ISA
