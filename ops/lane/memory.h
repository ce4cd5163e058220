// The memory's state and how a token changes it.
//
// Beside C, n and m the orthogonalized read wants A = C^T C. One token is a rank-one change of C, so it is a rank-two
// change of A (f and i are f' and i' here):
//   u   = C_{t-1}^T k
//   A_t = f^2 A_{t-1} + f i (u v^T + v u^T) + i^2 (k.k) v v^T = f^2 A_{t-1} + p v^T + v p^T,  p = f i u + i^2 (k.k)/2 v
// which costs O(d^2) where the product C^T C costs O(d^3). The carried A gathers rounding errors the product does not
// have: each token adds about eps (f^2 trace A_{t-1} + 2 |p| |v|), and old errors fade with f^2. `doubt` adds these up,
// in units of eps. A is made afresh from C at every chunk's start, where reads are too far apart for carrying to pay,
// and in the rare case that a token cancels what was stored, so that doubt grows large against trace A.
#pragma once

#include "ops/lane/matrix.h"
#include "ops/lane/plan.h"

namespace orthoread::ORTHOREAD_ISA {

inline constexpr double kDoubtLimit = 64;  // a chunk of plain growth stays under it

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
  T m;
  T trace;   // of A
  T square;  // sum of A's squared entries
  double doubt;
  bool current;  // A is C^T C
};

template <typename T>
struct Token {
  const T *q, *k, *v;  // padded to the width
  T input_gate, log_forget;
};

/// What a token did to the memory, kept for the backward.
template <typename T>
struct Change {
  T *u, *y, *p;  // C_{t-1}^T k, C_t^T q, and p above
  T forget, input, kk;
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
void rebuild_gram(W width, Memory<T>& memory) {
  T* A = memory.A;
  memory.square = static_cast<T>(
      sum_outer_products<T>(width, width.value, memory.C, memory.C, [&](int at, Pack<T> x, Pack<T>& squares) {
        store(A + at, x);
        squares = fma(x, x, squares);
      }));
  memory.trace = T(0);
  for (int i = 0; i < width.value; ++i) memory.trace += A[i * width.value + i];
  memory.doubt = value_of(memory.trace);
  memory.current = true;
}

/// A_t from A_{t-1}, with p from `change`; before and after may be the same.
template <typename T, class W>
void carry_gram(W width, const T* v, const Change<T>& change, const Memory<T>& before, Memory<T>& after, bool matrix) {
  const T ff = change.forget * change.forget;
  combine(width, change.forget * change.input, change.u, change.input * change.input * change.kk / T(2), v, change.p);
  const T grown = T(2) * dot(width, change.p, v);
  const double size = 2 * __builtin_sqrt(value_of(dot(width, change.p, change.p) * dot(width, v, v)));
  after.doubt = value_of(ff) * (before.doubt + value_of(before.trace)) + size;
  after.trace = ff * before.trace + grown;
  if (!matrix) return;
  const T* A = before.A;
  T* to = after.A;
  after.square = static_cast<T>(sweep<0, T>(
      width, {change.p, v}, {change.p, v},
      [&](int at, const Pack<T>* row, const Pack<T>* column, Pack<T>& squares) {
        const Pack<T> x = fma(splat(ff), load(A + at), fma(row[0], column[1], row[1] * column[0]));
        store(to + at, x);
        squares = fma(x, x, squares);
        return x;
      },
      [](int, int, Pack<T>) {}));
}

/// One token into the memory; before and after may be the same. `gram` says that A_t is needed too.
template <typename T, class W>
void write_token(W width, const LanePlan<T>& plan, const Token<T>& token, bool gram, Memory<T>& before,
                 Memory<T>& after, Change<T>& change) {
  const T kept = token.log_forget + before.m, m = maximum(kept, token.input_gate);
  const T f = exp(kept - m), i = exp(token.input_gate - m);
  change.forget = f;
  change.input = i;
  change.kk = dot(width, token.k, token.k);
  if (gram && !before.current) rebuild_gram(width, before);

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
  after.current = gram;
  if (!gram) return;
  carry_gram(width, token.v, change, before, after, plan.gram);
  if (after.doubt > kDoubtLimit * value_of(after.trace)) rebuild_gram(width, after);
}

}  // namespace orthoread::ORTHOREAD_ISA
