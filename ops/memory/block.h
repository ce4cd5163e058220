// A block: some neighbouring tokens of a wide head, whose memories share a base, so that products with all of them are
// products of matrices.
//
// Token by token (read.h) a term of the read's series is a product of A_t with one vector, which waits for loads of
// A_t: a wide head's matrices are in no first-level cache. But with C for the memory before the block, k_i and v_i the
// rows of K and V, and the tokens' gates multiplied up,
//   C_t = g_t C + sum_{i<=t} W_ti k_i v_i^T,    g_t = f'_1 ... f'_t,   W_ti = i'_i f'_{i+1} ... f'_t.
// Let A = C^T C, U = K C and M = K K^T. For a row x, of token t, with p = W_t o (V x) and r = W_t o (U x) (o: element
// by element),
//   A_t x = g_t^2 A x + g_t U^T p + V^T (g_t r + W_t o (M p)),
//   C_t x = g_t C x + K^T p,   C_t^T x = g_t C^T x + V^T (W_t o (K x)).
// For a row of every token these are products of matrices: d^2 + 4 c d + c^2 multiplications for each, with c tokens.
//
// The traces that bound A_t's eigenvalues (spectrum.h) follow from the same small matrices. With D = diag(W_t),
// E = D M D and X = (U; V),
//   A_t = g^2 A + X^T S X,   S = (0, g D; g D, E),   tr A_t = g^2 tr A + 2 g tr D U V^T + tr E V V^T.
// tr A_t^2 and tr A_t^3 are carried from token to token as in state.h, where p and v are rows X^T x: with
// G_k = X A^k X^T,
//   v = X^T e,   p = f i u + i^2 (k.k)/2 v,   u = C_{t-1}^T k = g U^T e + V^T (W_{t-1} o (K k)),
//   X^T x . A_{t-1} X^T y  = g^2 x.G_1 y + G_0 x . S G_0 y,
//   X^T x . A_{t-1}^2 X^T y = g^4 x.G_2 y + g^2 (G_1 x . S G_0 y + S G_0 x . G_1 y) + S G_0 x . G_0 S G_0 y.
//
// The next base's A is g^2 A + X^T S X of the last token, at the cost of d^2 a token, while C^T C costs d^3 a block.
//
// Rounding. A that is carried from base to base collects errors, as in state.h, so it is computed afresh where they
// have become large beside tr A, and once every kBlockChunk tokens. Where a token cancels most of what is stored, A_t
// is small beside the terms of the sum above, and would have no digits. So the block ends with that token, and the next
// one begins with it: a base that holds token t already, and a first row that writes nothing, g = 1 and W = 0.
#pragma once

#include "ops/memory/forward.h"

namespace orthoread::ORTHOREAD_ISA {

/// Tokens that share a base. They are read together: their rows fill the tiles of the products.
inline constexpr int kBlockTokens = 16;
/// The width of a row with a number for each of them.
inline constexpr Width<kBlockTokens> kTokens;

/// The most vectors that are multiplied by one matrix at a time.
inline constexpr int kMostColumns = 3 * kBlockTokens;

/// At the start of every chunk of so many tokens A is computed from the base, and then carried from block to block. The
/// backward of blocks has its checkpoints there, and holds the bases of one chunk.
inline constexpr int kBlockChunk = 64;

/// Where a base's error bound exceeds this times tr A, A is computed from C instead of carried. In a chunk in which
/// nothing is cancelled it stays below.
inline constexpr double kBaseErrorLimit = 16;

/// A token at which the absolute values of tr A_t's terms add up to more than this times tr A_t begins a new block.
inline constexpr double kBlockCancelLimit = 8;

/// The products U A^k U^T, V A^k U^T and V A^k V^T for one k, c x c.
template <typename T>
struct RowProducts {
  static constexpr int kSize = kBlockTokens * kBlockTokens;
  T *UU, *VU, *VV;

