// A block: some neighbouring tokens of a wide head, whose memories share a base, so that products with all of them are
// products of matrices.
//
// Token by token (read.h) a term of the read's series is a product of A_t with one vector, which waits for loads of
// A_t: a wide head's matrices are in no first-level cache. But with C for the memory before the block, k_i and v_i the
// rows of K and V, and the tokens' gates multiplied up,
//   C_t = g_t C + sum_{i<=t} W_ti k_i v_i^T,    g_t = f'_1 ... f'_t,   W_ti = i'_i f'_{i+1} ... f'_t.
// Let A = C^T C, U = K C and M = K K^T. For a row x, of token t, with p = W_t o (V x) and r = W_t o (U x) (o: element
// by element),
//   A_t x = g_t^2 A x + g_t U^T p + V^T (g_t r + W_t o (M p)),    C_t x = g_t C x + K^T p,   C_t^T x = g_t C^T x + V^T
//   (W_t o (K x)).
// For a row of every token these are products of matrices: d^2 + 4 c d + c^2 multiplications for each, with c tokens.
//
// The traces that bound A_t's eigenvalues (spectrum.h) follow from the same small matrices. With D = diag(W_t), E = D M
// D:
//   A_t = g^2 A + X^T S X,   X = (U; V),   S = (0, g D; g D, E),
//   tr A_t   = g^2 tr A + 2 g tr D U V^T + tr E V V^T,
//   tr A_t^2 = g^4 tr A^2 + 2 g^2 (2 g tr D U A V^T + tr E V A V^T) + tr (S X X^T)^2.
// tr A_t^3 would need A^2, which costs more than the terms that a tighter bound saves.
//
// Rounding. Where a token cancels most of what is stored, A_t is small beside the terms of the sum above, and would
// have no digits. So the block ends with that token, and the next one begins with it: a base that holds token t
// already, and a first row that writes nothing, g = 1 and W = 0.
#pragma once

#include "ops/memory/forward.h"
#include "ops/simd/product.h"

namespace orthoread::ORTHOREAD_ISA {

/// Of the absolute values of tr A_t's terms against tr A_t: a token beyond begins a new block.
inline constexpr double kBlockCancelLimit = 8;

/// So many terms are added up before their sum is added to the others': where they have one sign, as with keys that are
/// alike, rounding errors grow with the number of terms.
inline constexpr int64_t kSummedAtOnce = 64;

/// c = a b or c += a b, as in MatrixProduct: a is (m, k), b (k, n), c (m, n).
template <typename T>
ORTHOREAD_INLINE void product(int64_t m, int64_t n, int64_t k, const T* a, int64_t a_row, int64_t a_column, const T* b,
                              int64_t b_row, T* c, int64_t c_row, Store how = Store::replace) {
  for (int64_t first = 0; m > 0 && first < k; first += kSummedAtOnce) {
    const int64_t depth = k - first < kSummedAtOnce ? k - first : kSummedAtOnce;
    multiply(MatrixProduct<T>{m, n, depth, a + first * a_column, a_row, a_column, b + first * b_row, b_row, c, c_row,
                              first == 0 ? how : Store::add});
  }
}

/// to = from^T: from is (rows, columns), and its rows begin from_row numbers apart.
template <typename T>
void transpose(int rows, int columns, const T* from, int64_t from_row, T* to, int64_t to_row) {
  constexpr int tile = 16;  // a line of a cache
  for (int i = 0; i < rows; i += tile)
    for (int j = 0; j < columns; ++j)
      for (int n = i; n < i + tile && n < rows; ++n) to[j * to_row + n] = from[n * from_row + j];
}

/// A base and the tokens since. A and the products from M on are there only where reads are orthogonalized.
template <typename T>
struct Block {
  int d, c;              // width, most tokens
  bool squares;          // tr A_t^2 is wanted
  int tokens = 0;        // rows there are; beyond them all matrices are 0
  bool in_base = false;  // row 0 is of a token that the base holds already

