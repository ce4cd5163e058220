// The largest eigenvalue of G where it stands apart from the others.
//
// Keys that resemble one another, as a model's do, give C^T C one eigenvalue that holds most of its trace, while the
// series' length depends on all of [0, beta]. So that eigenvalue mu is taken out, with its eigenvector w:
//   G = mu w w^T + G',  G' w = 0,      g(G) y = g(mu) eta w + g(G') y',  eta = w.y,  y' = y - eta w,
// and the series is only wanted on the interval of the others.
//
// Finding w. G changes little from a token to the next, so the last token's w is a good guess. With theta = w.G w,
// |G w - theta w| = h and s a bound on the other eigenvalues, the guess is off by an angle of sine <= h / (theta - s)
// (Davis and Kahan). T_n(2 G / s - I) w, n products later, has a tangent T_n(2 theta / s - 1) times smaller: as [0, s]
// is mapped to [-1, 1], nothing but w grows. So n is known before, and w as exact as rounding lets it be.
//
// s. theta <= mu, so the others' sum and sum of squares are at most tau - theta and sigma - theta^2, and the bound of
// read.h, which falls as theta grows, holds for them too.
#pragma once

#include "ops/lane/memory.h"

namespace orthoread::ORTHOREAD_ISA {

/// What is known of G's eigenvalues: their sum, the sum of their squares, and how far off rounding may have put these.
struct Moments {
  double count, tau, sigma, noise;

  /// No eigenvalue but one of size theta exceeds this; theta = 0: none does.
  double bound(double theta) const {
    const double n = theta > 0 ? count - 1 : count, mean = (tau - theta) / n;
    const double squares = theta > 0 ? sigma - theta * theta + noise : sigma;
    const double spread = (1 - 1 / n) * (squares - n * mean * mean);
    return mean + (spread > 0 ? __builtin_sqrt(spread) : 0.0);
  }
};

template <typename T, class W>
Moments moments(W width, const LanePlan<T>& plan, const Memory<T>& memory, T rho2) {
  const double tau = value_of(memory.trace / rho2), sigma = value_of(memory.square / rho2 / rho2);
  return {static_cast<double>(width.value), tau, sigma,
          4 * plan.precision * (memory.doubt / value_of(memory.trace) + 4)};
}

/// The shortest series that holds up to `bound`.
template <typename T>
const LaneSeries<T>& series_for(const LanePlan<T>& plan, double bound) {
  const double rung = log(bound * 1.0001) * plan.rungs_per_log;
  return plan.ladder[rung < plan.rungs - 1 ? rung > 0 ? static_cast<int>(rung) : 0 : plan.rungs - 1];
}

/// Refines w from the guess it holds (0: none yet); false where taking its eigenvalue out would not pay. x: three rows.
template <typename T, class W>
bool find_leading(W width, const LanePlan<T>& plan, const Memory<T>& memory, const Moments& of, T rho2, const T* y,
                  T* w, T* x) {
  constexpr int tries = 2;  // products that may go into making a usable guess
  const double bound = of.bound(0);
  if (Pack<T>::lanes == 1 || !(bound > kApartFrom))
    return false;  // nor for Dual: w's derivative would have to converge
  const int d = width.value;
  const auto normalise = [&](const T* from) {
    const T size = dot(width, from, from);
    if (size > T(0)) scale(width, T(1) / sqrt(size), from, w);
    return size > T(0);
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
    rest = of.bound(theta);
    sine = theta > rest ? __builtin_sqrt(value_of(dot(width, now, now))) / value_of(rho2) / (theta - rest) : 1.0;
  }
  if (!(sine < 0.5)) return normalise(next), false;

  const double slope = 2 / rest, grown = slope * theta - 1, wanted = 1.2 * sine / plan.precision;
  int products = 1;
  for (double before = 1, size = grown; size < wanted && products < 64; ++products) {
    const double after = 2 * grown * size - before;
    before = size;
    size = after;
  }
  if (4 * (series_for(plan, bound).terms - series_for(plan, rest).terms) <= products + kApartPasses) return false;

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
