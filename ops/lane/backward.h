// A lane's backward: each chunk of tokens is run again from its checkpoint, last chunk first, and then gone through
// backwards. A state of d x d numbers is held for the tokens of one chunk only.
//
// With dX for the cotangent of X, the read of token t gives dA_t and dC_t += q dy^T / rho (read.h), or apart.h's sum
// where an eigenvalue was taken out, and
//   C_t = f C_{t-1} + i k v^T:                dk += i dC v,   dv += i dC^T k,   dC_{t-1} += f dC
//   A_t = f^2 A_{t-1} + f i (u v^T + v u^T) + i^2 (k.k) v v^T, u = C_{t-1}^T k, dA symmetric:
//     du = 2 f i dA v,   dv += 2 f i dA u + 2 i^2 (k.k) dA v,   dk += 2 i^2 (v.dA v) k,   dA_{t-1} = f^2 dA,
//     dC_{t-1} += k du^T,   dk += C_{t-1} du
//   df = <dC, C_{t-1}> + dn.n_{t-1} + 2 f <dA, A_{t-1}> + 2 i u.dA v
//   di = k.dC v + dn.k + 2 f u.dA v + 2 i (k.k) v.dA v
//   m_t = max(lf + m_{t-1}, ig): with f = exp(lf + m_{t-1} - m_t) and i = exp(ig - m_t), dm_t -= f df + i di.
// A is a function of C, so where A was made afresh at a chunk's start, the same number reaches C through the
// recurrence: dA is passed on as if A had always been carried. But where a token cancels what was stored, A_t is small
// beside its terms, and so is what dA_t comes to beside what it would give each of them: there dC_t += C_t (dA_t +
// dA_t^T).
#pragma once

#include "ops/lane/forward.h"

