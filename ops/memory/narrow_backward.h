// The backward of a narrow head (narrow.h). Chunks are taken last first, each computed again from its checkpoint. Lane
// by lane the reads are computed again and reversed, with dX the cotangent of X. From t, that of r, and X = X_{k-1}:
//   ds = -1/2 X t,   dp = 3/2 t + X^T ds,   dX_{k-1} = -1/2 s t^T + ds p^T + q dp^T,   dq = X dp,
// (if k = 0: dp = t, dX_0 = q t^T, dq = X_0 t); through the steps and the norm
//   dX_j = 3/2 dX_{j+1} - 1/2 (dX_{j+1} G_j + X_j (P + P^T)),   P = X_j^T dX_{j+1},
//   dC = (dX_0 - <dX_0, X_0> X_0) / rho, or dX_0 / eps where the norm is clamped.
// Then each number of d(C | n) goes back through the tokens: d(C_t | n_t) = f'_{t+1} d(C_{t+1} | n_{t+1}) + what the
// read has given. What follows from it is lane by lane again, with v for (v | 1) where it meets (C | n):
//   dk = i d(C | n) (v | 1),   dv = i dC^T k,   df = <d(C | n)_t, (C | n)_{t-1}>,   di = k.d(C | n) (v | 1).
// The stabiliser's cotangent goes from token to token as in backward.h.
#pragma once

#include "ops/memory/backward.h"
#include "ops/memory/narrow.h"

namespace orthoread::ORTHOREAD_ISA {

/// The arrays that a backward works in.
template <typename T>
struct NarrowBackwardRoom {
  NarrowState<T> state;
  NarrowTokens<T> tokens;
  NarrowReadRoom<T> read;
  T *dh, *dq, *dk, *dv;              // d rows
  T* dC;                             // d (d + 1) rows: d(C | n)
  T *d_m, *next_forget;              // rows: what the denominator gives to m; f' of the token after
  T* past;                           // d(C | n) of the first token of the chunk after
  T *d_raw, *t, *dp, *ds, *dq_read;  // packs: the cotangents of C^T q, r, p and s, and q's through r
  T *dX, *dX_next, *P;               // packs

