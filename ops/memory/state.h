// The state of a head's memory, and how a token changes it.
//
// Beside C, n and m the orthogonalized read needs A = C^T C. A token changes C by a rank-one matrix and A by a rank-two
// one. With f and i for the gates f' and i':
//   u   = C_{t-1}^T k
//   A_t = f^2 A_{t-1} + f i (u v^T + v u^T) + i^2 (k.k) v v^T = f^2 A_{t-1} + p v^T + v p^T,  p = f i u + i^2 (k.k)/2 v
// This costs O(d^2), while the product C^T C costs O(d^3). But the carried A collects rounding errors: each token adds
// about eps (f^2 trace A_{t-1} + 2 |p| |v|), and f^2 makes older errors fade. `error` is their sum in units of eps.
//
// So A is computed afresh from C
// - at the start of every chunk,
// - where reads are so far apart that carrying it costs more,
// - where `error` has become large beside trace A, and
// - in the rare case that a token cancels what was stored, so that A_t is small beside its terms. Then y = C_t^T q is
//   computed afresh, too: it comes from C_{t-1}, and its rounding errors are as large as what was cancelled.
//
// The bounds of A's eigenvalues (spectrum.h) need tr A^2 and tr A^3. The first is the sum of A's squared entries. The
// second is carried. With B = p v^T + v p^T, whose eigenvalues are p.v +- |p| |v|, and A for A_{t-1}:
//   tr A_t^3 = f^6 tr A^3 + 3 f^4 tr A^2 B + 3 f^2 tr A B^2 + tr B^3,
//   tr A^2 B = 2 A p.A v,   tr A B^2 = 2 (p.v) (p.A v) + |v|^2 p.A p + |p|^2 v.A v,
//   tr B^3 = 2 (p.v)^3 + 6 (p.v) |p|^2 |v|^2.
// No term exceeds its part of (f^2 trace A_{t-1} + 2 |p| |v|)^3, so a token adds about eps times that to the rounding
// error of tr A^3. `cube_error` is the sum of these, in units of eps.
#pragma once

#include "ops/memory/matrix.h"
#include "ops/memory/products.h"
#include "ops/memory/scratch.h"
#include "ops/memory/table.h"

namespace orthoread::ORTHOREAD_ISA {

/// Of `error` against trace A; a chunk in which nothing is cancelled stays below.
inline constexpr double kErrorLimit = 64;
/// Of A_t's terms against trace A_t; at most 2 where nothing is cancelled.
inline constexpr double kCancelLimit = 4;

/// Tokens between checkpoints. The backward holds C and A for each token of one chunk: up to d = 64 so many fit the
/// second-level cache. In wider heads fewer would not be faster, as C^T C, computed once a chunk, costs d^3.
inline constexpr int kChunkTokens = 32;

template <typename T>
struct Memory {
  T *C, *A, *n;  // width x width, width x width, width
  T* w;          // a guess of A's dominant eigenvector, or 0: see spectrum.h
  T m = T(0);
  T trace = T(0), square = T(0), cube = T(0);  // of A, A^2 and A^3
  T error = T(0), cube_error = T(0);           // bounds of the rounding errors of A and tr A^3, in units of eps
  bool current = false;                        // A is C^T C

