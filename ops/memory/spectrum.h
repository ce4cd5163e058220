// Bounds of G's eigenvalues, and the dominant eigenpair where one eigenvalue is much larger than the others.
//
// Keys that resemble one another, as a model's do, give C^T C one eigenvalue that holds most of its trace, while the
// length of the read's series depends on all of [0, beta]. So that eigenvalue mu is deflated, with its eigenvector w:
//   G = mu w w^T + G',  G' w = 0,      g(G) y = g(mu) eta w + g(G') y',  eta = w.y,  y' = y - eta w,
// and the series need only hold on the interval of the others.
//
// Finding w. G changes little from one token to the next, so the last token's w is a good guess. With theta = w.G w,
// |G w - theta w| = h and `rest` a bound of the other eigenvalues, the angle between w and the eigenvector has a sine
// of at most h / (theta - rest) (Davis and Kahan). N products later, T_N(2 G / rest - I) w has a tangent that is
// T_N(2 theta / rest - 1) times smaller: [0, rest] is mapped to [-1, 1], where T_N stays small, and only w grows. So N
// is known beforehand, and w becomes as exact as rounding allows.
//
// Bounds. G has n eigenvalues x_i >= 0 and the traces s_k = tr G^k. For any function l, the largest eigenvalue x has
// l(x)^2 <= sum_i l(x_i)^2 and x l(x)^2 <= sum_i x_i l(x_i)^2. The best linear l gives
//   x <= s_1/n + sqrt((1 - 1/n) (s_2 - s_1^2/n))                   (Wolkowicz and Styan, 1980),
//   x (s_3 - 2 s_2 x + s_1 x^2) <= s_1 s_3 - s_2^2.
// The cubic is convex from s_2 / s_1 on, and s_2 / s_1 <= x. So a point above x where the second inequality fails is
// above the cubic's largest root, and Newton's steps from there stay above it. They begin at the first bound. For
// normal keys and values the second bound is 0.7 times the first.
//
// Bounds of the others. In an orthonormal basis that begins with w, G = [theta, g^T; g, K] with |g| = h, and no
// eigenvalue of G but the largest exceeds K's largest (Cauchy). K has the traces s_1 - theta, s_2 - theta^2 - 2 h^2
// and, as K is positive, at most s_3 - theta^3 - 3 theta h^2. With these the bounds hold for the others.
#pragma once

#include "ops/memory/state.h"

namespace orthoread::ORTHOREAD_ISA {

/// The dominant eigenvalue is deflated
/// - if the bound of all eigenvalues exceeds kDeflateFrom: below that the series is short anyway;
/// - if the terms that it saves come near to the 18 passes over a matrix that deflation costs; a term takes four, one
///   forward and three backward. They need not reach 18: the read of what is left has smaller rounding errors;
/// - if mu is so far beyond the others' interval that 1 / (mu - x) is smooth there (deflated_read.h).
inline constexpr double kDeflateFrom = 0.3;
inline constexpr int kDeflatePasses = 8;
inline constexpr double kDeflateGap = 1.05;

/// What is known of G's n eigenvalues: tr G, tr G^2 and tr G^3, and bounds of their rounding errors. Beside
/// `third_error`, tr G^3 has the error that comes from G's own, 3 |G^2|_F error at most, and |G^2|_F <= tr G^2.
struct PowerTraces {
  double n, first, second, third, error, third_error;

  /// No eigenvalue but the largest exceeds this, if there is a vector w with |w| = 1, w.G w = theta and
  /// |G w - theta w| = h; with theta = 0, no eigenvalue at all. Never 0, though rounding may leave nothing or less for
  /// the others, and never above 1, which bounds the trace of G: so too where a trace has overflowed.
  double bound(double theta, double h = 0) const {
    const double count = theta > 0 ? n - 1 : n, mean = (first - theta) / count;
    const double squares = second - theta * theta - 2 * h * h;
    const double spread = (1 - 1 / count) * (squares + error - count * mean * mean);
    double x = mean + (spread > 0 ? __builtin_sqrt(spread) : 0.0);
    const double s1 = first - theta + error, s2 = squares > error ? squares - error : 0.0;
    const double s3 = third - theta * (theta * theta + 3 * h * h) + 3 * second * error + third_error;
    for (int step = 0; step < 3; ++step) {
      const double excess = ((s1 * x - 2 * s2) * x + s3) * x - (s1 * s3 - s2 * s2);
      const double slope = (3 * s1 * x - 4 * s2) * x + s3;
      if (!(excess > 0 && slope > 0)) break;
      x -= excess / slope;
    }
    return clipped(x, s2 / s1);
  }