namespace orthoread::ORTHOREAD_ISA {

/// The cotangent of the memory, going back in time. C's is kept one token behind: C + k du^T of the token after is due.
template <typename T>
struct MemoryCotangent {
  T *C, *n;
  Wide<T> m;
  GramCotangent<T> A;
  T decay;    // the dC meant is decay C + k du^T,
  T *k, *du;  // with k and du of the token after
};

/// Vectors of one token's backward.
template <typename T>
struct BackwardRows {
  T *y, *dy, *dr, *Cv, *Ck, *Av, *Au, *Zv, *Zu, *C_dy, *C_du, *b, *t;
  ApartRows<T> apart;
};

/// Cotangents of q and of the denominator's n and m, from `through`, the sum of dh * h.
template <typename T, class W>
void denominator_backward(W width, const Token<T>& token, const Memory<T>& memory, const Denominator<T>& den, T through,
                          T* dq, MemoryCotangent<T>& d) {
  const T size = abs(den.qn);
  const T qn_share = T(size > den.floor ? 1.0 : size == den.floor ? 0.5 : 0.0);  // as torch.maximum
  if (qn_share > T(0)) {
    const T sign = T(den.qn > T(0) ? 1.0 : den.qn < T(0) ? -1.0 : 0.0);
    const T dqn = -through / den.value * sign * qn_share;
    add(width, dqn, memory.n, dq);
    add(width, dqn, token.q, d.n);
  }
  if (qn_share < T(1)) {  // exp(-m) / (exp(-m) + eps), which stays finite where exp(-m) does not
    const T share = T(1) / (T(1) + T(kMemoryEps) * exp(memory.m));
    d.m += Wide<T>(through * share * (T(1) - qn_share));
  }
}

/// Whether an eigenvalue was taken out of the read: then dC_t has the outer products of rows.apart instead of q dy^T,
/// and w.dy is `along`.
template <typename T>
struct Reading {
  bool apart = false;
  Wide<T> along = Wide<T>(0);
};

/// The read: from dh to dy (the cotangent of C_t^T q), the denominator's and dA. `saved` is what the forward has saved
/// of the token.
template <typename T, class W>
Reading<T> read_backward(W width, const LanePlan<T>& plan, const LaneShape& shape, const Token<T>& token,
                         const Memory<T>& memory, const Change<T>& change, const T* saved, const T* dh, T* dq,
                         MemoryCotangent<T>& d, const BackwardRows<T>& rows) {
  const Denominator<T> den = denominator(width, token, memory);
  const T over = T(1) / den.value;
  T* dr = rows.dr;
  copy_in(width, shape.width, dh, dr);
  scale(width, over, dr, dr);
  if (!plan.orthogonalized) {
    scale(width, T(1), dr, rows.dy);
    denominator_backward(width, token, memory, den, dot(width, dr, change.y), dq, d);
    return {};
  }
  const Leading<T> leading = leading_at(width.value, saved);
  Scaling<T> s = scaling(memory);
  set_series(plan, leading.mu, leading.rung, s);
  Reading<T> reading{s.leading > T(0)};
  const T over_rho = T(1) / sqrt(s.rho2), raw = T(1) - plan.alpha;
  scale(width, plan.alpha, dr, rows.t);
  Wide<T> radial = Wide<T>(0);  // of <dG, G> + dy.y / 2, what the pairs and y below do not see
  if (reading.apart) {
    const ApartScalars<T> of_w = sum_series_both_ways_apart<T>(width, plan, s, leading, token.q, memory.C, memory.A,
                                                               rows.b, rows.t, rows.dy, rows.apart);
    radial = Wide<T>(of_w.radial);
    reading.along = Wide<T>(over_rho * of_w.along) + Wide<T>(raw) * wide_dot<T>(width, rows.apart.w, dr);
    scale(width, T(1), leading.y, rows.y);
    add(width, raw * of_w.kappa, dr, rows.apart.b);
  } else {
    scale(width, over_rho, change.y, rows.y);
    sum_series_both_ways(width, s, memory.A, rows.y, rows.b, rows.t, rows.dy);
  }
  const T through = plan.alpha * dot(width, dr, rows.b) + raw * dot(width, dr, change.y);
  denominator_backward(width, token, memory, den, through, dq, d);
  add_gram_cotangent(width, s, s.series.terms - (reading.apart ? 0 : 1), radial, memory.A, rows.y, rows.dy, rows.b,
                     rows.t, d.A);
  combine(width, over_rho, rows.dy, raw, dr, rows.dy);
  return reading;
}

/// df, di and the gradients of k and v, as far as a part of the memory gives them.
template <typename T>
struct GateCotangent {
  Wide<T> f, i;
};

/// Through A_t = C_t^T C_t, where A was made so: all of dA goes to dC, which is then not one token behind.
template <typename T, class W>
void gram_to_memory(W width, const LanePlan<T>& plan, const T* C, MemoryCotangent<T>& d, const BackwardRows<T>& rows) {
  T *from_rows = rows.Zv, *from_columns = rows.Zu;
  for (int i = 0; i < width.value; ++i) {
    const T* row = C + i * width.value;
    T* to = d.C + i * width.value;
    combine(width, d.decay, to, d.k[i], d.du, to);
    add(width, T(2) * d.A.shift, row, to);
    if (!plan.gram) continue;
    sum_rows<T, 1>(width, d.A.Z, {row}, [&](int, int column, Pack<T> x) { store(from_rows + column, x); });
    dot_rows(width, static_cast<const T*>(d.A.Z), row, from_columns);
    add(width, d.A.decay, from_rows, to);
    add(width, d.A.decay, from_columns, to);
  }
  d.decay = T(1);
  zero(width, d.du);
  d.A.decay = d.A.shift = T(0);
}

/// Through A_t = f^2 A_{t-1} + ...; sets du.
template <typename T, class W>
void gram_backward(W width, const LanePlan<T>& plan, const Token<T>& token, const Memory<T>& before,
                   const Change<T>& change, T* dk, T* dv, T* du, GramCotangent<T>& dA, GateCotangent<T>& gate,
                   const BackwardRows<T>& rows) {
  const T f = change.forget, i = change.input;
  scale(width, dA.shift, token.v, rows.Av);
  scale(width, dA.shift, change.u, rows.Au);
  Wide<T> dA_A = Wide<T>(dA.shift) * Wide<T>(before.trace);  // <dA, A_{t-1}>
  if (plan.gram) {                                           // dA v = (Z v + Z^T v) / 2
    const T *Z = dA.Z, *A = before.A;
    const T half = dA.decay / T(2);
    dot_rows(width, Z, token.v, rows.Zv);
    dot_rows(width, Z, static_cast<const T*>(change.u), rows.Zu);
    add(width, half, rows.Zv, rows.Av);
    add(width, half, rows.Zu, rows.Au);
    dA_A += Wide<T>(dA.decay) * sweep<2, T>(
                                    width, {token.v, change.u}, {token.v},
                                    [&](int at, const Pack<T>*, const Pack<T>*, Pack<T>& products) {
                                      const Pack<T> z = in_register(load(Z + at));
                                      products = fma(z, load(A + at), products);
                                      return z;
                                    },
                                    [&](int r, int column, Pack<T> x) {
                                      T* to = (r == 0 ? rows.Av : rows.Au) + column;
                                      store(to, fma(splat(half), x, load(to)));
                                    });
  }
  const T u_dA_v = dot(width, change.u, rows.Av), v_dA_v = dot(width, token.v, rows.Av);
  gate.f += Wide<T>(2) * (Wide<T>(f) * dA_A + Wide<T>(i * u_dA_v));
  gate.i += Wide<T>(T(2) * (f * u_dA_v + i * change.kk * v_dA_v));
  add(width, T(2) * f * i, rows.Au, dv);
  add(width, T(2) * i * i * change.kk, rows.Av, dv);
  add(width, T(2) * i * i * v_dA_v, token.k, dk);
  scale(width, T(2) * f * i, rows.Av, du);
  dA.shift *= f * f;
  dA.decay *= f * f;
}

/// Through C_t and n_t. dy is what the read gave for C_t^T q, d.du what A gave for u; both are used up here.
template <typename T, class W>
void matrix_backward(W width, const LanePlan<T>& plan, const Token<T>& token, const Memory<T>& before,
                     const Change<T>& change, const Reading<T>& read, const T* dy, const T* du, T* dq, T* dk, T* dv,
                     MemoryCotangent<T>& d, GateCotangent<T>& gate, const BackwardRows<T>& rows) {
  const T f = change.forget, i = change.input;
  T* dC = d.C;
  const T* C = before.C;
  const T decay = d.decay;
  // dC_t is completed by outer products, left_n right_n^T, on the way to k^T dC_t and <dC_t, C_{t-1}>.
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
        [&](int, int column, Pack<T> x) { store(rows.Ck + column, x); });
  };
  const ApartRows<T>& r = rows.apart;
  const Wide<T> dC_C = read.apart ? complete.template operator()<4>({token.k, d.k, r.q, r.a, r.c}, {d.du, dy, r.b, r.w})
                       : plan.orthogonalized ? complete.template operator()<2>({token.k, d.k, token.q}, {d.du, dy})
                                             : complete.template operator()<1>({token.k, token.q}, {dy});
  dot_rows(width, static_cast<const T*>(dC), token.v, rows.Cv);
  dot_rows(width, C, dy, rows.C_dy);

  combine(width, f, rows.C_dy, i * dot(width, token.v, dy), token.k, rows.C_dy);  // C_t dy
  if (read.apart)
    add(width, static_cast<T>(read.along - wide_dot<T>(width, r.a, rows.C_dy) / wide_dot<T>(width, r.a, r.a)), r.a,
        rows.C_dy);
  add(width, T(1), rows.C_dy, dq);
  add(width, i, rows.Cv, dk);
  add(width, i, d.n, dk);
  if (plan.orthogonalized) {  // else du is 0
    dot_rows(width, C, du, rows.C_du);
    add(width, T(1), rows.C_du, dk);
  }
  add(width, i, rows.Ck, dv);
  gate.f += dC_C + Wide<T>(dot(width, d.n, before.n));
  gate.i += Wide<T>(dot(width, token.k, rows.Cv)) + Wide<T>(dot(width, token.k, d.n));

  scale(width, f, d.n, d.n);
  d.decay = f;
  scale(width, T(1), token.k, d.k);
  scale(width, T(1), du, d.du);
}

