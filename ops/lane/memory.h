// The memory's state and how a token changes it.
//
// Beside C, n and m the orthogonalized read wants A = C^T C. One token is a rank-one change of C, so it is a rank-two
// change of A (f and i are f' and i' here):
//   u   = C_{t-1}^T k
//   A_t = f^2 A_{t-1} + f i (u v^T + v u^T) + i^2 (k.k) v v^T = f^2 A_{t-1} + p v^T + v p^T,  p = f i u + i^2 (k.k)/2 v
// which costs O(d^2) where the product C^T C costs O(d^3). The carried A gathers rounding errors the product does not
// have: each token adds about eps (f^2 trace A_{t-1} + 2 |p| |v|), and old errors fade with f^2. `doubt` adds these up,
// in units of eps. A is made afresh from C at every chunk's start, where reads are too far apart for carrying to pay,
// where doubt has grown large against trace A, and in the rare case that a token cancels what was stored, so that A_t
// is small beside its terms. Then y = C^T q is made afresh, too: it comes from C_{t-1}, and its rounding errors are as
// large as what was cancelled.
//
// The read also wants tr A^2 and tr A^3, which bound A's eigenvalues (leading.h). The first is the sum of A's squared
// entries; the second is carried, with B = p v^T + v p^T, whose eigenvalues are p.v +- |p| |v|, and A for A_{t-1}:
//   tr A_t^3 = f^6 tr A^3 + 3 f^4 tr A^2 B + 3 f^2 tr A B^2 + tr B^3,
//   tr A^2 B = 2 A p.A v,   tr A B^2 = 2 (p.v) (p.A v) + |v|^2 p.A p + |p|^2 v.A v,
//   tr B^3 = 2 (p.v)^3 + 6 (p.v) |p|^2 |v|^2.
// No term exceeds its part of (f^2 trace A_{t-1} + 2 |p| |v|)^3, so a token adds about eps times that to the cube's
// rounding errors, and `cube_doubt` adds these up.
#pragma once

#include "ops/lane/matrix.h"
#include "ops/lane/plan.h"

namespace orthoread::ORTHOREAD_ISA {

inline constexpr double kDoubtLimit = 64;  // a chunk of plain growth stays under it
inline constexpr double kCancelLimit = 4;  // of A_t's terms against trace A_t: 2 at most where a token cancels nothing

/// Tokens between checkpoints. Backward holds C and A for each token of one chunk: this many fit the second-level
/// cache.
constexpr int chunk_tokens(int width) { return width <= 64 ? 32 : 16; }

/// Hands out parts of a buffer, each on a cache line of its own.
template <typename T>
class Arena {
 public:
  explicit Arena(T* buffer) : next_(buffer) {}
  T* take(int64_t count) {
    const auto past_line = static_cast<int64_t>(reinterpret_cast<uintptr_t>(next_) % line);
    T* part = past_line ? next_ + (line - past_line) / size_of : next_;
    next_ = part + count;
    return part;
  }
  /// What `count` numbers in `parts` parts may need.
  static constexpr int64_t size(int64_t count, int64_t parts) { return count + parts * (line / size_of); }

