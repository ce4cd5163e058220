// The read where the dominant eigenpair of G is deflated, and its reverse. With spectrum.h's
//   G = mu w w^T + G',  G' w = 0,   y = eta w + y',  y' orthogonal to w,   and likewise dr = delta w + t':
//   r = g(mu) eta w + g(G') y',     dy = g(mu) delta w + g(G') t'.
//
// The query is split as well. a = C w is orthogonal to C times anything orthogonal to w, and |a|^2 = rho^2 mu:
//   q = kappa a + q',  q' orthogonal to a,   kappa = a.q / |a|^2,   eta = a.q / rho,   y' = C^T q' / rho.
// In exact arithmetic y - eta w is the same vector. But where keys are alike, y' is a small part of y. The rounding
// errors of y, which are as large along the small eigenvalues as along w, would all be in y - eta w, and g would
// amplify them: g(0) is 7.6 for five steps.
//
// Reverse. In the eigenvectors' basis the gradient of G has the divided differences of g as weights: between the
// eigenvalues x and x' (g(x) - g(x')) / (x - x'), and g'(x) where they are one. So with
//   H(x) = (g(mu) - g(x)) / (mu - x):
//   dG = g'(mu) delta eta w w^T + w z^T + M,   z = delta H(G') y' + eta H(G') t',
// up to an antisymmetric part, where M is the sum of outer products that g(G') alone gives. M goes to dA, as in read.h.
// The terms with w would lose digits there. In the direction of an eigenvalue x, beside t'^T, q dy^T / rho contributes
// a eta g(x) / (rho^2 mu) to dC, and dA contributes a eta H(x) / rho^2. At x = 0 their sum is a eta g(mu) / (rho^2 mu),
// though each alone is as large as g(0). So they are added in exact form, and go to dC directly:
//   dC = q' dy^T / rho + a b^T + c w^T,   c = C z / rho^2,
//   b  = (F(G') t' + delta H(G') y' + p'(s) delta eta / mu w) / rho^2,   F(x) = kappa rho g(x) + eta H(x).
// Here s^2 = mu, and p(s) = s g(s^2) is what the read makes of a singular value s. g(mu) + 2 mu g'(mu) = p'(s) is the
// product over the steps i of 3 (1 - s_i^2) / 2, with s_i for s after i steps.
//
// H is as smooth as g, so its series on [0, beta] is as short. It is applied to the sequences T_j y' and T_j t' once
// both are known. Hence the recurrence for y' runs upwards here, as that for t' does, and the b_j of M follow from the
// T_n y': with U_n for the Chebyshev polynomials of the second kind,
//   b_j = sum_i c_i U_{i-j} y' = sum_n 2 (c_{j+n} + c_{j+n+2} + ...) T_n y',   j >= 1, with half of that for n = 0.
//
// Rounding. w is not exact and y' not quite orthogonal to it. What remains along w belongs to an eigenvalue near 0 now,
// where g and its slope are largest. But it is known what results should have along w, so what remains is projected
// out: of y', of g(G') t', of b and, as (M w + M^T w) w^T, of the symmetric part of M. Each row of C z is a sum that
// cancels, so c is corrected along a, where a.C z = rho^2 mu w.z = 0, and so is dq, where a.C dy = |a|^2 w.dy. Without
// the projection of y' the errors of h double where queries, keys and values are alike. Without one of the others those
// of some gradient grow 2 to 7 times, and tests/mlstm_test.cpp fails.
#pragma once

#include "ops/memory/read.h"