template <typename T, class W>
void backward(W width, const LanePlan<T>& plan, const LaneShape& shape, const LaneInputs<T>& x, const T* dh,
              const T* checkpoints, const LaneGradients<T>& dx, T* scratch) {
  constexpr int longest = chunk_tokens(0);
  const int d = width.value, chunk = chunk_tokens(d);
  Arena<T> arena(scratch);
  Memory<T> memory[longest + 1];
  Change<T> change[longest];
  T log_forget_sum[longest], input_gate[longest];  // lf + m_{t-1} and ig, whose maximum is m_t
  for (int t = 0; t <= chunk; ++t) memory[t] = take_memory(width, plan, arena);
  for (int t = 0; t < chunk; ++t)
    change[t] = {arena.take(d), arena.take(d), nullptr, nullptr, nullptr, T(0), T(0), T(0)};
  T* p = arena.take(d);
  const TokenRows<T> token_rows = take_rows(width, arena);
  MemoryCotangent<T> past{arena.take(d * d), arena.take(d), Wide<T>(0), {arena.take(d * d), T(1), T(0)}, T(0),
                          arena.take(d),     arena.take(d)};
  for (int i = 0; i < d; ++i) {
    zero(width, past.C + i * d);
    zero(width, past.A.Z + i * d);
  }
  zero(width, past.n);
  zero(width, past.k);
  zero(width, past.du);
  BackwardRows<T> rows{};
  for (T** row :
       {&rows.y, &rows.dy, &rows.dr, &rows.Cv, &rows.Ck, &rows.Av, &rows.Au, &rows.Zv, &rows.Zu, &rows.C_dy, &rows.C_du,
        &rows.apart.x, &rows.apart.z, &rows.apart.w, &rows.apart.q, &rows.apart.a, &rows.apart.b, &rows.apart.c})
    *row = arena.take(d);
  T *dq = arena.take(d), *dk = arena.take(d), *dv = arena.take(d), *du = arena.take(d);
  zero(width, du);
  int terms = 1;
  for (int r = 0; r < plan.rungs; ++r) terms = plan.ladder[r].terms > terms ? plan.ladder[r].terms : terms;
  rows.b = arena.take((terms + 1) * d);
  rows.t = arena.take(terms * d);
  rows.apart.p = arena.take(terms * d);
  rows.apart.e = arena.take(terms);
  rows.apart.f = arena.take(terms);
  const T* leading = leading_of(d, shape, checkpoints);

  for (int64_t start = (shape.tokens + chunk - 1) / chunk * chunk - chunk; start >= 0; start -= chunk) {
    const int tokens = static_cast<int>(shape.tokens - start < chunk ? shape.tokens - start : chunk);
    restore(width, checkpoints + start / chunk * checkpoint_numbers(d), memory[0]);
    for (int t = 0; t < tokens; ++t) {
      const Token<T> token = load_token(width, shape, x, start + t, token_rows);
      change[t].p = p;
      prefetch_token(shape, x, start + (t + 1 < tokens ? t + 1 : t));
      write_token(width, plan, token, plan.orthogonalized ? Gram::carried : Gram::none, memory[t], memory[t + 1],
                  change[t]);
      log_forget_sum[t] = token.log_forget + memory[t].m;
      input_gate[t] = token.input_gate;
    }
    for (int t = tokens - 1; t >= 0; --t) {
      const int64_t at = (start + t) * shape.row;
      const Token<T> token = load_token(width, shape, x, start + t, token_rows);
      if (t > 0) {
        prefetch_token(shape, x, start + t - 1);
        prefetch(dh + at - shape.row, d);
        if (plan.orthogonalized) prefetch(leading + (start + t - 1) * leading_numbers(d), leading_numbers(d));
      }
      zero(width, dq);
      zero(width, dk);
      zero(width, dv);
      Reading<T> read;
      if (x.wanted && !x.wanted[start + t])
        zero(width, rows.dy);
      else
        read = read_backward(width, plan, shape, token, memory[t + 1], change[t],
                             leading + (start + t) * leading_numbers(d), dh + at, dq, past, rows);
      GateCotangent<T> gate{Wide<T>(0), Wide<T>(0)};
      if (plan.orthogonalized && change[t].afresh) gram_to_memory(width, plan, memory[t + 1].C, past, rows);
      if (plan.orthogonalized) gram_backward(width, plan, token, memory[t], change[t], dk, dv, du, past.A, gate, rows);
      matrix_backward(width, plan, token, memory[t], change[t], read, rows.dy, du, dq, dk, dv, past, gate, rows);

      const Wide<T> df = gate.f * Wide<T>(change[t].forget);  // df and di of the exponents
      const Wide<T> di = gate.i * Wide<T>(change[t].input);
      const Wide<T> dm = past.m - df - di;
      const Wide<T> kept(log_forget_sum[t] > input_gate[t] ? 1.0 : log_forget_sum[t] == input_gate[t] ? 0.5 : 0.0);
      past.m = df + kept * dm;
      dx.log_forget[(start + t) * shape.gate_row] = static_cast<T>(past.m);
      dx.input_gate[(start + t) * shape.gate_row] = static_cast<T>(di + (Wide<T>(1) - kept) * dm);
      copy_out(width, shape.width, dq, dx.q + at);
      copy_out(width, shape.width, dk, dx.k + at);
      copy_out(width, shape.width, dv, dx.v + at);
    }
  }
}

/// For each token of a chunk C, A, n, w, u and y; 26 vectors of a token; dC, Z, dn and two more vectors; the rows of b,
/// t and p, e and f.
template <typename T>
int64_t backward_scratch(int64_t d, int terms) {
  const int64_t chunk = chunk_tokens(static_cast<int>(d));
  return Arena<T>::size(
      (chunk + 1) * (2 * d * d + 4 * d) + 29 * d + 2 * d * d + (3 * terms + 1) * d + int64_t{2} * terms,
      6 * chunk + 40);
}

}  // namespace orthoread::ORTHOREAD_ISA
