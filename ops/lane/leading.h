// The largest eigenvalue of G where it stands apart from the others.
//
// Keys that resemble one another, as a model's do, give C^T C one eigenvalue that holds most of its trace, while the
// series' length depends on all of [0, beta]. So that eigenvalue mu is taken out, with its eigenvector w:
//   G = mu w w^T + G',  G' w = 0,      g(G) y = g(mu) eta w + g(G') y',  eta = w.y,  y' = y - eta w,
// and the series is only wanted on the interval of the others.
//
// Finding w. G changes little from a token to the next, so the last token's w is a good guess. With theta = w.G w,
// |G w - theta w| = h and `rest` a bound on the other eigenvalues, the guess is off by an angle of sine <=
// h / (theta - rest) (Davis and Kahan). T_N(2 G / rest - I) w, N products later, has a tangent T_N(2 theta / rest - 1)
// times smaller: as [0, rest] is mapped to [-1, 1], nothing but w grows. So N is known before, and w as exact as
// rounding lets it be.
//
// Bounds. G's n eigenvalues are x_i >= 0, and s_k = tr G^k. For any function l the largest, x, has l(x)^2 <=
// sum_i l(x_i)^2 and x l(x)^2 <= sum_i x_i l(x_i)^2. The best linear l gives
//   x <= s_1/n + sqrt((1 - 1/n) (s_2 - s_1^2/n))                   (Wolkowicz and Styan, 1980),
//   x (s_3 - 2 s_2 x + s_1 x^2) <= s_1 s_3 - s_2^2.
// As x satisfies the second and x >= s_2 / s_1, from where on the cubic is convex, a point beyond x where it fails lies
// beyond the cubic's largest root, and so do Newton's steps from there, which begin at the first bound. For normal keys
// and values the second bound is 0.7 times the first.
//
// The rest. In an orthonormal basis that begins with w, G = [theta, g^T; g, K], |g| = h, and no eigenvalue of G but the
// largest exceeds K's largest (Cauchy). K has the traces s_1 - theta, s_2 - theta^2 - 2 h^2 and, as K is positive, at
// most s_3 - theta^3 - 3 theta h^2: with these the bounds hold for the others.
#pragma once

#include "ops/lane/memory.h"

namespace orthoread::ORTHOREAD_ISA {

/// When the largest eigenvalue is taken out: if the bound on all eigenvalues exceeds the first, as below the series is
/// short anyway; if fewer terms, of four passes over a matrix each, one forward and three backward, save nearly the 18
/// passes that all else costs, as what is left then has smaller rounding errors; and if mu is so far beyond the others'
/// series that 1 / (mu - x) is smooth there (apart.h).
inline constexpr double kApartFrom = 0.3;
inline constexpr int kApartPasses = 8;
inline constexpr double kApartGap = 1.05;

/// What is known of G's eigenvalues: how many there are, tr G, tr G^2, tr G^3, and how far off rounding may have put
/// the first two, and the third beside what is off in G: that is 3 |G^2|_F noise at most, and |G^2|_F <= tr G^2.
struct Moments {
  double count, first, second, third, noise, third_noise;