  T *C, *C_transposed, *A, *n;      // the base; d x d, and d
  T* w;                             // a guess of A_t's dominant eigenvector for these tokens, or 0
  T *K, *X, *V_A;                   // c x d, (U; V) 2c x d, V A
  T* V_U_K;                         // V, U and K transposed, side by side, d x 3c
  T *M, *VV, *VU, *UU, *VAV, *UAV;  // K K^T, V V^T, V U^T, U U^T, V A V^T, and the diagonal of U A V^T
  T *W, *g;                         // c x c, c
  T* N;                             // the n_t, c x d
  T m = T(0);
  T m_of[kLongestChunk], forget[kLongestChunk], input[kLongestChunk];
  T kept[kLongestChunk], input_gate[kLongestChunk];  // lf + m_{t-1} and ig, whose maximum is m_t
  Wide<T> trace = Wide<T>(0), square = Wide<T>(0);   // of A and A^2

  Block(int64_t width, const ReadPlan<T>& plan, bool with_squares, Scratch<T>& scratch)
      : d(static_cast<int>(width)), c(chunk_tokens(d)), squares(with_squares && plan.gram) {
    const int64_t dd = width * width, cd = c * width, cc = static_cast<int64_t>(c) * c;
    for (T** matrix : {&C, &C_transposed}) *matrix = scratch.take(dd);
    for (T** row : {&n, &w}) *row = scratch.take(d);
    K = scratch.take(cd);
    X = scratch.take(2 * cd);
    V_U_K = scratch.take(3 * cd);
    N = scratch.take(cd);
    W = scratch.take(cc);
    g = scratch.take(c);
    A = V_A = M = VV = VU = UU = VAV = UAV = nullptr;
    if (!plan.orthogonalized) return;
    A = scratch.take(dd);
    V_A = scratch.take(cd);
    for (T** matrix : {&M, &VV, &VU, &UU, &VAV}) *matrix = scratch.take(cc);
    UAV = scratch.take(c);
  }
  Width<0> width() const { return {d}; }
  Width<0> most() const { return {c}; }
  T* U() const { return X; }
  T* V() const { return X + c * d; }
  T* u(int i) const { return X + i * d; }
  T* v(int i) const { return X + (c + i) * d; }
  T* k(int i) const { return K + i * d; }
  T* w_of(int i) const { return W + i * c; }  // W_t
  T* n_of(int i) const { return N + i * d; }
};

template <typename T>
void zero_all(int64_t count, T* x) {
  for (int64_t i = 0; i < count; ++i) x[i] = T(0);
}

/// A block without tokens, or with the one that the base holds already.
template <typename T>
void clear_block(const ReadPlan<T>& plan, bool in_base, Block<T>& b) {
  const int64_t d = b.d, c = b.c;
  zero_all(c * d, b.K);
  zero_all(2 * c * d, b.X);
  zero_all(3 * c * d, b.V_U_K);
  zero_all(c * c, b.W);
  if (plan.orthogonalized) {
    for (T* matrix : {b.M, b.VV, b.VU, b.UU, b.VAV}) zero_all(c * c, matrix);
    zero_all(c, b.UAV);
    zero_all(c * d, b.V_A);
  }
  b.in_base = in_base;
  b.tokens = in_base ? 1 : 0;
  if (!in_base) return;
  b.g[0] = T(1);
  b.m_of[0] = b.m;
  scale(b.width(), T(1), static_cast<const T*>(b.n), b.N);
}

/// The sum of the squares of a d x d matrix.
template <typename T>
Wide<T> square_of(const Block<T>& b, const T* x) {
  Wide<T> sum = Wide<T>(0);
  for (int i = 0; i < b.d; ++i) sum += wide_dot<T>(b.width(), x + i * b.d, x + i * b.d);
  return sum;
}

/// What follows from the base, but for A.
template <typename T>
void measure_base(const ReadPlan<T>& plan, Block<T>& b) {
  transpose(b.d, b.d, static_cast<const T*>(b.C), b.d, b.C_transposed, b.d);
  b.trace = plan.orthogonalized ? square_of(b, static_cast<const T*>(b.C)) : Wide<T>(0);
  b.square = b.squares ? square_of(b, static_cast<const T*>(b.A)) : Wide<T>(0);
}

/// A = C^T C: the products on one side of the diagonal, in broad rows, and what they are on the other.
template <typename T>
void compute_gram(const Block<T>& b) {
  constexpr int rows = 64;
  const int64_t d = b.d;
  for (int64_t i = 0; i < d; i += rows) {
    const int64_t count = d - i < rows ? d - i : rows, rest = d - i - count;
    T* diagonal = b.A + i * d + i;
    product<T>(count, d - i, d, b.C + i, 1, d, b.C + i, d, diagonal, d);
    transpose(static_cast<int>(count), static_cast<int>(rest), static_cast<const T*>(diagonal + count), d,
              diagonal + count * d, d);
  }
}

/// Begins a block on the base that is there.
template <typename T>
void begin_block(const ReadPlan<T>& plan, bool in_base, Block<T>& b) {
  clear_block(plan, in_base, b);
  if (plan.gram) compute_gram(b);
  measure_base(plan, b);
}

/// The rows of the next tokens, from `first` of the sequence on; not the products of them.
template <typename T>
void add_rows(const HeadShape& shape, const HeadInputs<T>& x, int64_t first, int count, Block<T>& b) {
  for (int64_t t = first; t < first + count; ++t) {
    const int r = b.tokens++;
    copy_in(b.width(), shape.width, x.k + t * shape.row_stride, b.k(r));
    copy_in(b.width(), shape.width, x.v + t * shape.row_stride, b.v(r));
    b.kept[r] = x.log_forget[t * shape.gate_stride] + (r > 0 ? b.m_of[r - 1] : b.m);
    b.input_gate[r] = x.input_gate[t * shape.gate_stride];
    const T m = maximum(b.kept[r], b.input_gate[r]), f = exp(b.kept[r] - m), i = exp(b.input_gate[r] - m);
    b.m_of[r] = m;
    b.forget[r] = f;
    b.input[r] = i;
    b.g[r] = r > 0 ? f * b.g[r - 1] : f;
    if (r > 0) scale(b.most(), f, static_cast<const T*>(b.w_of(r - 1)), b.w_of(r));
    b.w_of(r)[r] = i;
    combine(b.width(), f, static_cast<const T*>(r > 0 ? b.n_of(r - 1) : b.n), i, static_cast<const T*>(b.k(r)),
            b.n_of(r));
  }
}

/// Products of the rows from `from` on with the base.
template <typename T>
void add_base_products(int from, Block<T>& b) {
  const int64_t d = b.d, count = b.tokens - from;
  product<T>(count, d, d, b.k(from), d, 1, b.C, d, b.u(from), d);
  if (b.squares) product<T>(count, d, d, b.v(from), d, 1, b.A, d, b.V_A + from * d, d);
}

/// And with one another.
template <typename T>
void add_small_products(const ReadPlan<T>& plan, int from, Block<T>& b) {
  const int d = b.d, c = b.c, count = b.tokens - from;
  const T* const rows[3] = {b.v(from), b.u(from), b.k(from)};
  for (int n = 0; n < 3; ++n) transpose(count, d, rows[n], d, b.V_U_K + n * c + from, 3 * c);
  if (!plan.orthogonalized) return;
  const T *VT = b.V_U_K, *UT = VT + c, *KT = UT + c;
  const auto gram = [&](const T* x, const T* y_transposed, T* xy) {
    product<T>(count, c, d, x + from * d, d, 1, y_transposed, 3 * c, xy + from * c, c);
  };
  const auto symmetric = [&](const T* x, const T* transposed,
                             T* xx) {  // by what is below the diagonal, as it is there first
    gram(x, transposed, xx);
    for (int j = from; j < b.tokens; ++j)
      for (int i = 0; i < j; ++i) xx[i * c + j] = xx[j * c + i];
  };
  symmetric(b.K, KT, b.M);
  symmetric(b.V(), VT, b.VV);
  symmetric(b.U(), UT, b.UU);
  gram(b.V(), UT, b.VU);
  product<T>(from, count, d, b.V(), d, 1, UT + from, 3 * c, b.VU + from, c);
  if (!b.squares) return;
  symmetric(b.V_A, VT, b.VAV);
  for (int i = from; i < b.tokens; ++i)
    b.UAV[i] = dot(b.width(), static_cast<const T*>(b.u(i)), static_cast<const T*>(b.V_A + i * d));
}

/// tr A_t and tr A_t^2, and the absolute values that the first consists of.
template <typename T>
struct BlockTraces {
  Wide<T> trace, square, size;
};
template <typename T>
BlockTraces<T> traces_of(const Block<T>& b, int row) {
  using V = Wide<T>;
  const int c = b.c, n = row + 1;
  const T* w = b.w_of(row);
  const V g = V(b.g[row]), gg = g * g;
  BlockTraces<T> t{gg * b.trace, gg * gg * b.square, gg * b.trace};
  V E[kLongestChunk][kLongestChunk];
  for (int i = 0; i < n; ++i) {
    const V wi = V(w[i]);
    t.trace += V(2) * g * wi * V(b.VU[i * c + i]);
    t.size += V(2) * g * wi * sqrt(V(b.VV[i * c + i]) * V(b.UU[i * c + i]));
    if (b.squares) t.square += V(4) * gg * g * wi * V(b.UAV[i]);
    for (int j = 0; j < n; ++j) {
      const V e = E[i][j] = wi * V(w[j]) * V(b.M[i * c + j]);
      t.trace += e * V(b.VV[i * c + j]);
      t.size += abs(e) * sqrt(V(b.VV[i * c + i]) * V(b.VV[j * c + j]));
      if (b.squares) t.square += V(2) * gg * e * V(b.VAV[i * c + j]);
    }
  }
  if (!b.squares) return t;
  // tr Y^2 with Y = S X X^T = (g D V U^T, g D V V^T; g D U U^T + E V U^T, g D U V^T + E V V^T).
  V below[kLongestChunk][kLongestChunk];  // its last part
  for (int i = 0; i < n; ++i) {
    V left[kLongestChunk];
    V* right = below[i];
    const V gw = g * V(w[i]);
    for (int j = 0; j < n; ++j) {
      left[j] = gw * V(b.UU[i * c + j]);
      right[j] = gw * V(b.VU[j * c + i]);
    }
    for (int l = 0; l < n; ++l) {
      for (int j = 0; j < n; ++j) {
        left[j] += E[i][l] * V(b.VU[l * c + j]);
        right[j] += E[i][l] * V(b.VV[l * c + j]);
      }
    }
    for (int j = 0; j < n; ++j) {
      const V gw_j = g * V(w[j]);
      t.square += V(2) * left[j] * gw_j * V(b.VV[j * c + i]) + gw * gw_j * V(b.VU[i * c + j]) * V(b.VU[j * c + i]);
    }
  }
  for (int i = 0; i < n; ++i)
    for (int j = 0; j < n; ++j) t.square += below[i][j] * below[j][i];
  return t;
}

/// The base becomes the memory after the last row.
template <typename T>
void end_block(Block<T>& b) {
  const int d = b.d, last = b.tokens - 1;
  const T g = b.g[last], *w = b.w_of(last);
  T* weighted = b.V_U_K;  // which is used up
  for (int i = 0; i < b.tokens; ++i) scale(b.width(), w[i], static_cast<const T*>(b.k(i)), weighted + i * d);
  for (int i = 0; i < d; ++i) scale(b.width(), g, static_cast<const T*>(b.C + i * d), b.C + i * d);
  product<T>(d, d, b.tokens, weighted, 1, d, b.V(), d, b.C, d, Store::add);
  scale(b.width(), T(1), static_cast<const T*>(b.n_of(last)), b.n);
  b.m = b.m_of[last];
}

}  // namespace orthoread::ORTHOREAD_ISA
