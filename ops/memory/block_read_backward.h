// The backward of a block's reads. dX is the cotangent of X.
//
// A read gives pairs of rows t and b, whose weighted outer products are its cotangent of A_t (read.h), and rows l and
// r, whose outer products are its cotangent of C_t. With p = W_t o (V x), r = W_t o (U x) of a row x (block.h) and s
// for the weight of a pair, t.A_t b has the gradients
//   dA += s g^2 b t^T,   dX += L(b) t^T + L(t) b^T,   L(x) = s (g p, g r + W_t o (M p)),   dM += s p_b p_t^T,
//   dW_t += s [g (V b o U t + U b o V t) + V b o M p_t + V t o M p_b],   dg_t += s [2 g t.A b + p_b.U t + r_b.V t],
// and l.C_t r, with C_t = g C + sum_i W_ti k_i v_i^T,
//   dC += g l r^T,   dK += (W_t o V r) l^T,   dV += (W_t o K l) r^T,   dW_t += K l o V r,   dg_t += l.C r.
// All sums over a group's tokens and terms are products of matrices.
#pragma once

#include "ops/memory/backward.h"
#include "ops/memory/block_forward.h"

namespace orthoread::ORTHOREAD_ISA {

/// The cotangents of a block.
template <typename T>
struct BlockCotangent {
  static constexpr int c = kBlockTokens;
  T *C, *n;  // of the memory after it, and then of its base
  Wide<T> m = Wide<T>(0);
  T* A;               // as C, but for of_trace; carried from block to block
  T of_trace = T(0);  // of tr A of the base
  T *M, *VV;          // c x c
  T *K, *X, *Q;       // c x d, 2c x d, c x d
  Wide<T> W[c * c];
  Wide<T> g[c];
  T q_n[c], floor_m[c];  // of q_t.n_t, and of m_t through exp(-m_t)

  BlockCotangent(int64_t d, Scratch<T>& scratch)
      : C(scratch.take(d * d)),
        n(scratch.take(d)),
        A(scratch.take(d * d)),
        M(scratch.take(c * c)),
        VV(scratch.take(c * c)),
        K(scratch.take(c * d)),
        X(scratch.take(2 * d * c)),
        Q(scratch.take(c * d)) {}
};

/// The rows of a group's backward.
template <typename T>
struct GroupBackwardRows {
  static constexpr int c = kBlockTokens;
  T *dr, *dy, *z, *H_z, *b, *C_z;  // c x d; H_z is H(G') y'
  T delta[c];
  Wide<T> radial[c], dy_along_w[c];  // <dG, G>, and w.dy
  T *left, *right, *C_right;         // l and r, and C r, 3c x d
  T *K_left, *V_right;               // 3c x c
  T *H, *F, *hankel;                 // e_j, f_j, and tails
  T *t, *full_L, *t_L, *b_P, *t_P;   // of the pairs: terms c x d, (d + 2c), 2c, c, c

  GroupBackwardRows(int64_t d, int64_t terms, Scratch<T>& scratch) {
    for (T** rows : {&dr, &dy, &z, &H_z, &b, &C_z}) *rows = scratch.take(d * c);
    for (T** rows : {&left, &right, &C_right}) *rows = scratch.take(d * 3 * c);
    for (T** rows : {&K_left, &V_right}) *rows = scratch.take(c * 3 * c);
    for (T** weights : {&H, &F}) *weights = scratch.take(terms);
    hankel = scratch.take(2 * terms + 1);
    const int64_t pairs = terms * c;
    t = scratch.take(pairs * d);
    full_L = scratch.take(pairs * d + 2 * pairs * c);
    t_L = scratch.take(pairs * 2 * c);
    b_P = scratch.take(pairs * c);
    t_P = scratch.take(pairs * c);
  }
};

/// The arrays that a backward works in.
template <typename T>
struct BlockBackwardRoom {
  Block<T> block;
  GroupRows<T> rows;
  Records<T> both, pairs;  // of y and t, and of the b_j
  GroupBackwardRows<T> group;
  BlockCotangent<T> dx;
  T *spare, *spare_rows;                      // a matrix, and 2c rows
  Base<T> bases[kBlockChunk / kBlockTokens];  // of the blocks of a chunk
  Base<T> cut_base;                           // of a block that begins at a token that cancels

