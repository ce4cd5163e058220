// The backward of a head. It takes the chunks of tokens in turn, last chunk first: computes the states of the chunk
// again from its checkpoint (checkpointed recomputation), and then goes back through its tokens. So states of d x d
// numbers are held for the tokens of one chunk only.
//
// dX is the cotangent of X. The read of token t gives dA_t and dC_t += q dy^T / rho (read.h), or, where an eigenpair
// was deflated, the sum in deflated_read.h. Further
//   C_t = f C_{t-1} + i k v^T:                dk += i dC v,   dv += i dC^T k,   dC_{t-1} += f dC
//   A_t = f^2 A_{t-1} + f i (u v^T + v u^T) + i^2 (k.k) v v^T, u = C_{t-1}^T k, dA symmetric:
//     du = 2 f i dA v,   dv += 2 f i dA u + 2 i^2 (k.k) dA v,   dk += 2 i^2 (v.dA v) k,   dA_{t-1} = f^2 dA,
//     dC_{t-1} += k du^T,   dk += C_{t-1} du
//   df = <dC, C_{t-1}> + dn.n_{t-1} + 2 f <dA, A_{t-1}> + 2 i u.dA v
//   di = k.dC v + dn.k + 2 f u.dA v + 2 i (k.k) v.dA v
//   m_t = max(lf + m_{t-1}, ig): with f = exp(lf + m_{t-1} - m_t) and i = exp(ig - m_t), dm_t -= f df + i di.
// At the start of a chunk A is computed afresh from C. dA is passed on all the same, as if A had been carried:
// A is a function of C, so the recurrence brings the same cotangent to C. But where a token cancels what was stored,
// A_t is small beside its terms, and dA_t beside the gradients that it would give to each of them. There A_t comes from
// C_t, and so dC_t += C_t (dA_t + dA_t^T) instead.
#pragma once

#include "ops/memory/forward.h"

namespace orthoread::ORTHOREAD_ISA {

/// The cotangent of the memory, going back in time. That of C lacks the term of the token after: it is
/// decay C + k du^T, with that token's k and du.
template <typename T>
struct MemoryCotangent {
  T *C, *n;
  Wide<T> m = Wide<T>(0);
  GramCotangent<T> A;
  T decay = T(0);
  T *k, *du;

  MemoryCotangent(int64_t d, Scratch<T>& scratch)
      : C(scratch.take(d * d)),
        n(scratch.take(d)),
        A{scratch.take(d * d), T(1), T(0)},
        k(scratch.take(d)),
        du(scratch.take(d)) {}
};

/// The cotangents of a token's query, key and value, and of u.
template <typename T>
struct TokenCotangent {
  T *q, *k, *v, *u;

  TokenCotangent(int64_t d, Scratch<T>& scratch)
      : q(scratch.take(d)), k(scratch.take(d)), v(scratch.take(d)), u(scratch.take(d)) {}
};

/// Vectors of one token's backward: dr, and products of C, dC, Z and dA with vectors.
template <typename T>
struct BackwardRows {
  SeriesRows<T> series;
  T *dr, *dC_v, *k_dC, *dA_v, *dA_u, *Z_v, *Z_u, *C_dy, *C_du;
  DeflatedRows<T> deflated;

  BackwardRows(int64_t d, int64_t terms, Scratch<T>& scratch)
      : series{scratch.take(d), scratch.take(d), scratch.take((terms + 1) * d), scratch.take(terms * d)},
        dr(scratch.take(d)),
        dC_v(scratch.take(d)),
        k_dC(scratch.take(d)),
        dA_v(scratch.take(d)),
        dA_u(scratch.take(d)),
        Z_v(scratch.take(d)),
        Z_u(scratch.take(d)),
        C_dy(scratch.take(d)),
        C_du(scratch.take(d)),
        deflated(d, terms, scratch) {}
};

/// The arrays that a backward works in: the memory before each token of a chunk and after its last one, what each token
/// changed, and what one token needs.
template <typename T>
struct BackwardRoom {
  Memory<T> memory[kChunkTokens + 1];
  Change<T> change[kChunkTokens];
  TokenRows<T> token;
  MemoryCotangent<T> past;
  TokenCotangent<T> d_token;
  BackwardRows<T> rows;