  NarrowBackwardRoom(int64_t d, const ReadPlan<T>& plan, Scratch<T>& scratch)
      : state(d, scratch), tokens(d, scratch), read(d, plan, For::backward, scratch) {
    constexpr int lanes = Pack<T>::lanes;
    for (T** rows : {&dh, &dq, &dk, &dv}) *rows = scratch.take(d * kNarrowChunk);
    dC = scratch.take(d * (d + 1) * kNarrowChunk);
    for (T** row : {&d_m, &next_forget}) *row = scratch.take(kNarrowChunk);
    past = scratch.take(d * (d + 1));
    for (T** vector : {&d_raw, &t, &dp, &ds, &dq_read}) *vector = scratch.take(d * lanes);
    for (T** matrix : {&dX, &dX_next, &P}) *matrix = scratch.take(d * d * lanes);
  }
};

/// f' df and i' di of the tokens of a chunk.
template <typename T>
struct NarrowGates {
  Wide<T> df[kNarrowChunk], di[kNarrowChunk];
};

/// From room.t, the cotangent of r: dX_0, which is returned, and dq into room.dq_read.
template <typename T>
const T* newton_schulz_backward(const ReadPlan<T>& plan, int d, const NarrowBackwardRoom<T>& room) {
  constexpr int lanes = Pack<T>::lanes;
  const NarrowReadRoom<T>& read = room.read;
  const Pack<T> half = splat(T(0.5)), more = splat(T(1.5));
  const T* X = read.of_step(read.X, plan.steps > 0 ? plan.steps - 1 : 0, d);
  T *dX = room.dX, *dX_next = room.dX_next;
  if (plan.steps == 0) {
    for (int j = 0; j < d * lanes; j += lanes) store(room.dp + j, load(room.t + j));
    for (int i = 0; i < d; ++i) {
      const Pack<T> q = load(read.q + i * lanes);
      for (int j = 0; j < d; ++j) store(dX + (i * d + j) * lanes, q * load(room.dp + j * lanes));
    }
  } else {
    times(d, X, room.t, [&](int i, Pack<T> y) { store(room.ds + i, Pack<T>{} - half * y); });
    transposed_times(d, X, room.ds, [&](int j, Pack<T> y) { store(room.dp + j, fma(more, load(room.t + j), y)); });
    for (int i = 0; i < d; ++i) {
      const Pack<T> q = load(read.q + i * lanes), ds = load(room.ds + i * lanes);
      const Pack<T> minus_half_s = Pack<T>{} - half * load(read.s + i * lanes);
      for (int j = 0; j < d * lanes; j += lanes)
        store(dX + i * d * lanes + j,
              fma(q, load(room.dp + j), fma(ds, load(read.p + j), minus_half_s * load(room.t + j))));
    }
  }
  times(d, X, room.dp, [&](int i, Pack<T> y) { store(room.dq_read + i, y); });
  for (int step = plan.steps - 2; step >= 0; --step) {
    const T *X_j = read.of_step(read.X, step, d), *G_j = read.of_step(read.G, step, d);
    T* P = room.P;
    multiply<T>({.d = d, .a = {transposed(X_j, d)}, .b = {dX}, .c = P});  // then P + P^T in its place
    for (int i = 0; i < d; ++i) {
      for (int j = 0; j <= i; ++j) {
        T *low = P + (i * d + j) * lanes, *high = P + (j * d + i) * lanes;
        const Pack<T> both = load(low) + load(high);
        store(low, both);
        store(high, both);
      }
    }
    multiply<T>({.d = d, .products = 2, .a = {plain<T>(dX, d), plain(X_j, d)}, .b = {G_j, P}, .e = dX, .c = dX_next});
    T* given = dX;
    dX = dX_next;
    dX_next = given;
  }
  return dX;
}

/// The reads of the lanes' tokens, from dh: dq, d(C | n) and d_m of these tokens.
template <typename T>
void read_lanes_backward(const ReadPlan<T>& plan, int d, const Lanes<T>& at, const NarrowBackwardRoom<T>& room) {
  constexpr int lanes = Pack<T>::lanes;
  const NarrowReadRoom<T>& rows = room.read;
  const NarrowRead<T> read = read_lanes(plan, d, room.tokens, at, rows);
  const Pack<T> none = {}, one = splat(T(1));
  Pack<T> dh_h = {};
  for (int j = 0; j < d; ++j) {
    const Pack<T> dr = read.over * at.from(room.dh + j * kNarrowChunk);
    store(room.t + j * lanes, dr);
    dh_h = fma(dr, load(rows.r + j * lanes), dh_h);
  }
  // The denominator, max(|q.n|, exp(-m)) + eps; at a tie half each.
  const Pack<T> size = magnitude(read.qn);
  const Pack<T> share = {size.v > read.floor.v ? one.v : size.v == read.floor.v ? splat(T(0.5)).v : none.v};
  const Pack<T> sign = {read.qn.v > none.v ? one.v : read.qn.v < none.v ? (none - one).v : none.v};
  const Pack<T> d_qn = {share.v > none.v ? (none - dh_h * read.over * sign * share).v : none.v};
  const Pack<T> of_floor = dh_h / (one + splat(T(kMemoryEps)) * exp(at.from(room.tokens.m))) * (one - share);
  at.to(room.d_m, {share.v < one.v ? of_floor.v : none.v});

  const Pack<T> alpha = splat(plan.alpha), rest = plan.orthogonalized ? splat(T(1) - plan.alpha) : one;
  for (int j = 0; j < d * lanes; j += lanes) {
    const Pack<T> dr = load(room.t + j);
    store(room.d_raw + j, rest * dr);
    store(room.t + j, alpha * dr);
  }
  const T* dX = plan.orthogonalized ? newton_schulz_backward(plan, d, room) : nullptr;
  times(d, rows.C, room.d_raw, [&](int i, Pack<T> y) {
    Pack<T> dq = fma(d_qn, load(rows.n + i), y);
    if (plan.orthogonalized) dq = dq + load(room.dq_read + i);
    at.to(room.dq + i / lanes * kNarrowChunk, dq);
  });
  Pack<T> along = {};
  if (plan.orthogonalized) {
    WideSum<T> sum;
    for (int e = 0; e < d * d * lanes; e += lanes) sum.add_product(load(dX + e), load(rows.X + e));
    along = {read.clamped.v > none.v ? none.v : sum.lanes().v};
  }
  for (int a = 0; a < d; ++a) {
    const Pack<T> q = load(rows.q + a * lanes);
    T* row = room.dC + a * (d + 1) * kNarrowChunk;
    for (int b = 0; b < d; ++b, row += kNarrowChunk) {
      Pack<T> dC = q * load(room.d_raw + b * lanes);
      if (plan.orthogonalized) {
        const int e = (a * d + b) * lanes;
        dC = fma(read.over_rho, load(dX + e) - along * load(rows.X + e), dC);
      }
      at.to(row, dC);
    }
    at.to(row, d_qn * q);
  }
}

/// Through (C | n) of a chunk: from what its reads have given to dk, dv, df and di.
template <typename T>
void write_tokens_backward(int d, int count, T next_forget, const NarrowBackwardRoom<T>& room, NarrowGates<T>& gates) {
  constexpr int lanes = Pack<T>::lanes;
  const NarrowTokens<T>& tokens = room.tokens;
  for (int t = 0; t < count; ++t) room.next_forget[t] = t + 1 < count ? tokens.forget[t + 1] : next_forget;
  each_rows(d * (d + 1), [&]<int rows>(int e) {
    T *row = room.dC + e * kNarrowChunk, past[rows];
    ORTHOREAD_UNROLL for (int r = 0; r < rows; ++r) past[r] = room.past[e + r];
    for (int t = count - 1; t >= 0; --t) {
      const T forget = room.next_forget[t];
      ORTHOREAD_UNROLL for (int r = 0; r < rows; ++r) {
        T& number = row[r * kNarrowChunk + t];
        number = past[r] = forget * past[r] + number;
      }
    }
    ORTHOREAD_UNROLL for (int r = 0; r < rows; ++r) room.past[e + r] = past[r];
  });
  for (int t = 0; t < count; t += lanes) {
    const Pack<T> input = load(tokens.input + t);
    const T *dC = room.dC + t, *C = tokens.C + kBefore - 1 + t;
    WideSum<T> df, di;
    for (int b = 0; b < d; ++b) store(room.dv + b * kNarrowChunk + t, Pack<T>{});
    for (int a = 0; a < d; ++a) {
      const Pack<T> k = load(tokens.k + a * kNarrowChunk + t);
      Pack<T> dC_v = {};
      for (int b = 0; b <= d; ++b, dC += kNarrowChunk, C += kStateRow) {
        const Pack<T> x = load(dC);
        dC_v = fma(x, load(tokens.v + b * kNarrowChunk + t), dC_v);
        df.add_product(x, load(C));
        if (b == d) continue;
        T* dv = room.dv + b * kNarrowChunk + t;
        store(dv, fma(k, x, load(dv)));
      }
      di.add_product(k, dC_v);
      store(room.dk + a * kNarrowChunk + t, input * dC_v);
    }
    for (int b = 0; b < d; ++b) {
      T* dv = room.dv + b * kNarrowChunk + t;
      store(dv, input * load(dv));
    }
    df.store_lanes(gates.df + t);
    di.store_lanes(gates.di + t);
    for (int l = t; l < t + lanes; ++l) {
      gates.df[l] *= Wide<T>(tokens.forget[l]);
      gates.di[l] *= Wide<T>(tokens.input[l]);
    }
  }
}

template <typename T>
void narrow_backward(const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x,
                     const BackwardBuffers<T>& buffers) {
  const int d = static_cast<int>(shape.width);
  const T *dh = buffers.dh, *checkpoints = buffers.checkpoints;
  const HeadGradients<T>& dx = buffers.dx;
  Scratch<T> scratch(buffers.scratch);
  const NarrowBackwardRoom<T> room(d, plan, scratch);
  const NarrowTokens<T>& tokens = room.tokens;
  for (int e = 0; e < d * (d + 1); ++e) room.past[e] = T(0);
  T next_forget = T(0);
  Wide<T> past_m = Wide<T>(0);
  NarrowGates<T> gates;
  for (int64_t start = (shape.tokens + kNarrowChunk - 1) / kNarrowChunk * kNarrowChunk - kNarrowChunk; start >= 0;
       start -= kNarrowChunk) {
    const int count = static_cast<int>(shape.tokens - start < kNarrowChunk ? shape.tokens - start : kNarrowChunk);
    copy_state(d, narrow_checkpoint(d, start / kNarrowChunk, checkpoints), room.state);
    write_tokens(shape, x, start, count, room.state, tokens);
    load_columns(d, dh + start * shape.row_stride, shape.row_stride, count, room.dh);
    if (x.read_mask != nullptr) {
      for (int e = 0; e < d * kNarrowChunk; ++e) room.dq[e] = T(0);
      for (int e = 0; e < d * (d + 1) * kNarrowChunk; ++e) room.dC[e] = T(0);
      for (int t = 0; t < kNarrowChunk; ++t) room.d_m[t] = T(0);
    }
    each_lanes(x, start, count, [&](const Lanes<T>& at) { read_lanes_backward(plan, d, at, room); });
    write_tokens_backward(d, count, next_forget, room, gates);
    next_forget = tokens.forget[0];

    for (int t = count - 1; t >= 0; --t) {
      const Wide<T> df = gates.df[t], di = gates.di[t];
      const int64_t at = (start + t) * shape.gate_stride;
      past_m += Wide<T>(room.d_m[t]);
      dx.input_gate[at] = static_cast<T>(stabiliser_backward(tokens.kept[t], tokens.input_gate[t], df, di, past_m));
      dx.log_forget[at] = static_cast<T>(past_m);
    }
    const int64_t at = start * shape.row_stride;
    store_columns(d, room.dq, shape.row_stride, count, dx.q + at);
    store_columns(d, room.dk, shape.row_stride, count, dx.k + at);
    store_columns(d, room.dv, shape.row_stride, count, dx.v + at);
  }
}

}  // namespace orthoread::ORTHOREAD_ISA