  static RowProducts from(Scratch<T>& scratch) {
    return {scratch.take(kSize), scratch.take(kSize), scratch.take(kSize)};
  }
};

/// Of A_t: its trace, the absolute values of the terms that this consists of, tr A_t^2 and tr A_t^3, and bounds of the
/// rounding errors of A_t and tr A_t^3 in units of eps, as in state.h.
template <typename T>
struct BlockTraces {
  Wide<T> trace = Wide<T>(0), size = Wide<T>(0), square = Wide<T>(0), cube = Wide<T>(0), error = Wide<T>(0),
          cube_error = Wide<T>(0);
};

/// A memory from which a block begins.
template <typename T>
struct Base {
  T *C = nullptr, *A = nullptr, *n = nullptr;  // d x d; d x d where plan.gram; d
  T m = T(0);
  bool has_A = false;            // A and the traces are there; if not, measure_base sets them
  Wide<T> A_error = Wide<T>(0);  // bound of A's rounding errors, in units of eps: traces.error grows with each token
  BlockTraces<T> traces;

  Base() = default;
  Base(int64_t d, const ReadPlan<T>& plan, Scratch<T>& scratch)
      : C(scratch.take(d * d)), A(plan.gram ? scratch.take(d * d) : nullptr), n(scratch.take(d)) {}
};

/// A base and the tokens since. M and G[0] are there only where reads are orthogonalized.
template <typename T>
struct Block {
  static constexpr int c = kBlockTokens;
  int d;                 // width
  bool powers;           // whether tr A_t^2 and tr A_t^3 are needed: in the forward, to choose the series
  int tokens = 0;        // rows there are; W is 0 beyond them
  bool in_base = false;  // row 0 is of a token that the base holds already

  Base<T>* base = nullptr;
  T* w;                       // a guess of A_t's dominant eigenvector for these tokens, or 0
  T *K, *X, *X_A;             // c x d, (U; V) 2c x d, X A
  T *V_U_K, *X_A_transposed;  // V, U and K transposed, side by side, d x 3c; d x 2c
  T* M;                       // K K^T
  RowProducts<T> G[3];        // for A^0, and for A and A^2 where powers are needed
  T *W, *g;                   // c x c, c
  T* N;                       // the n_t, c x d
  T* columns;                 // room of matrix_times
  T m_of[c], forget[c], input[c];
  T kept[c], input_gate[c];  // lf + m_{t-1} and ig, whose maximum is m_t
  BlockTraces<T> traces[c];