  Memory() = default;
  Memory(int64_t d, bool orthogonalized, Scratch<T>& scratch)
      : C(scratch.take(d * d)),
        A(orthogonalized ? scratch.take(d * d) : nullptr),
        n(scratch.take(d)),
        w(scratch.take(d)) {}
};

/// How A_t is needed.
enum class Gram { none, carried, measured };  // measured: with tr A^2 and tr A^3, as the read of a token needs it

template <typename T>
struct Token {
  const T *q, *k, *v;  // padded to the width
  T input_gate, log_forget;
};

/// What a token did to the memory, kept for the backward.
template <typename T>
struct Change {
  T *u, *y, *p;  // C_{t-1}^T k, C_t^T q, and p above; u and p where A is needed
  T *Ap, *Av;    // A_{t-1} p and A_{t-1} v, where A is measured
  T forget = T(0), input = T(0), kk = T(0);
  bool afresh = false;  // A_t was computed from C_t, as a carried one would have lost its digits
};

template <typename T>
ORTHOREAD_INLINE T maximum(T a, T b) {
  return a > b ? a : b > a ? b : (a + b) / T(2);  // at a tie half the derivative each, as in PyTorch
}

/// A = C^T C and its traces.
template <typename T, class W>
void compute_gram(W width, Gram gram, Memory<T>& memory) {
  T* A = memory.A;
  if (fits_first_level<T>(width)) {
    memory.square = static_cast<T>(
        sum_outer_products<T>(width, width.value, memory.C, memory.C, [&](int at, Pack<T> x, Pack<T>& squares) {
          store(A + at, x);
          squares = fma(x, x, squares);
        }));
  } else {  // half as many products, but stored and loaded once more
    symmetric_product<T>(width.value, width.value, memory.C, memory.C, A, Store::replace);
    memory.square = static_cast<T>(square_of(width, A));
  }
  memory.trace = T(0);
  for (int i = 0; i < width.value; ++i) memory.trace += A[i * width.value + i];
  if (gram == Gram::measured) {
    memory.cube =
        static_cast<T>(sum_outer_products<T>(width, width.value, A, A, [&](int at, Pack<T> x, Pack<T>& products) {
          products = fma(x, load(A + at), products);
        }));
  }
  memory.error = memory.trace;
  memory.cube_error = memory.trace * memory.trace * memory.trace;
  memory.current = true;
}

/// Products of the vectors by which A changes.
template <typename T>
struct GramChange {
  T ff, pv, pp, vv;
  T size;  // f^2 trace A_{t-1} + 2 |p| |v|
};

/// p, trace A_t, and whether A_t had better be computed afresh. before and after may be the same memory.
template <typename T, class W>
GramChange<T> carry_trace(W width, const T* v, const Memory<T>& before, Memory<T>& after, Change<T>& change) {
  const T ff = change.forget * change.forget;
  combine(width, change.forget * change.input, change.u, change.input * change.input * change.kk / T(2), v, change.p);
  const T* p = change.p;
  const T pv = dot(width, p, v), pp = dot(width, p, p), vv = dot(width, v, v);
  const T size = ff * before.trace + T(2) * sqrt(pp * vv);
  after.error = ff * before.error + size;
  after.trace = ff * before.trace + T(2) * pv;
  change.afresh = !(size <= T(kCancelLimit) * after.trace && after.error <= T(kErrorLimit) * after.trace);
  return {ff, pv, pp, vv, size};
}

/// A_t from A_{t-1}.
template <typename T, class W>
void carry_gram(W width, const T* v, const GramChange<T>& of, const Change<T>& change, const Memory<T>& before,
                Memory<T>& after) {
  const T *A = before.A, *p = change.p, ff = of.ff;
  T* to = after.A;
  sweep<0, T>(
      width, {p, v}, {p, v},
      [&](int at, const Pack<T>* row, const Pack<T>* column, Pack<T>&) {
        store(to + at, fma(splat(ff), load(A + at), fma(row[0], column[1], row[1] * column[0])));
        return Pack<T>{};
      },
      [](int, int, Pack<T>) {});
}

/// The same with tr A_t^2 and tr A_t^3.
template <typename T, class W>
void carry_measured_gram(W width, const T* v, const GramChange<T>& of, Change<T>& change, const Memory<T>& before,
                         Memory<T>& after) {
  const T *A = before.A, *p = change.p;
  T *to = after.A, *Ap = change.Ap, *Av = change.Av;
  const T ff = of.ff, pv = of.pv, pp = of.pp, vv = of.vv;
  after.square = static_cast<T>(sweep<2, T>(
      width, {p, v}, {p, v},
      [&](int at, const Pack<T>* row, const Pack<T>* column, Pack<T>& squares) {
        const Pack<T> old = in_register(load(A + at));
        const Pack<T> x = fma(splat(ff), old, fma(row[0], column[1], row[1] * column[0]));
        store(to + at, x);
        squares = fma(x, x, squares);
        return old;
      },
      [&](int r, int column, Pack<T> x) { store((r == 0 ? Ap : Av) + column, x); }));
  const T AA_B = T(2) * dot<T>(width, Ap, Av);
  const T A_BB = T(2) * pv * dot<T>(width, p, Av) + vv * dot<T>(width, p, Ap) + pp * dot<T>(width, v, Av);
  const T BBB = T(2) * pv * (pv * pv + T(3) * pp * vv);
  after.cube_error = ff * ff * ff * before.cube_error + of.size * of.size * of.size;
  after.cube = ff * (ff * (ff * before.cube + T(3) * AA_B) + T(3) * A_BB) + BBB;
}

/// Writes a token into the memory; before and after may be the same one.
template <typename T, class W>
void write_token(W width, const ReadPlan<T>& plan, const Token<T>& token, Gram gram, Memory<T>& before,
                 Memory<T>& after, Change<T>& change) {
  const T kept = token.log_forget + before.m, m = maximum(kept, token.input_gate);
  const T f = exp(kept - m), i = exp(token.input_gate - m);
  change.forget = f;
  change.input = i;
  change.kk = dot(width, token.k, token.k);
  if (gram != Gram::none && !before.current) compute_gram(width, gram, before);

  const T* C = before.C;
  T *to = after.C, *iv = change.p;  // until p is there
  scale(width, i, token.v, iv);
  const T kq = dot(width, token.k, token.q);
  const auto write = [&](int at, const Pack<T>& k, const Pack<T>& v) {
    const Pack<T> old = in_register(load(C + at));
    store(to + at, fma(splat(f), old, k * v));
    return old;
  };
  const auto set_y = [&](int column, Pack<T> x) {  // x = C_{t-1}^T q
    store(change.y + column, fma(splat(f), x, splat(kq) * load(iv + column)));
  };
  if (gram == Gram::none) {  // u is not needed; y is added up as below, to the same bits
    sweep<1, T, Summation::in_blocks, 2>(
        width, {token.q, token.k}, {iv},
        [&](int at, const Pack<T>* row, const Pack<T>* column, Pack<T>&) { return write(at, row[1], column[0]); },
        [&](int, int column, Pack<T> x) { set_y(column, x); });
  } else {
    sweep<2, T>(
        width, {token.k, token.q}, {iv},
        [&](int at, const Pack<T>* row, const Pack<T>* column, Pack<T>&) { return write(at, row[0], column[0]); },
        [&](int r, int column, Pack<T> x) {
          if (r == 0)
            store(change.u + column, x);
          else
            set_y(column, x);
        });
  }
  combine(width, f, before.n, i, token.k, after.n);
  after.m = m;
  after.current = gram != Gram::none;
  if (!after.current) return;
  const GramChange<T> of = carry_trace(width, token.v, before, after, change);
  if (plan.gram) {
    if (gram == Gram::carried)
      carry_gram(width, token.v, of, change, before, after);
    else
      carry_measured_gram(width, token.v, of, change, before, after);
  }
  if (change.afresh) {
    compute_gram(width, gram, after);
    sum_rows<T, 1>(width, Direction::forwards, after.C, {token.q},
                   [&](int, int column, Pack<T> x) { store(change.y + column, x); });
  }
}

}  // namespace orthoread::ORTHOREAD_ISA