 private:
  static constexpr int64_t line = 64, size_of = sizeof(T);
  T* next_;
};

template <typename T>
struct Memory {
  T *C, *A, *n;  // width x width, width x width, width
  T* w;          // a guess of A's first eigenvector, or 0; see leading.h
  T m = T(0);
  T trace = T(0), square = T(0), cube = T(0);  // of A, A^2 and A^3
  T doubt = T(0), cube_doubt = T(0);
  bool current = false;  // A is C^T C
};

/// What is wanted of A.
enum class Gram { none, carried, measured };  // measured: its square and cube too, which a token's read needs

template <typename T>
struct Token {
  const T *q, *k, *v;  // padded to the width
  T input_gate, log_forget;
};

/// What a token did to the memory, kept for the backward.
template <typename T>
struct Change {
  T *u, *y, *p;  // C_{t-1}^T k, C_t^T q, and p above
  T *Ap, *Av;    // A_{t-1} p and A_{t-1} v, where A is measured
  T forget, input, kk;
  bool afresh = false;  // A_t was made from C_t, as carrying it would have cost its digits, or doubt has overflowed
};

template <typename T>
ORTHOREAD_INLINE T maximum(T a, T b) {
  return a > b ? a : b > a ? b : (a + b) / T(2);  // at a tie half the derivative each, as in PyTorch
}

/// Calls body(column) for each pack of a vector.
template <typename T, class W, class Body>
ORTHOREAD_INLINE void each_pack(W width, const Body& body) {
  for (int column = 0; column < width.value; column += Pack<T>::lanes) body(column);
}

template <typename T, class W>
ORTHOREAD_INLINE void zero(W width, T* x) {
  each_pack<T>(width, [&](int c) { store(x + c, Pack<T>{}); });
}

/// to = factor x.
template <typename T, class W>
ORTHOREAD_INLINE void scale(W width, T factor, const T* x, T* to) {
  each_pack<T>(width, [&](int c) { store(to + c, splat(factor) * load(x + c)); });
}

/// to += factor x.
template <typename T, class W>
ORTHOREAD_INLINE void add(W width, T factor, const T* x, T* to) {
  each_pack<T>(width, [&](int c) { store(to + c, fma(splat(factor), load(x + c), load(to + c))); });
}

/// to = a x + b y.
template <typename T, class W>
ORTHOREAD_INLINE void combine(W width, T a, const T* x, T b, const T* y, T* to) {
  each_pack<T>(width, [&](int c) { store(to + c, fma(splat(a), load(x + c), splat(b) * load(y + c))); });
}

/// x -= w (w.x), |w| = 1; the factor is returned.
template <typename T, class W>
ORTHOREAD_INLINE T project(W width, const T* w, T* x) {
  const T along = static_cast<T>(wide_dot<T>(width, w, x));
  add(width, -along, w, x);
  return along;
}

/// Rows of the lane's arrays are d long, rows of the kernel's are padded with zeros to the width. `d` is not looked at
/// where the compiler knows it.
template <typename T, class W>
ORTHOREAD_INLINE void copy_in(W width, int64_t d, const T* from, T* to) {
  if constexpr (W::constant > 0)
    each_pack<T>(width, [&](int c) { store(to + c, load(from + c)); });
  else
    for (int64_t c = 0; c < width.value; ++c) to[c] = c < d ? from[c] : T(0);
}
template <typename T, class W>
ORTHOREAD_INLINE void copy_out(W width, int64_t d, const T* from, T* to) {
  if constexpr (W::constant > 0)
    each_pack<T>(width, [&](int c) { store(to + c, load(from + c)); });
  else
    for (int64_t c = 0; c < d; ++c) to[c] = from[c];
}

/// A = C^T C, and what is kept of it.
template <typename T, class W>
void rebuild_gram(W width, Gram gram, Memory<T>& memory) {
  T* A = memory.A;
  memory.square = static_cast<T>(
      sum_outer_products<T>(width, width.value, memory.C, memory.C, [&](int at, Pack<T> x, Pack<T>& squares) {
        store(A + at, x);
        squares = fma(x, x, squares);
      }));
  memory.trace = T(0);
  for (int i = 0; i < width.value; ++i) memory.trace += A[i * width.value + i];
  if (gram == Gram::measured) {
    memory.cube =
        static_cast<T>(sum_outer_products<T>(width, width.value, A, A, [&](int at, Pack<T> x, Pack<T>& products) {
          products = fma(x, load(A + at), products);
        }));
  }
  memory.doubt = memory.trace;
  memory.cube_doubt = memory.trace * memory.trace * memory.trace;
  memory.current = true;
}

/// A_t from A_{t-1}, and whether it had better be made afresh; before and after may be the same. Without `matrix` only
/// the trace is wanted.
template <typename T, class W>
void carry_gram(W width, const T* v, Change<T>& change, const Memory<T>& before, Memory<T>& after, Gram gram,
                bool matrix) {
  const T ff = change.forget * change.forget;
  combine(width, change.forget * change.input, change.u, change.input * change.input * change.kk / T(2), v, change.p);
  const T* p = change.p;
  const T pv = dot(width, p, v), pp = dot(width, p, p), vv = dot(width, v, v);
  const T size = ff * before.trace + T(2) * sqrt(pp * vv);
  after.doubt = ff * before.doubt + size;
  after.trace = ff * before.trace + T(2) * pv;
  change.afresh = !(size <= T(kCancelLimit) * after.trace && after.doubt <= T(kDoubtLimit) * after.trace);
  if (!matrix) return;
  const T* A = before.A;
  T* to = after.A;
  if (gram == Gram::carried) {
    sweep<0, T>(
        width, {p, v}, {p, v},
        [&](int at, const Pack<T>* row, const Pack<T>* column, Pack<T>&) {
          store(to + at, fma(splat(ff), load(A + at), fma(row[0], column[1], row[1] * column[0])));
          return Pack<T>{};
        },
        [](int, int, Pack<T>) {});
    return;
  }
  T *Ap = change.Ap, *Av = change.Av;
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
  after.cube_doubt = ff * ff * ff * before.cube_doubt + size * size * size;
  after.cube = ff * (ff * (ff * before.cube + T(3) * AA_B) + T(3) * A_BB) + BBB;
}

/// One token into the memory; before and after may be the same. `gram` says what is wanted of A_t.
template <typename T, class W>
void write_token(W width, const LanePlan<T>& plan, const Token<T>& token, Gram gram, Memory<T>& before,
                 Memory<T>& after, Change<T>& change) {
  const T kept = token.log_forget + before.m, m = maximum(kept, token.input_gate);
  const T f = exp(kept - m), i = exp(token.input_gate - m);
  change.forget = f;
  change.input = i;
  change.kk = dot(width, token.k, token.k);
  if (gram != Gram::none && !before.current) rebuild_gram(width, gram, before);

  const T* C = before.C;
  T *to = after.C, *iv = change.p;  // p is made later
  scale(width, i, token.v, iv);
  const T kq = dot(width, token.k, token.q);
  sweep<2, T>(
      width, {token.k, token.q}, {iv},
      [&](int at, const Pack<T>* row, const Pack<T>* column, Pack<T>&) {
        const Pack<T> old = in_register(load(C + at));
        store(to + at, fma(splat(f), old, row[0] * column[0]));
        return old;
      },
      [&](int r, int column, Pack<T> x) {
        if (r == 0)
          store(change.u + column, x);
        else
          store(change.y + column, fma(splat(f), x, splat(kq) * load(iv + column)));
      });
  combine(width, f, before.n, i, token.k, after.n);
  after.m = m;
  after.current = gram != Gram::none;
  if (!after.current) return;
  carry_gram(width, token.v, change, before, after, gram, plan.gram);
  if (change.afresh) {
    rebuild_gram(width, gram, after);
    sum_rows<T, 1>(width, after.C, {token.q}, [&](int, int column, Pack<T> x) { store(change.y + column, x); });
  }
}

}  // namespace orthoread::ORTHOREAD_ISA