namespace orthoread::ORTHOREAD_ISA {

/// g(x) and p'(s), s^2 = x, by the steps that define g (ops/memory/read_series.h).
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

template <typename T>
struct SplitQuery {
  Wide<T> mu, eta, rho;
  T kappa;
};

/// Splits q into kappa a and `rest`, which is q', by a = C w.
template <typename T, class W>
SplitQuery<T> split_along(W width, T rho2, const T* q, const T* a, T* rest) {
  const Wide<T> aa = wide_dot<T>(width, a, a), aq = wide_dot<T>(width, a, q), rho = sqrt(Wide<T>(rho2));
  const T kappa = static_cast<T>(aq / aa);
  scale(width, T(1), q, rest);
  add(width, -kappa, a, rest);  // as fma does not round kappa a, q = q' + kappa a up to the rounding of q' alone
  return {aa / Wide<T>(rho2), aq / rho, rho, kappa};
}

/// The same; sets a, too.
template <typename T, class W>
SplitQuery<T> split_query(W width, const T* C, const T* w, T rho2, const T* q, T* a, T* rest) {
  dot_rows(width, C, w, a);
  return split_along<T>(width, rho2, q, a, rest);
}

/// Whether mu is beyond the interval of the others' series, as divided_series requires. find_dominant has checked that,
/// but with a bound from before w was refined: the new one may need a longer interval.
template <typename T>
bool is_beyond(Wide<T> mu, const SeriesView<T>& series) {
  return mu > Wide<T>(1.01) * Wide<T>(series.beta);
}

/// The forward's vectors: y = C^T q / rho, room for A', and the b_j.
template <typename T>
struct ReadRows {
  T *y, *deflated_A, *b;
};

/// The read into row 0 of rows.b, and y' into rows.y; false, and rows.y as it was, where deflation would not pay.
template <typename T, class W>
bool deflated_read(W width, const ReadPlan<T>& plan, const Memory<T>& memory, const PowerTraces& traces, const T* q,
                   Scaling<T>& s, const ReadRows<T>& rows) {
  T *y = rows.y, *b = rows.b, *rest_of_q = b + width.value;
  if (!plan.gram || s.clamped || !find_dominant(width, plan, memory, traces, s.rho2, y, b)) return false;
  const SplitQuery<T> split = split_query<T>(width, memory.C, memory.w, s.rho2, q, b, rest_of_q);
  set_series(plan, static_cast<T>(split.mu), interval_for(plan, traces.bound(value_of(split.mu))), s);
  if (!is_beyond(split.mu, s.series)) return false;

  const Pack<T> over_rho = splat(T(1) / sqrt(s.rho2));
  sum_rows<T, 1>(width, Direction::forwards, memory.C, {rest_of_q},
                 [&](int, int column, Pack<T> x) { store(y + column, over_rho * x); });
  project(width, memory.w, y);
  deflate(width, memory.A, s.mu * s.rho2, memory.w, rows.deflated_A);
  sum_series(width, s, rows.deflated_A, y, b);
  add(width, read_at(plan.steps, s.mu).g * static_cast<T>(split.eta), memory.w, b);
  return true;
}

/// e_j of H(x) = sum_j e_j T_j(2x/beta - 1), and f_j of F. With 2x/beta - 1 = cos phi,
///   (u - cos phi) H = 2/beta (g(mu) - g),  u = 2 mu/beta - 1,
/// and 1 / (u - cos phi) = sum_k z^|k| exp(i k phi) / sqrt(u^2 - 1) with z = u - sqrt(u^2 - 1): a convolution with the
/// coefficients of the right side, that is two recurrences, one from each end. F's terms cancel, so all this is Wide.
template <typename T>
void divided_series(const SeriesView<T>& series, const SplitQuery<T>& split, Wide<T> g, T* e, T* f) {
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

/// to_r = sum_j weights_r[j] row_j over j < count, for r < R. The last rows come first, as the terms of a series fade.
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

/// What the reverse works in beside SeriesRows, and the vectors of dC = q' dy^T / rho + a b^T + c w^T.
template <typename T>
struct DeflatedRows {
  T* chebyshev_y;                // the T_j y'
  T *H, *F;                      // e_j and f_j
  T *H_y, *z;                    // H(G') y' and z
  T *rest_of_q, *a, *b, *c, *w;  // of dC, q' first

  DeflatedRows(int64_t d, int64_t terms, Scratch<T>& scratch)
      : chebyshev_y(scratch.take(terms * d)),
        H(scratch.take(terms)),
        F(scratch.take(terms)),
        H_y(scratch.take(d)),
        z(scratch.take(d)),
        rest_of_q(scratch.take(d)),
        a(scratch.take(d)),
        b(scratch.take(d)),
        c(scratch.take(d)),
        w(scratch.take(d)) {}
};

/// What <dG, G> + dy.y / 2 has along w, which M and y' do not have; w.dy; and kappa.
template <typename T>
struct DeflatedScalars {
  T radial, dy_along_w, kappa;
};

/// Vectors of one row's reverse, sums over the T_j y' and T_j t' until complete_deflated adds what is along w: r, dy, b
/// and z, and H(G') y', of which b and z have parts.
template <typename T>
struct DeflatedResults {
  T *r, *dy, *b, *z;
  const T* H_y;
};
template <typename T, class W>
DeflatedScalars<T> complete_deflated(W width, const Scaling<T>& s, const SplitQuery<T>& split,
                                     const ReadAt<Wide<T>>& at, T delta, const T* w, const DeflatedResults<T>& of) {
  const T eta = static_cast<T>(split.eta), g = static_cast<T>(at.g);
  const T p_slope = static_cast<T>(at.p_slope) * delta * eta;
  add(width, g * eta, w, of.r);
  project(width, w, of.dy);
  add(width, g * delta, w, of.dy);

  add(width, delta, of.H_y, of.b);
  project(width, w, of.b);
  add(width, p_slope / s.mu, w, of.b);
  scale(width, T(1) / s.rho2, of.b, of.b);
  combine(width, delta, of.H_y, eta, of.z, of.z);
  return {p_slope / T(2), g * delta, split.kappa};
}

/// T_j y' and T_j t', from the rows for j = 0.
template <typename T, class W>
void advance_both(W width, const Scaling<T>& s, const T* A, T* y, T* t, T* zeros) {
  const int d = width.value;
  zero(width, zeros);
  for (int j = 1; j < s.series.terms; ++j) {
    const T weight = T(j == 1 ? 1 : 2);
    T* const to[2] = {y + j * d, t + j * d};
    const T* const before[2] = {j == 1 ? zeros : to[0] - 2 * d, j == 1 ? zeros : to[1] - 2 * d};
    sum_rows<T, 2>(
        width, direction_of<T>(width, j), A, {to[0] - d, to[1] - d}, [&](int r, int column, Pack<T> product) {
          store(to[r] + column,
                advance(weight, s.slope, product, load(to[r] - d + column), Pack<T>{} - load(before[r] + column)));
        });
  }
}

/// The pairs of rows of t and b whose outer products add up to M, from the T_j y' and T_j t'. The last pair removes
/// from M what rounding has left along w.
template <typename T, class W>
void pair_rows(W width, const Scaling<T>& s, const SeriesRows<T>& series, const DeflatedRows<T>& rows) {
  const int d = width.value, terms = s.series.terms;
  const T *tails = s.series.tails, *w = rows.w;
  T *b = series.b, *t = series.t, *y = rows.chebyshev_y;
  scale(width, T(0.5), y, y);
  for (int j = 1; j < terms; j += 2)
    weigh_rows<T, 2>(width, terms - j, {tails + j, tails + j + 1}, y, {b + j * d, b + (j + 1) * d});
  scale(width, T(0.5), t, t);                            // now all weights are 2
  T *weights = rows.H, *Mt_w = rows.H_y, *M_w = rows.z;  // whose numbers are used up
  const auto along_w = [&](const T* these, const T* others, T* to) {
    for (int j = 0; j < terms - 1; ++j) weights[j] = dot(width, w, these + j * d);
    weigh_rows<T, 1>(width, terms - 1, {weights}, others, {to});
  };
  along_w(t, b + d, Mt_w);
  along_w(b + d, t, M_w);
  scale(width, T(1), w, t + (terms - 1) * d);
  combine(width, T(-1), Mt_w, T(-1), M_w, b + terms * d);
}

/// As sum_series_both_ways, with y' in series.y: sets r in row 0 of b, dy, `rows`, and the rows of b and t whose outer
/// products are M. There is one pair more, row `terms` of b and row terms - 1 of t. memory.A becomes A'.
template <typename T, class W>
DeflatedScalars<T> sum_deflated_series_both_ways(W width, const ReadPlan<T>& plan, const Scaling<T>& s, const T* q,
                                                 const Memory<T>& memory, const SeriesRows<T>& series,
                                                 const DeflatedRows<T>& rows) {
  const int terms = s.series.terms;
  const T *c = s.series.coefficients, *w = rows.w;
  T *b = series.b, *t = series.t, *dy = series.dy, *z = rows.z;
  const SplitQuery<T> split = split_query<T>(width, memory.C, w, s.rho2, q, rows.a, rows.rest_of_q);
  const ReadAt<Wide<T>> at = read_at(plan.steps, split.mu);
  divided_series(s.series, split, at.g, rows.H, rows.F);

  deflate(width, memory.A, s.mu * s.rho2, w, memory.A);
  scale(width, T(1), series.y, rows.chebyshev_y);
  const T delta = project(width, w, t);
  advance_both(width, s, memory.A, rows.chebyshev_y, t, rows.H_y);

  weigh_rows<T, 2>(width, terms, {c, rows.H}, rows.chebyshev_y, {b, rows.H_y});
  weigh_rows<T, 3>(width, terms, {c, rows.H, rows.F}, t, {dy, z, rows.b});
  const DeflatedScalars<T> along_w =
      complete_deflated<T>(width, s, split, at, delta, w, {.r = b, .dy = dy, .b = rows.b, .z = z, .H_y = rows.H_y});

  dot_rows(width, memory.C, z, rows.c);
  add(width, -dot(width, rows.a, rows.c) / (s.mu * s.rho2), rows.a, rows.c);
  scale(width, T(1) / s.rho2, rows.c, rows.c);

  pair_rows(width, s, series, rows);
  return along_w;
}

}  // namespace orthoread::ORTHOREAD_ISA