  BackwardRoom(int d, const ReadPlan<T>& plan, Scratch<T>& scratch)
      : token(d, scratch), past(d, scratch), d_token(d, scratch), rows(d, plan.most_terms, scratch) {
    T* p = scratch.take(d);  // used only while a token is written
    for (int t = 0; t <= kChunkTokens; ++t) memory[t] = Memory<T>(d, plan.orthogonalized, scratch);
    for (int t = 0; t < kChunkTokens; ++t) change[t] = {scratch.take(d), scratch.take(d), p, nullptr, nullptr};
  }
};

/// A token, and the memory before and after it.
template <typename T>
struct Step {
  Token<T> token;
  const Memory<T>&before, &after;
  const Change<T>& change;
};

/// The cotangents of q.n and, through exp(-m), of m.
template <typename T>
struct DenominatorCotangent {
  T qn = T(0), m = T(0);
};
/// From dh_h, the sum of dh * h.
template <typename T>
DenominatorCotangent<T> denominator_backward(const Denominator<T>& den, T m, T dh_h) {
  DenominatorCotangent<T> d;
  const T qn_share = T(abs(den.qn) > den.floor ? 1.0 : abs(den.qn) == den.floor ? 0.5 : 0.0);  // as torch.maximum
  const T sign = T(den.qn > T(0) ? 1.0 : den.qn < T(0) ? -1.0 : 0.0);
  if (qn_share > T(0)) d.qn = -dh_h / den.value * sign * qn_share;
  // exp(-m) / (exp(-m) + eps), which stays finite where exp(-m) does not
  if (qn_share < T(1)) d.m = dh_h * (T(1) / (T(1) + T(kMemoryEps) * exp(m))) * (T(1) - qn_share);
  return d;
}
template <typename T, class W>
void denominator_backward(W width, const Step<T>& step, const Denominator<T>& den, T dh_h, T* dq,
                          MemoryCotangent<T>& past) {
  const DenominatorCotangent<T> d = denominator_backward(den, step.after.m, dh_h);
  add(width, d.qn, step.after.n, dq);
  add(width, d.qn, step.token.q, past.n);
  past.m += Wide<T>(d.m);
}

/// Through m_t = max(kept, input_gate), kept = lf + m_{t-1}, from dm_t and the cotangents of both exponents, f df and
/// i di: `m` becomes dm_{t-1}, which is that of lf as well; that of the input gate is returned.
template <typename T>
Wide<T> stabiliser_backward(T kept, T input_gate, Wide<T> df, Wide<T> di, Wide<T>& m) {
  const Wide<T> dm = m - df - di;
  const Wide<T> share(kept > input_gate ? 1.0 : kept == input_gate ? 0.5 : 0.0);  // as torch.maximum
  m = df + share * dm;
  return di + (Wide<T>(1) - share) * dm;
}

/// How the read has given its part of dC_t: as q dy^T / rho, or as the outer products of rows.deflated, with w.dy.
template <typename T>
struct ReadCotangent {
  bool deflated = false;
  Wide<T> dy_along_w = Wide<T>(0);
};

/// Through the read, from rows.dr, which holds dh: to dy, the cotangent of C_t^T q, to dA and to the denominator.
template <typename T, class W>
ReadCotangent<T> read_backward(W width, const ReadPlan<T>& plan, const Step<T>& step, const SavedRead<const T>* saved,
                               T* dq, MemoryCotangent<T>& past, const BackwardRows<T>& rows) {
  const Memory<T>& memory = step.after;
  const Denominator<T> den = denominator(width, step.token, memory);
  const T over = T(1) / den.value, *raw = step.change.y;
  T *dr = rows.dr, *dy = rows.series.dy;
  scale(width, over, dr, dr);
  if (!plan.orthogonalized) {
    scale(width, T(1), dr, dy);
    denominator_backward(width, step, den, dot(width, dr, raw), dq, past);
    return {};
  }
  Scaling<T> s = scaling(memory.trace);
  set_series(plan, *saved->mu, interval_of<T>(*saved), s);
  ReadCotangent<T> read{s.mu > T(0)};
  const T over_rho = T(1) / sqrt(s.rho2), raw_share = T(1) - plan.alpha;
  scale(width, plan.alpha, dr, rows.series.t);
  Wide<T> radial = Wide<T>(0);  // <dG, G> + dy.y / 2, but for the dy.y of rows.series
  if (read.deflated) {
    const DeflatedRows<T>& deflated = rows.deflated;
    scale(width, T(1), saved->w, deflated.w);
    scale(width, T(1), saved->y, rows.series.y);
    const DeflatedScalars<T> of_w =
        sum_deflated_series_both_ways(width, plan, s, step.token.q, memory, rows.series, deflated);
    radial = Wide<T>(of_w.radial);
    read.dy_along_w = Wide<T>(over_rho * of_w.dy_along_w) + Wide<T>(raw_share) * wide_dot<T>(width, deflated.w, dr);
    add(width, raw_share * of_w.kappa, dr, deflated.b);
  } else {
    scale(width, over_rho, raw, rows.series.y);
    sum_series_both_ways(width, s, memory.A, rows.series);
  }
  const T dh_h = plan.alpha * dot(width, dr, rows.series.b) + raw_share * dot(width, dr, raw);
  denominator_backward(width, step, den, dh_h, dq, past);
  const int pairs = s.series.terms - (read.deflated ? 0 : 1);
  radial += add_series_cotangent(width, s, pairs, memory.A, rows.series, past.A);
  add_norm_cotangent(width, s, radial, rows.series, past.A);
  combine(width, over_rho, dy, raw_share, dr, dy);
  return read;
}

/// df and di.
template <typename T>
struct GateCotangent {
  Wide<T> f = Wide<T>(0), i = Wide<T>(0);
};

/// Through A_t = C_t^T C_t, where A_t was computed so: all of dA goes to dC, which then lacks nothing.
template <typename T, class W>
void gram_to_memory(W width, const ReadPlan<T>& plan, const T* C, MemoryCotangent<T>& d, const BackwardRows<T>& rows) {
  T *from_rows = rows.Z_v, *from_columns = rows.Z_u;
  for (int i = 0; i < width.value; ++i) {
    const T* row = C + i * width.value;
    T* to = d.C + i * width.value;
    combine(width, d.decay, to, d.k[i], d.du, to);
    add(width, T(2) * d.A.shift, row, to);
    if (!plan.gram) continue;
    sum_rows<T, 1>(width, Direction::forwards, d.A.Z, {row},
                   [&](int, int column, Pack<T> x) { store(from_rows + column, x); });
    dot_rows(width, d.A.Z, row, from_columns);
    add(width, d.A.decay, from_rows, to);
    add(width, d.A.decay, from_columns, to);
  }
  d.decay = T(1);
  zero(width, d.du);
  d.A.decay = d.A.shift = T(0);
}

/// Through A_t = f^2 A_{t-1} + ...; sets du.
template <typename T, class W>
void gram_backward(W width, const ReadPlan<T>& plan, const Step<T>& step, const TokenCotangent<T>& d_token,
                   GramCotangent<T>& dA, GateCotangent<T>& gate, const BackwardRows<T>& rows) {
  const Token<T>& token = step.token;
  const Change<T>& change = step.change;
  const T f = change.forget, i = change.input;
  scale(width, dA.shift, token.v, rows.dA_v);
  scale(width, dA.shift, change.u, rows.dA_u);
  Wide<T> dA_A = Wide<T>(dA.shift) * Wide<T>(step.before.trace);  // <dA, A_{t-1}>
  if (plan.gram) {                                                // dA v = (Z v + Z^T v) / 2
    const T *Z = dA.Z, *A = step.before.A;
    const T half = dA.decay / T(2);
    dot_rows(width, Z, token.v, change.u, rows.Z_v, rows.Z_u);
    add(width, half, rows.Z_v, rows.dA_v);
    add(width, half, rows.Z_u, rows.dA_u);
    dA_A += Wide<T>(dA.decay) * sweep<2, T>(
                                    width, {token.v, change.u}, {token.v},
                                    [&](int at, const Pack<T>*, const Pack<T>*, Pack<T>& products) {
                                      const Pack<T> z = in_register(load(Z + at));
                                      products = fma(z, load(A + at), products);
                                      return z;
                                    },
                                    [&](int r, int column, Pack<T> x) {
                                      T* to = (r == 0 ? rows.dA_v : rows.dA_u) + column;
                                      store(to, fma(splat(half), x, load(to)));
                                    });
  }
  const T u_dA_v = dot(width, change.u, rows.dA_v), v_dA_v = dot(width, token.v, rows.dA_v);
  gate.f += Wide<T>(2) * (Wide<T>(f) * dA_A + Wide<T>(i * u_dA_v));
  gate.i += Wide<T>(T(2) * (f * u_dA_v + i * change.kk * v_dA_v));
  add(width, T(2) * f * i, rows.dA_u, d_token.v);
  add(width, T(2) * i * i * change.kk, rows.dA_v, d_token.v);
  add(width, T(2) * i * i * v_dA_v, token.k, d_token.k);
  scale(width, T(2) * f * i, rows.dA_v, d_token.u);
  dA.shift *= f * f;
  dA.decay *= f * f;
}

/// Through C_t and n_t, from dy, which the read has given, and du, which A has.
template <typename T, class W>
void matrix_backward(W width, const ReadPlan<T>& plan, const Step<T>& step, const ReadCotangent<T>& read,
                     const TokenCotangent<T>& d_token, MemoryCotangent<T>& d, GateCotangent<T>& gate,
                     const BackwardRows<T>& rows) {
  const Token<T>& token = step.token;
  const T f = step.change.forget, i = step.change.input, *du = d_token.u, *dy = rows.series.dy;
  T* dC = d.C;
  const T* C = step.before.C;
  const T decay = d.decay;
  // Adds the outer products left_n right_n^T that dC_t lacks, in one pass with k^T dC_t and <dC_t, C_{t-1}>.
  const auto complete = [&]<int pairs>(const T* const(&k_and_left)[pairs + 1], const T* const(&right)[pairs]) {
    return sweep<1, T>(
        width, k_and_left, right,
        [&](int at, const Pack<T>* row, const Pack<T>* column, Pack<T>& products) {
          Pack<T> sum = row[1] * column[0];
          ORTHOREAD_UNROLL for (int n = 1; n < pairs; ++n) sum = fma(row[n + 1], column[n], sum);
          sum = fma(splat(decay), load(dC + at), sum);
          store(dC + at, sum);
          products = fma(sum, load(C + at), products);
          return sum;
        },
        [&](int, int column, Pack<T> x) { store(rows.k_dC + column, x); });
  };
  const DeflatedRows<T>& r = rows.deflated;
  const Wide<T> dC_C =
      read.deflated ? complete.template operator()<4>({token.k, d.k, r.rest_of_q, r.a, r.c}, {d.du, dy, r.b, r.w})
      : plan.orthogonalized ? complete.template operator()<2>({token.k, d.k, token.q}, {d.du, dy})
                            : complete.template operator()<1>({token.k, token.q}, {dy});
  dot_rows(width, dC, token.v, rows.dC_v);

  if (plan.orthogonalized)
    dot_rows(width, C, dy, du, rows.C_dy, rows.C_du);
  else  // du is 0
    dot_rows(width, C, dy, rows.C_dy);
  if (step.change.afresh)  // where C_t is small beside f C_{t-1}, so is C_t dy beside f C_{t-1} dy
    dot_rows(width, step.after.C, dy, rows.C_dy);
  else
    combine(width, f, rows.C_dy, i * dot(width, token.v, dy), token.k, rows.C_dy);
  if (read.deflated)
    add(width, static_cast<T>(read.dy_along_w - wide_dot<T>(width, r.a, rows.C_dy) / wide_dot<T>(width, r.a, r.a)), r.a,
        rows.C_dy);
  add(width, T(1), rows.C_dy, d_token.q);
  add(width, i, rows.dC_v, d_token.k);
  add(width, i, d.n, d_token.k);
  if (plan.orthogonalized) add(width, T(1), rows.C_du, d_token.k);
  add(width, i, rows.k_dC, d_token.v);
  gate.f += dC_C + Wide<T>(dot(width, d.n, step.before.n));
  gate.i += Wide<T>(dot(width, token.k, rows.dC_v)) + Wide<T>(dot(width, token.k, d.n));

  scale(width, f, d.n, d.n);
  d.decay = f;
  scale(width, T(1), token.k, d.k);
  scale(width, T(1), du, d.du);
}

template <typename T, class W>
void backward(W width, const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x,
              const BackwardBuffers<T>& buffers) {
  const int d = width.value;
  const T* dh = buffers.dh;
  const HeadGradients<T>& dx = buffers.dx;
  const Checkpoints<const T> checkpoints(d, kChunkTokens, shape, plan.orthogonalized, buffers.checkpoints);
  Scratch<T> scratch(buffers.scratch);
  BackwardRoom<T> room(d, plan, scratch);
  Memory<T>* memory = room.memory;
  Change<T>* change = room.change;
  MemoryCotangent<T>& past = room.past;
  const TokenCotangent<T>& d_token = room.d_token;
  T kept[kChunkTokens], input_gate[kChunkTokens];  // lf + m_{t-1} and ig, whose maximum is m_t
  for (int i = 0; i < d; ++i) {
    zero(width, past.C + i * d);
    zero(width, past.A.Z + i * d);
  }
  for (T* row : {past.n, past.k, past.du, d_token.u}) zero(width, row);

  for (int64_t chunk = (shape.tokens + kChunkTokens - 1) / kChunkTokens - 1; chunk >= 0; --chunk) {
    const int64_t start = chunk * kChunkTokens, rest = shape.tokens - start;
    const int tokens = static_cast<int>(rest < kChunkTokens ? rest : kChunkTokens);
    restore(d, checkpoints.memory(chunk), memory[0]);
    for (int t = 0; t < tokens; ++t) {
      const Token<T> token = load_token(width, shape, x, start + t, room.token);
      prefetch_token(shape, x, start + (t + 1 < tokens ? t + 1 : t));
      write_token(width, plan, token, plan.orthogonalized ? Gram::carried : Gram::none, memory[t], memory[t + 1],
                  change[t]);
      kept[t] = token.log_forget + memory[t].m;
      input_gate[t] = token.input_gate;
    }
    for (int t = tokens - 1; t >= 0; --t) {
      const int64_t at = (start + t) * shape.row_stride, gate_at = (start + t) * shape.gate_stride;
      const Step<T> step{load_token(width, shape, x, start + t, room.token), memory[t], memory[t + 1], change[t]};
      if (t > 0) {
        prefetch_token(shape, x, start + t - 1);
        prefetch<Access::read>(dh + at - shape.row_stride, d);
        for (T* to : {dx.q, dx.k, dx.v}) prefetch<Access::write>(to + at - shape.row_stride, shape.width);
        if (plan.orthogonalized) prefetch<Access::read>(checkpoints.read(start + t - 1).w, checkpoints.read_size());
      }
      zero(width, d_token.q);
      zero(width, d_token.k);
      zero(width, d_token.v);
      ReadCotangent<T> read;
      if (x.reads(start + t)) {
        const SavedRead<const T> saved = checkpoints.read(start + t);
        copy_in(width, shape.width, dh + at, room.rows.dr);
        read = read_backward(width, plan, step, &saved, d_token.q, past, room.rows);
      } else {
        zero(width, room.rows.series.dy);
      }
      GateCotangent<T> gate;
      if (plan.orthogonalized && change[t].afresh) gram_to_memory<T>(width, plan, memory[t + 1].C, past, room.rows);
      if (plan.orthogonalized) gram_backward(width, plan, step, d_token, past.A, gate, room.rows);
      matrix_backward(width, plan, step, read, d_token, past, gate, room.rows);

      const Wide<T> df = gate.f * Wide<T>(change[t].forget);  // df and di of the exponents
      const Wide<T> di = gate.i * Wide<T>(change[t].input);
      dx.input_gate[gate_at] = static_cast<T>(stabiliser_backward(kept[t], input_gate[t], df, di, past.m));
      dx.log_forget[gate_at] = static_cast<T>(past.m);
      copy_out(width, shape.width, d_token.q, dx.q + at);
      copy_out(width, shape.width, d_token.k, dx.k + at);
      copy_out(width, shape.width, d_token.v, dx.v + at);
    }
  }
}

}  // namespace orthoread::ORTHOREAD_ISA