  BlockBackwardRoom(int64_t d, const ReadPlan<T>& plan, Scratch<T>& scratch)
      : block(d, plan, For::backward, scratch),
        rows(d, scratch),
        both({block.d}, 2 * kBlockTokens, terms(plan), scratch),
        pairs({block.d}, kBlockTokens, terms(plan), scratch),
        group(d, terms(plan), scratch),
        dx(d, scratch),
        spare(scratch.take(d * d > 2 * block.c * block.c ? d * d : 2 * block.c * block.c)),
        spare_rows(scratch.take(2 * block.c * d)),
        cut_base(d, plan, scratch) {
    for (Base<T>& base : bases) base = Base<T>(d, plan, scratch);
  }
  static int64_t terms(const ReadPlan<T>& plan) { return plan.orthogonalized ? plan.most_terms + 1 : 0; }
};

/// Adds the cotangents of the sum of l.C_t r, with `count` rows l in room.left and r in room.right for each token of
/// the group, the first of every token first. C_right becomes C_t r of these first rows.
template <typename T>
void memory_cotangent(const Block<T>& b, const ReadGroup& group, int count, const GroupBackwardRows<T>& room,
                      BlockCotangent<T>& dx) {
  const int d = b.d, c = b.c, rows = count * group.count;
  product<T>({rows, c, d}, {room.left, d}, {b.V_U_K + 2 * c, 3 * c}, {room.K_left, c});
  product<T>({rows, c, d}, {room.right, d}, {b.V_U_K, 3 * c}, {room.V_right, c});
  matrix_times(b, rows, room.right, b.base->C, room.C_right);
  for (int i = 0; i < rows; ++i) {
    const int token = group.row[i % group.count];
    T *left = room.left + i * d, *K_l = room.K_left + i * c, *V_r = room.V_right + i * c;
    const T* w = b.w_of(token);
    dx.g[token] += wide_dot<T>(b.width(), left, room.C_right + i * d);
    for (int n = 0; n <= token; ++n) dx.W[token * c + n] += Wide<T>(K_l[n]) * Wide<T>(V_r[n]);
    times(kTokens, w, K_l, K_l);
    times(kTokens, w, V_r, V_r);
    scale(b.width(), b.g[token], room.C_right + i * d, room.C_right + i * d);
  }
  product<T>({c, d, rows}, {room.K_left, 1, c}, {room.right, d}, {dx.X + c * d, d}, Store::add);
  product<T>({c, d, rows}, {room.V_right, 1, c}, {room.left, d}, {dx.K, d}, Store::add);
  for (int i = 0; i < rows; ++i)
    scale(b.width(), b.g[group.row[i % group.count]], room.left + i * d, room.left + i * d);
  product<T>({d, d, rows}, {room.left, 1, d}, {room.right, d}, {dx.C, d}, Store::add);
  product<T>({group.count, d, c}, {room.V_right, c}, {b.K, d}, {room.C_right, d}, Store::add);
}

/// The pairs of one term, t from room.both and b from room.pairs: adds to dW and dg and, for each token, <dG, G>;
/// leaves the rows whose products are the rest of the cotangents. Each pair has the weight 2 slope.
template <typename T>
void pair_cotangents(const Block<T>& b, const ReadGroup& group, int term, const BlockBackwardRoom<T>& room,
                     Wide<T>* radial, BlockCotangent<T>& dx) {
  const RecordShape& at = room.both.shape;
  const int d = b.d, c = b.c;
  const GroupBackwardRows<T>& g = room.group;
  for (int i = 0; i < group.count; ++i) {
    const int token = group.row[i], pair = term * group.count + i;
    const Scaling<T>& s = room.rows.s[i];
    const T *t = room.both.at(term, group.count + i), *bj = room.pairs.at(term, i), *w = b.w_of(token), gt = b.g[token];
    const T weight = T(2) * s.slope;
    T *b_p = g.b_P + pair * c, *t_p = g.t_P + pair * c, *full = g.full_L + pair * (d + 2 * c),
      *t_L = g.t_L + pair * 2 * c;
    T* scaled = g.t + pair * d;
    scale(b.width(), weight, t, scaled);
    times(kTokens, w, bj + at.Vx(), b_p);
    times(kTokens, w, t + at.Vx(), t_p);
    scale(b.width(), gt * gt, bj, full);
    left_row(b, token, bj, at, b_p, full + d);
    left_row(b, token, t, at, t_p, t_L);
    for (T* row : {t_L, t_L + c, t_p}) scale(kTokens, weight, row, row);

    const T *Vb = bj + at.Vx(), *Ub = bj + at.Ux(), *Mb = bj + at.Mp(), *Vt = t + at.Vx(), *Ut = t + at.Ux(),
            *Mt = t + at.Mp();
    const Wide<T> wide_g = Wide<T>(gt), wide_weight = Wide<T>(weight);
    const Wide<T> t_A_b = wide_dot<T>(b.width(), t, bj + at.Ax());
    Wide<T> cross = Wide<T>(0), inner = Wide<T>(0);
    for (int n = 0; n <= token; ++n) {
      const Wide<T> of_n = Wide<T>(Vb[n]) * Wide<T>(Ut[n]) + Wide<T>(Ub[n]) * Wide<T>(Vt[n]);
      cross += Wide<T>(w[n]) * of_n;
      inner += Wide<T>(w[n]) * Wide<T>(Vt[n]) * Wide<T>(Mb[n]);
      dx.W[token * c + n] +=
          wide_weight * (wide_g * of_n + Wide<T>(Vb[n]) * Wide<T>(Mt[n]) + Wide<T>(Vt[n]) * Wide<T>(Mb[n]));
    }
    dx.g[token] += wide_weight * (Wide<T>(2) * wide_g * t_A_b + cross);
    Wide<T> form = wide_g * (wide_g * t_A_b + cross) + inner;
    if (s.mu > T(0)) {
      const T* dominant = room.rows.w + i * d;
      form -= Wide<T>(s.mu * s.rho2) * wide_dot<T>(b.width(), dominant, t) * wide_dot<T>(b.width(), dominant, bj);
    }
    radial[i] += wide_weight * form;
  }
}

/// Row i, of whose memory an eigenpair is deflated: what deflated_read.h makes of the T_j y' and T_j t'. Sets r, dy, b
/// and z; C_t z is left to the group.
template <typename T>
void deflated_row(const Block<T>& b, const ReadPlan<T>& plan, int count, int i, BlockBackwardRoom<T>& room) {
  const Width<0> width = b.width();
  const int d = b.d;
  GroupBackwardRows<T>& g = room.group;
  const Scaling<T>& s = room.rows.s[i];
  const SplitQuery<T>& split = room.rows.split[i];
  const int terms = s.series.terms;
  const T *c = s.series.coefficients, *w = room.rows.w + i * d;
  T *r = room.rows.r + i * d, *dy = g.dy + i * d, *z = g.z + i * d, *H_y = g.H_z + i * d, *to_b = g.b + i * d;
  const ReadAt<Wide<T>> at = read_at(plan.steps, split.mu);
  divided_series(s.series, split, at.g, g.H, g.F);
  weigh_records(room.both, terms, i, c, r);
  weigh_records(room.both, terms, i, g.H, H_y);
  weigh_records(room.both, terms, count + i, c, dy);
  weigh_records(room.both, terms, count + i, g.H, z);
  weigh_records(room.both, terms, count + i, g.F, to_b);
  const DeflatedScalars<T> along_w =
      complete_deflated<T>(width, s, split, at, g.delta[i], w, {.r = r, .dy = dy, .b = to_b, .z = z, .H_y = H_y});

  const T over_rho = T(1) / sqrt(s.rho2), raw_share = T(1) - plan.alpha;
  const T* dr = g.dr + i * d;
  g.radial[i] = Wide<T>(along_w.radial);
  g.dy_along_w[i] =
      Wide<T>(over_rho * static_cast<T>(at.g) * g.delta[i]) + Wide<T>(raw_share) * wide_dot<T>(width, w, dr);
  add(width, raw_share * along_w.kappa, dr, to_b);
}

/// The b_j of row i, j >= 1, from the T_j y (deflated_read.h), with all that the records hold of them, as this is
/// linear: they become term j - 1 of room.pairs. Terms beyond the row's series are set to 0. Halves term 0 of both, so
/// that all pairs have one weight.
template <typename T>
void pair_row(int count, int i, int most, BlockBackwardRoom<T>& room) {
  const SeriesView<T>& series = room.rows.s[i].series;
  const int terms = series.terms, size = room.both.shape.size();
  T* hankel = room.group.hankel;
  zero_all(2 * terms + 1, hankel);
  for (int j = 0; j < terms; ++j) hankel[j] = series.tails[j];
  for (const int row : {i, count + i}) {
    T* first = room.both.at(0, row);
    scale(Width<0>{size}, T(0.5), first, first);
  }
  product<T>({terms - 1, size, terms - 1}, {hankel + 1, 1},
             {room.both.at(0, i), static_cast<int64_t>(room.both.per_term) * size},
             {room.pairs.at(0, i), static_cast<int64_t>(room.pairs.per_term) * size});
  for (int j = terms - 1; j < most; ++j) zero_all(size, room.pairs.at(j, i));
}

/// The last pair of a deflated row removes from M what rounding has left along w: t = w, b = -M^T w - M w.
template <typename T>
void last_pairs(const Block<T>& b, const ReadGroup& group, int most, BlockBackwardRoom<T>& room) {
  const int d = b.d, count = group.count, size = room.both.shape.size();
  for (int i = 0; i < count; ++i) {
    T *to_b = room.both.at(most - 1, i), *to_t = room.both.at(most - 1, count + i);
    zero(b.width(), to_b);
    zero(b.width(), to_t);
    if (!(room.rows.s[i].mu > T(0))) continue;
    const T* w = room.rows.w + i * d;
    for (int j = 0; j + 1 < room.rows.s[i].series.terms; ++j) {
      const T *t = room.both.at(j, count + i), *bj = room.pairs.at(j, i);
      add(b.width(), -dot(b.width(), w, t), bj, to_b);
      add(b.width(), -dot(b.width(), w, bj), t, to_b);
    }
    scale(b.width(), T(1), w, to_t);
  }
  apply(b, group, 2 * count, most - 1, room.both);
  for (int i = 0; i < count; ++i) scale(Width<0>{size}, T(1), room.both.at(most - 1, i), room.pairs.at(most - 1, i));
}

/// Through tr A_t of a row, whose cotangent is d_trace.
template <typename T>
void trace_cotangent(const Block<T>& b, int token, Wide<T> d_trace, BlockCotangent<T>& dx) {
  using V = Wide<T>;
  const int c = b.c, n = token + 1;
  const T* w = b.w_of(token);
  const V g = V(b.g[token]);
  const T d_T = static_cast<T>(d_trace), gt = b.g[token];
  dx.of_trace += d_T * gt * gt;
  V dg = V(2) * g * b.base->traces.trace;
  for (int i = 0; i < n; ++i) {
    const V uv = V(b.G[0].VU[i * c + i]);
    dg += V(2) * V(w[i]) * uv;
    V of_w = g * uv;
    for (int j = 0; j < n; ++j) {
      const T vv = b.G[0].VV[i * c + j], m = b.M[i * c + j], e = d_T * w[i] * w[j];
      of_w += V(w[j]) * V(m) * V(vv);
      dx.M[i * c + j] += e * vv;
      dx.VV[i * c + j] += e * m;
    }
    dx.W[token * c + i] += V(2) * d_trace * of_w;
    const T of_uv = d_T * T(2) * gt * w[i];
    add(b.width(), of_uv, b.v(i), dx.X + i * b.d);
    add(b.width(), of_uv, b.u(i), dx.X + (c + i) * b.d);
  }
  dx.g[token] += d_trace * dg;
}

/// The reads of a group of tokens; row 0 of the block is token `first`.
template <typename T>
void read_backward(const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x, const T* dh, int64_t first,
                   const ReadGroup& group, const Checkpoints<const T>& checkpoints, BlockBackwardRoom<T>& room) {
  const Block<T>& b = room.block;
  const Width<0> width = b.width();
  const int d = b.d, count = group.count;
  GroupRows<T>& rows = room.rows;
  GroupBackwardRows<T>& g = room.group;
  BlockCotangent<T>& dx = room.dx;
  room.pairs.per_term = count;
  load_reads(b, shape, x, first, group, rows);
  for (int i = 0; i < count; ++i) {
    T* dr = g.dr + i * d;
    copy_in(width, shape.width, dh + (first + group.row[i]) * shape.row_stride, dr);
    scale(width, T(1) / rows.den[i].value, dr, dr);
    scale(width, T(1), rows.q + i * d, g.left + i * d);
  }
  int kinds = 1;
  bool deflated = false;
  if (plan.orthogonalized) {
    for (int i = 0; i < count; ++i) {
      Scaling<T>& s = rows.s[i] = scaling(static_cast<T>(b.traces[group.row[i]].trace));
      const SavedRead<const T> saved = checkpoints.read(first + group.row[i]);
      set_series(plan, *saved.mu, interval_of<T>(saved), s);
      T *w = rows.w + i * d, *y = rows.y + i * d;
      zero(width, w);
      if (s.mu > T(0)) {
        deflated = true;
        scale(width, T(1), saved.w, w);
        scale(width, T(1), saved.y, y);
      } else {
        scale(width, T(1) / sqrt(s.rho2), rows.raw + i * d, y);
      }
    }
    if (deflated) {
      kinds = 3;
      memory_times(b, group, rows.w, rows.small, rows.a);
    }
    for (int i = 0; i < count; ++i) {
      if (rows.s[i].mu > T(0)) split_row(b, i, rows);
      T* t = room.both.at(0, count + i);
      scale(width, T(1), rows.y + i * d, room.both.at(0, i));
      scale(width, plan.alpha, g.dr + i * d, t);
      if (rows.s[i].mu > T(0)) g.delta[i] = project(width, rows.w + i * d, t);
    }
    const int most = most_terms(group, rows), pair_terms = most - (deflated ? 0 : 1);
    advance_rows(b, group, 2 * count, most, rows, room.both);
    for (int i = 0; i < count; ++i) {
      const Scaling<T>& s = rows.s[i];
      g.radial[i] = Wide<T>(0);
      zero(width, g.z + i * d);
      if (s.mu > T(0)) {
        deflated_row(b, plan, count, i, room);
      } else {
        weigh_records(room.both, s.series.terms, i, s.series.coefficients, rows.r + i * d);
        weigh_records(room.both, s.series.terms, count + i, s.series.coefficients, g.dy + i * d);
      }
      pair_row(count, i, most, room);
    }
    if (deflated) {
      last_pairs(b, group, most, room);
      memory_times(b, group, g.z, rows.small, g.C_z);
    }
    for (int j = 0; j < pair_terms; ++j) pair_cotangents(b, group, j, room, g.radial, dx);
    const int pairs = pair_terms * count, c = b.c, full_row = d + 2 * c;
    product<T>({d, d, pairs}, {g.full_L, 1, full_row}, {g.t, d}, {dx.A, d}, Store::add);
    product<T>({2 * c, d, pairs}, {g.full_L + d, 1, full_row}, {g.t, d}, {dx.X, d}, Store::add);
    product<T>({2 * c, d, pairs}, {g.t_L, 1, 2 * c}, {room.pairs.numbers, room.pairs.shape.size()}, {dx.X, d},
               Store::add);
    product<T>({c, c, pairs}, {g.b_P, 1, c}, {g.t_P, c}, {dx.M, c}, Store::add);
  }
  for (int i = 0; i < count; ++i) {
    const T *dr = g.dr + i * d, *raw = rows.raw + i * d;
    T dh_h = dot(width, dr, raw);
    T* dz = g.right + i * d;  // the cotangent of C_t^T q
    if (plan.orthogonalized) {
      const Scaling<T>& s = rows.s[i];
      const T over_rho = T(1) / sqrt(s.rho2), raw_share = T(1) - plan.alpha, *dy = g.dy + i * d;
      dh_h = plan.alpha * dot(width, dr, rows.r + i * d) + raw_share * dh_h;
      if (!s.clamped) {
        const Wide<T> along = Wide<T>(dot(width, dy, rows.y + i * d)) / Wide<T>(2);
        trace_cotangent(b, group.row[i], -(g.radial[i] + along) / Wide<T>(s.rho2), dx);
      }
      combine(width, over_rho, dy, raw_share, dr, dz);
      if (deflated) {
        T *a = g.left + (count + i) * d, *c = g.left + (2 * count + i) * d;
        T *b_row = g.right + (count + i) * d, *w = g.right + (2 * count + i) * d;
        for (T* row : {a, c, b_row, w}) zero(width, row);
        if (s.mu > T(0)) {
          scale(width, T(1), rows.rest_of_q + i * d, g.left + i * d);
          scale(width, T(1), rows.a + i * d, a);
          scale(width, T(1), g.b + i * d, b_row);
          scale(width, T(1), g.C_z + i * d, c);
          add(width, -dot(width, a, c) / (s.mu * s.rho2), a, c);
          scale(width, T(1) / s.rho2, c, c);
          scale(width, T(1), rows.w + i * d, w);
        }
      }
    } else {
      scale(width, T(1), dr, dz);
    }
    const DenominatorCotangent<T> of = denominator_backward(rows.den[i], b.m_of[group.row[i]], dh_h);
    dx.q_n[group.row[i]] = of.qn;
    dx.floor_m[group.row[i]] = of.m;
  }
  memory_cotangent(b, group, kinds, g, dx);
  for (int i = 0; i < count; ++i) {
    T *C_dz = g.C_right + i * d, *dq = dx.Q + group.row[i] * d;
    if (plan.orthogonalized && rows.s[i].mu > T(0)) {
      const T* a = rows.a + i * d;
      add(width, static_cast<T>(g.dy_along_w[i] - wide_dot<T>(width, a, C_dz) / wide_dot<T>(width, a, a)), a, C_dz);
    }
    scale(width, T(1), C_dz, dq);
  }
}

}  // namespace orthoread::ORTHOREAD_ISA