 private:
  double clipped(double x, double least) const {
    if (least > x) x = least;
    return x <= 1 ? x > error / 16 ? x : error / 16 : 1.0;
  }
};

/// From the traces of a Memory or of a block's token.
template <typename T, class W, class Traces, typename N>
PowerTraces power_traces(W width, const ReadPlan<T>& plan, const Traces& of, N rho2) {
  const N trace = of.trace > N(0) ? of.trace : N(1);  // else all are 0
  return {static_cast<double>(width.value),
          value_of(of.trace / rho2),
          value_of(of.square / rho2 / rho2),
          value_of(of.cube / rho2 / rho2 / rho2),
          4 * plan.precision * (value_of(of.error / trace) + 4),
          4 * plan.precision * value_of(of.cube_error / trace / trace / trace)};
}

/// The number of the shortest interval that reaches `bound`.
template <typename T>
int interval_for(const ReadPlan<T>& plan, double bound) {
  const double number = log(bound * 1.0001) * plan.intervals_per_log;
  return number < plan.intervals - 1 ? number > 0 ? static_cast<int>(number) : 0 : plan.intervals - 1;
}

/// to = from / |from|; false where |to| would not be 1, as a square is denormal or overflows.
template <typename T, class W>
bool normalise(W width, const T* from, T* to) {
  const T size = dot(width, from, from);
  const bool usable = size > T(0x1p-100) && isfinite(size);
  if (usable) scale(width, T(1) / sqrt(size), from, to);
  return usable;
}

/// N, the products with G that make w, whose angle has a sine of at most `sine`, as exact as rounding allows.
template <typename T>
int refining_products(const ReadPlan<T>& plan, double theta, double rest, double sine) {
  const double slope = 2 / rest, grown = slope * theta - 1, enough = 1.2 * sine / plan.precision;
  int products = 1;
  for (double before = 1, size = grown; size < enough && products < 64; ++products) {
    const double after = 2 * grown * size - before;
    before = size;
    size = after;
  }
  return products;
}

/// As kDeflatePasses and kDeflateGap say. `bound` is that of all eigenvalues, `rest` that of the others.
template <typename T>
bool deflation_pays(const ReadPlan<T>& plan, double bound, double theta, double rest, int products) {
  const SeriesView<T>&of_all = plan.series[interval_for(plan, bound)], &of_rest = plan.series[interval_for(plan, rest)];
  return 4 * (of_all.terms - of_rest.terms) > products + kDeflatePasses && theta > kDeflateGap * value_of(of_rest.beta);
}

/// Refines memory.w to the dominant eigenvector; false where deflation would not pay. `start` is where to begin if
/// memory.w is 0, `room` has three rows.
template <typename T, class W>
bool find_dominant(W width, const ReadPlan<T>& plan, const Memory<T>& memory, const PowerTraces& traces, T rho2,
                   const T* start, T* room) {
  constexpr int tries = 2;  // products that may go into making a usable guess
  T* w = memory.w;
  const double bound = traces.bound(0);
  constexpr bool dual = std::same_as<T, Dual>;  // whose slopes, w's derivative, would have to converge, too
  if (dual || !(bound > kDeflateFrom)) return false;
  const int d = width.value;
  if (!(dot(width, w, w) > T(0)) && !normalise<T>(width, start, w)) return false;

  T *now = room, *next = room + d, *last = room + 2 * d;
  double theta = 0, rest = 0, sine = 1;
  for (int i = 0; i < tries && !(sine < 0.5); ++i) {
    if (i > 0 && !normalise<T>(width, next, w)) return false;
    sum_rows<T, 1>(width, Direction::forwards, memory.A, {w},
                   [&](int, int column, Pack<T> product) { store(next + column, product); });
    const T product = dot(width, w, next);
    combine(width, T(1), next, -product, w, now);
    theta = value_of(product / rho2);
    const double h = __builtin_sqrt(value_of(dot(width, now, now))) / value_of(rho2);
    rest = traces.bound(theta, h);
    sine = theta > rest ? h / (theta - rest) : 1.0;
  }
  if (!(sine < 0.5)) {
    normalise<T>(width, next, w);
    return false;
  }

  const int products = refining_products(plan, theta, rest, sine);
  if (!deflation_pays(plan, bound, theta, rest, products)) return false;

  const T factor = T(2 / rest) / rho2;
  scale(width, T(1), w, now);
  combine(width, factor, next, T(-1), w, next);
  for (int i = 1; i < products; ++i) {
    T* before = now;
    now = next;
    next = last;
    last = before;
    sum_rows<T, 1>(width, direction_of<T>(width, i), memory.A, {now}, [&](int, int column, Pack<T> product) {
      const Pack<T> half = fma(splat(factor), product, Pack<T>{} - load(now + column));
      store(next + column, half + half - load(last + column));
    });
  }
  return normalise<T>(width, next, w);
}

/// to = A - size w w^T: A' = A - mu rho^2 w w^T.
template <typename T, class W>
void deflate(W width, const T* A, T size, const T* w, T* to) {
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