  /// No eigenvalue but the largest exceeds this, if a vector w has w.G w = theta and |G w - theta w| = h; theta = 0:
  /// none does. Never 0, even where rounding leaves nothing or less for the others, nor above 1, which the trace of G
  /// is at most: that is returned where a trace has overflowed.
  double bound(double theta, double h = 0) const {
    const double n = theta > 0 ? count - 1 : count, mean = (first - theta) / n;
    const double squares = second - theta * theta - 2 * h * h;
    const double spread = (1 - 1 / n) * (squares + noise - n * mean * mean);
    double x = mean + (spread > 0 ? __builtin_sqrt(spread) : 0.0);
    const double s1 = first - theta + noise, s2 = squares > noise ? squares - noise : 0.0;
    const double s3 = third - theta * (theta * theta + 3 * h * h) + 3 * second * noise + third_noise;
    for (int step = 0; step < 3; ++step) {
      const double excess = ((s1 * x - 2 * s2) * x + s3) * x - (s1 * s3 - s2 * s2);
      const double slope = (3 * s1 * x - 4 * s2) * x + s3;
      if (!(excess > 0 && slope > 0)) break;
      x -= excess / slope;
    }
    const double least = s2 / s1;
    if (least > x) x = least;
    return x <= 1 ? x > noise / 16 ? x : noise / 16 : 1.0;
  }
};

template <typename T, class W>
Moments moments(W width, const LanePlan<T>& plan, const Memory<T>& memory, T rho2) {
  const T trace = memory.trace > T(0) ? memory.trace : T(1);  // else all are 0
  return {static_cast<double>(width.value),
          value_of(memory.trace / rho2),
          value_of(memory.square / rho2 / rho2),
          value_of(memory.cube / rho2 / rho2 / rho2),
          4 * plan.precision * (value_of(memory.doubt / trace) + 4),
          4 * plan.precision * value_of(memory.cube_doubt / trace / trace / trace)};
}

/// The rung of the shortest series that holds up to `bound`.
template <typename T>
int rung_for(const LanePlan<T>& plan, double bound) {
  const double rung = log(bound * 1.0001) * plan.rungs_per_log;
  return rung < plan.rungs - 1 ? rung > 0 ? static_cast<int>(rung) : 0 : plan.rungs - 1;
}

/// Refines w from the guess it holds (0: none yet); false where taking its eigenvalue out would not pay. x: three rows.
template <typename T, class W>
bool find_leading(W width, const LanePlan<T>& plan, const Memory<T>& memory, const Moments& of, T rho2, const T* y,
                  T* w, T* x) {
  constexpr int tries = 2;  // products that may go into making a usable guess
  const double bound = of.bound(0);
  const auto terms_for = [&](double most) { return plan.ladder[rung_for(plan, most)].terms; };
  if (Pack<T>::lanes == 1 || !(bound > kApartFrom))
    return false;  // nor for Dual: w's derivative would have to converge
  const int d = width.value;
  const auto normalise = [&](const T* from) {  // not where a square is denormal or overflows: |w| = 1 is relied on
    const T size = dot(width, from, from);
    const bool usable = size > T(0x1p-100) && isfinite(size);
    if (usable) scale(width, T(1) / sqrt(size), from, w);
    return usable;
  };
  if (!(dot(width, w, w) > T(0)) && !normalise(y)) return false;

  T *now = x, *next = x + d, *last = x + 2 * d;
  double theta = 0, rest = 0, sine = 1;
  for (int i = 0; i < tries && !(sine < 0.5); ++i) {
    if (i > 0 && !normalise(next)) return false;
    sum_rows<T, 1>(width, memory.A, {w}, [&](int, int column, Pack<T> product) { store(next + column, product); });
    const T product = dot(width, w, next);
    combine(width, T(1), next, -product, w, now);
    theta = value_of(product / rho2);
    const double h = __builtin_sqrt(value_of(dot(width, now, now))) / value_of(rho2);
    rest = of.bound(theta, h);
    sine = theta > rest ? h / (theta - rest) : 1.0;
  }
  if (!(sine < 0.5)) return normalise(next), false;

  const double slope = 2 / rest, grown = slope * theta - 1, wanted = 1.2 * sine / plan.precision;
  int products = 1;
  for (double before = 1, size = grown; size < wanted && products < 64; ++products) {
    const double after = 2 * grown * size - before;
    before = size;
    size = after;
  }
  if (4 * (terms_for(bound) - terms_for(rest)) <= products + kApartPasses) return false;
  if (!(theta > kApartGap * value_of(plan.ladder[rung_for(plan, rest)].beta))) return false;

  const T factor = T(slope) / rho2;
  scale(width, T(1), w, now);
  combine(width, factor, next, T(-1), w, next);
  for (int i = 1; i < products; ++i) {
    T* before = now;
    now = next;
    next = last;
    last = before;
    sum_rows<T, 1>(width, memory.A, {now}, [&](int, int column, Pack<T> product) {
      const Pack<T> half = fma(splat(factor), product, Pack<T>{} - load(now + column));
      store(next + column, half + half - load(last + column));
    });
  }
  return normalise(next);
}

/// A' = A - size w w^T.
template <typename T, class W>
void take_out(W width, const T* A, T size, const T* w, T* to) {
  sweep<0, T>(
      width, {w}, {w},
      [&](int at, const Pack<T>* row, const Pack<T>* column, Pack<T>&) {
        const Pack<T> x = fma(row[0], splat(-size) * column[0], load(A + at));
        store(to + at, x);
        return x;
      },
      [](int, int, Pack<T>) {});
}

}  // namespace orthoread::ORTHOREAD_ISA