  Block(int64_t width, const ReadPlan<T>& plan, For pass, Scratch<T>& scratch)
      : d(static_cast<int>(width)), powers(pass == For::forward && plan.gram) {
    const int64_t cd = c * width;
    w = scratch.take(width);
    K = scratch.take(cd);
    X = scratch.take(2 * cd);
    V_U_K = scratch.take(3 * cd);
    N = scratch.take(cd);
    columns = scratch.take(2 * width * kMostColumns);
    W = scratch.take(c * c);
    g = scratch.take(c);
    M = X_A = X_A_transposed = nullptr;
    if (!plan.orthogonalized) return;
    M = scratch.take(c * c);
    G[0] = RowProducts<T>::from(scratch);
    if (!powers) return;
    X_A = scratch.take(2 * cd);
    X_A_transposed = scratch.take(2 * cd);
    for (int k : {1, 2}) G[k] = RowProducts<T>::from(scratch);
  }
  Width<0> width() const { return {d}; }
  int powers_of_A(const ReadPlan<T>& plan) const { return powers ? 3 : plan.orthogonalized ? 1 : 0; }  // of G
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

/// A block without tokens, or, if b.in_base, with the one that the base holds already.
template <typename T>
void clear_block(const ReadPlan<T>& plan, Block<T>& b) {
  const int64_t d = b.d, c = b.c;
  zero_all(c * d, b.K);
  zero_all(2 * c * d, b.X);
  zero_all(3 * c * d, b.V_U_K);
  zero_all(c * c, b.W);
  if (plan.orthogonalized) zero_all(c * c, b.M);
  for (int k = 0; k < b.powers_of_A(plan); ++k)
    for (T* matrix : {b.G[k].UU, b.G[k].VU, b.G[k].VV}) zero_all(c * c, matrix);
  if (b.powers) {
    zero_all(2 * c * d, b.X_A);
    zero_all(2 * c * d, b.X_A_transposed);
  }
  b.tokens = b.in_base ? 1 : 0;
  if (!b.in_base) return;
  b.g[0] = T(1);
  b.m_of[0] = b.base->m;
  scale(b.width(), T(1), b.base->n, b.N);
}

/// to_i = m x_i for `rows` rows, with m d x d: as m times a matrix whose columns are the x_i, as m^T is not there.
template <typename T>
void matrix_times(const Block<T>& b, int rows, const T* x, const T* m, T* to) {
  const int d = b.d;
  T *columns = b.columns, *products = columns + static_cast<int64_t>(kMostColumns) * d;
  transpose<T>(rows, d, {x, d}, {columns, kMostColumns});
  product<T>({d, rows, d}, {m, d}, {columns, kMostColumns}, {products, kMostColumns});
  transpose<T>(d, rows, {products, kMostColumns}, {to, d});
}

/// tr A^3, at the cost of d^3. V_U_K is overwritten.
template <typename T>
Wide<T> cube_of(const Block<T>& b) {
  Wide<T> sum = Wide<T>(0);
  const int64_t d = b.d, rows = 3 * b.c;
  for (int64_t i = 0; i < d; i += rows) {
    const int64_t count = d - i < rows ? d - i : rows;
    const T* A = b.base->A + i * d;
    product<T>({count, d, d}, {A, d}, {b.base->A, d}, {b.V_U_K, d});
    for (int64_t n = 0; n < count; ++n) sum += wide_dot<T>(b.width(), b.V_U_K + n * d, A + n * d);
  }
  return sum;
}

/// Sets the base's A and its traces, unless they were carried there. tr A^3 costs d^3, and is kept unless the last
/// block was cut, or unless its error bound exceeds a quarter of it and would shrink 16 times.
template <typename T>
void measure_base(const ReadPlan<T>& plan, Block<T>& b) {
  if (!plan.orthogonalized || b.base->has_A) return;
  BlockTraces<T>& of = b.base->traces;
  of.trace = of.size = of.error = b.base->A_error = square_of(b.width(), b.base->C);
  if (!plan.gram) return;
  symmetric_product<T>(b.d, b.d, b.base->C, b.base->C, b.base->A, Store::replace);
  b.base->has_A = true;
  if (!b.powers) return;
  of.square = square_of(b.width(), b.base->A);
  const Wide<T> least_error = of.trace * of.trace * of.trace;
  if (!b.in_base &&
      (Wide<T>(16 * plan.precision) * of.cube_error <= of.cube || of.cube_error <= Wide<T>(16) * least_error))
    return;
  of.cube = cube_of(b);
  of.cube_error = least_error;
}

/// Begins a block on the base that is there: the memory after the last block, or the one before the first token.
/// b.in_base says whether the block's first token is in it.
template <typename T>
void begin_block(const ReadPlan<T>& plan, Block<T>& b) {
  measure_base(plan, b);
  clear_block(plan, b);
  b.traces[0] = b.base->traces;  // where row 0 is in it
}

/// The rows of the next tokens, from `first` of the sequence on; not the products of them.
template <typename T>
void add_rows(const HeadShape& shape, const HeadInputs<T>& x, int64_t first, int count, Block<T>& b) {
  for (int64_t t = first; t < first + count; ++t) {
    const int r = b.tokens++;
    copy_in(b.width(), shape.width, x.k + t * shape.row_stride, b.k(r));
    copy_in(b.width(), shape.width, x.v + t * shape.row_stride, b.v(r));
    b.kept[r] = x.log_forget[t * shape.gate_stride] + (r > 0 ? b.m_of[r - 1] : b.base->m);
    b.input_gate[r] = x.input_gate[t * shape.gate_stride];
    const T m = maximum(b.kept[r], b.input_gate[r]), f = exp(b.kept[r] - m), i = exp(b.input_gate[r] - m);
    b.m_of[r] = m;
    b.forget[r] = f;
    b.input[r] = i;
    b.g[r] = r > 0 ? f * b.g[r - 1] : f;
    if (r > 0) scale(kTokens, f, b.w_of(r - 1), b.w_of(r));
    b.w_of(r)[r] = i;
    combine(b.width(), f, r > 0 ? b.n_of(r - 1) : b.base->n, i, b.k(r), b.n_of(r));
  }
}

/// The products of the rows from `from` on with the base.
template <typename T>
void add_base_products(int from, Block<T>& b) {
  const int64_t d = b.d, count = b.tokens - from;
  product<T>({count, d, d}, {b.k(from), d}, {b.base->C, d}, {b.u(from), d});
  for (const int64_t row : {from, b.c + from}) {
    if (b.powers) product<T>({count, d, d}, {b.X + row * d, d}, {b.base->A, d}, {b.X_A + row * d, d});
  }
}

/// The rows from `from` on of x y^T, (c, c), from y^T. x y^T is symmetric.
template <typename T>
void add_symmetric_product(int from, const Block<T>& b, const T* x, RowMajor<const T> y_transposed, T* xy) {
  const int64_t d = b.d, c = b.c;
  product<T>({b.tokens - from, c, d}, {x + from * d, d}, y_transposed, {xy + from * c, c});
  for (int j = from; j < b.tokens; ++j)
    for (int i = 0; i < j; ++i) xy[i * c + j] = xy[j * c + i];  // equal, but for rounding
}

/// The rows and columns from `from` on of X Y^T, X and Y being (U; V) or products of it with A; y_transposed has V and
/// then U.
template <typename T>
void add_row_products(int from, const Block<T>& b, const T* x, RowMajor<const T> y_transposed,
                      const RowProducts<T>& G) {
  const int64_t d = b.d, c = b.c, count = b.tokens - from;
  const T *U = x, *V = x + c * d;
  const RowMajor<const T> VT = y_transposed, UT = {VT.first + c, VT.row};
  add_symmetric_product(from, b, U, UT, G.UU);
  add_symmetric_product(from, b, V, VT, G.VV);
  product<T>({count, c, d}, {V + from * d, d}, UT, {G.VU + from * c, c});
  product<T>({from, count, d}, {V, d}, {UT.first + from, UT.row}, {G.VU + from, c});
}

/// The products of the rows from `from` on with one another.
template <typename T>
void add_small_products(const ReadPlan<T>& plan, int from, Block<T>& b) {
  const int64_t d = b.d, c = b.c;
  const auto transposed = [&](const T* rows, int64_t row, T* to) {
    transpose<T>(b.tokens - from, b.d, {rows + from * d, d}, {to + from, row});
  };
  const T* const rows[3] = {b.V(), b.U(), b.K};
  for (int n = 0; n < 3; ++n) transposed(rows[n], 3 * c, b.V_U_K + n * c);
  if (!plan.orthogonalized) return;
  const RowMajor<const T> V_U = {b.V_U_K, 3 * c};
  add_symmetric_product<T>(from, b, b.K, {b.V_U_K + 2 * c, 3 * c}, b.M);
  add_row_products<T>(from, b, b.X, V_U, b.G[0]);
  if (!b.powers) return;
  const T* A_rows = b.X_A;
  transposed(A_rows + c * d, 2 * c, b.X_A_transposed);
  transposed(A_rows, 2 * c, b.X_A_transposed + c);
  add_row_products(from, b, A_rows, V_U, b.G[1]);
  add_row_products<T>(from, b, A_rows, {b.X_A_transposed, 2 * c}, b.G[2]);
}

/// tr A_t and the absolute values of its terms.
template <typename T>
void measure_trace(int row, Block<T>& b) {
  using V = Wide<T>;
  const int c = b.c, n = row + 1;
  const T *w = b.w_of(row), *VV = b.G[0].VV;
  const V g = V(b.g[row]);
  V trace = g * g * b.base->traces.trace, size = trace;
  for (int i = 0; i < n; ++i) {
    const V wi = V(w[i]), vv = V(VV[i * c + i]);
    trace += V(2) * g * wi * V(b.G[0].VU[i * c + i]);
    size += V(2) * g * wi * sqrt(vv * V(b.G[0].UU[i * c + i]));
    for (int j = 0; j < n; ++j) {
      const V e = wi * V(w[j]) * V(b.M[i * c + j]);
      trace += e * V(VV[i * c + j]);
      size += abs(e) * sqrt(vv * V(VV[j * c + j]));
    }
  }
  b.traces[row].trace = trace;
  b.traces[row].size = size;
}

/// Numbers for the rows of U and of V: x of X^T x, or of X Y^T y.
template <typename T>
struct RowNumbers {
  Wide<T> u[kBlockTokens], v[kBlockTokens];
};
template <typename T>
Wide<T> dot(int n, const RowNumbers<T>& x, const RowNumbers<T>& y) {
  Wide<T> sum = Wide<T>(0);
  for (int i = 0; i < n; ++i) sum += x.u[i] * y.u[i] + x.v[i] * y.v[i];
  return sum;
}

/// G x.
template <typename T>
RowNumbers<T> times(const RowProducts<T>& G, int c, int n, const RowNumbers<T>& x) {
  RowNumbers<T> y{};
  for (int i = 0; i < n; ++i) {
    for (int j = 0; j < n; ++j) {
      y.u[j] += Wide<T>(G.UU[i * c + j]) * x.u[i] + Wide<T>(G.VU[i * c + j]) * x.v[i];
      y.v[j] += Wide<T>(G.VV[i * c + j]) * x.v[i];
      y.v[i] += Wide<T>(G.VU[i * c + j]) * x.u[j];
    }
  }
  return y;
}

/// tr A_t^2 and tr A_t^3 from those of the token before.
template <typename T>
void carry_power_traces(int row, Block<T>& b) {
  using V = Wide<T>;
  const int c = b.c, n = row + 1;
  const BlockTraces<T>& before = row > 0 ? b.traces[row - 1] : b.base->traces;
  BlockTraces<T>& after = b.traces[row];
  const V f = V(b.forget[row]), i = V(b.input[row]), ff = f * f, g = row > 0 ? V(b.g[row - 1]) : V(1), gg = g * g;
  V w[kBlockTokens] = {};  // W_{t-1}
  for (int j = 0; j < row; ++j) w[j] = V(b.w_of(row - 1)[j]);
  const auto times_S = [&](const RowNumbers<T>& x) {
    RowNumbers<T> y{};
    for (int j = 0; j < row; ++j) {
      V sum = g * x.u[j];
      for (int l = 0; l < row; ++l) sum += V(b.M[j * c + l]) * (w[l] * x.v[l]);
      y.u[j] = g * w[j] * x.v[j];
      y.v[j] = w[j] * sum;
    }
    return y;
  };
  RowNumbers<T> p{};
  p.u[row] = f * i * g;
  for (int j = 0; j < row; ++j) p.v[j] = f * i * w[j] * V(b.M[row * c + j]);
  p.v[row] = i * i * V(b.M[row * c + row]) / V(2);

  const auto G_v = [&](int k) {
    RowNumbers<T> y{};
    for (int j = 0; j < n; ++j) {
      y.u[j] = V(b.G[k].VU[row * c + j]);
      y.v[j] = V(b.G[k].VV[row * c + j]);
    }
    return y;
  };
  const RowNumbers<T> v0 = G_v(0), v1 = G_v(1), v2 = G_v(2), p0 = times(b.G[0], c, n, p), p1 = times(b.G[1], c, n, p);
  const RowNumbers<T> Sv = times_S(v0), Sp = times_S(p0);
  const V pv = dot(n, p, v0), pp = dot(n, p, p0), vv = v0.v[row];
  const V p_A_v = gg * dot(n, p, v1) + dot(n, p0, Sv), p_A_p = gg * dot(n, p, p1) + dot(n, p0, Sp);
  const V v_A_v = gg * v1.v[row] + dot(n, v0, Sv);
  const V Ap_Av =
      gg * gg * dot(n, p, v2) + gg * (dot(n, p1, Sv) + dot(n, Sp, v1)) + dot(n, Sp, times(b.G[0], c, n, Sv));

  const V A_BB = V(2) * pv * p_A_v + vv * p_A_p + pp * v_A_v, BBB = V(2) * pv * (pv * pv + V(3) * pp * vv);
  after.square = ff * (ff * before.square + V(4) * p_A_v) + V(2) * (pv * pv + pp * vv);
  if (!isfinite(after.square)) after.square = V(__builtin_inf());  // not NaN, of which a small bound would follow
  after.cube = ff * (ff * (ff * before.cube + V(6) * Ap_Av) + V(3) * A_BB) + BBB;
  V size = ff * before.trace + V(2) * sqrt(pp * vv);
  if (after.size > size) size = after.size;
  after.error = ff * before.error + size;
  after.cube_error = ff * ff * ff * before.cube_error + size * size * size;
}

/// A of the memory after the last row, g^2 A + X^T S X. V_U_K and G are used up.
template <typename T>
void carry_gram(const Block<T>& b, T* to) {
  const int64_t d = b.d, c = b.c;
  const T g = b.g[b.tokens - 1], *w = b.w_of(b.tokens - 1);
  T *S_X = b.V_U_K, *E = b.G[0].UU;
  for (int i = 0; i < c; ++i) {
    for (int j = 0; j < c; ++j) E[i * c + j] = w[i] * w[j] * b.M[i * c + j];
    scale(b.width(), g * w[i], b.v(i), S_X + i * d);
    scale(b.width(), g * w[i], b.u(i), S_X + (c + i) * d);
  }
  product<T>({c, d, c}, {E, c}, {b.V(), d}, {S_X + c * d, d}, Store::add);
  for (int i = 0; i < d; ++i) scale(b.width(), g * g, b.base->A + i * d, to + i * d);
  symmetric_product<T>(d, 2 * c, b.X, S_X, to, Store::add);
}

/// The memory after the last row becomes the base `to`, which may be *b.base. A is carried there if `carry` and unless
/// it would have lost too many digits, or overflowed.
template <typename T>
void end_block(const ReadPlan<T>& plan, bool carry, Block<T>& b, Base<T>& to) {
  const int d = b.d, last = b.tokens - 1;
  const T g = b.g[last], *w = b.w_of(last);
  const BlockTraces<T>& of = b.traces[last];
  to.A_error = Wide<T>(g) * Wide<T>(g) * b.base->A_error + of.size;
  const bool finite = isfinite(static_cast<T>(b.base->traces.trace + of.size)) && isfinite(of.square);
  to.has_A = carry && plan.gram && finite && to.A_error <= Wide<T>(kBaseErrorLimit) * of.trace;
  if (to.has_A) carry_gram(b, to.A);
  T* weighted = b.V_U_K;
  for (int i = 0; i < b.tokens; ++i) scale(b.width(), w[i], b.k(i), weighted + i * d);
  for (int i = 0; i < d; ++i) scale(b.width(), g, b.base->C + i * d, to.C + i * d);
  product<T>({d, d, b.tokens}, {weighted, 1, d}, {b.V(), d}, {to.C, d}, Store::add);
  scale(b.width(), T(1), b.n_of(last), to.n);
  to.m = b.m_of[last];
  to.traces = of;
}

}  // namespace orthoread::ORTHOREAD_ISA
