// The backward of a wide head. As backward.h it takes the chunks of tokens in turn, last chunk first, and computes the
// bases of each chunk's blocks again from its checkpoint. block_read_backward.h has the reads' part. What is left is
// the cotangents of the block's own matrices: from dW and dg those of the gates follow by
//   W_ti = f_t W_{t-1,i}, W_tt = i_t, g_t = f_t g_{t-1},
// and U = K C, M = K K^T, A = C^T C are differentiated as usual.
#pragma once

#include "ops/memory/block_read_backward.h"

namespace orthoread::ORTHOREAD_ISA {

/// to = x + x^T, n x n.
template <typename T>
void add_transposed(int n, const T* x, T* to) {
  transpose<T>(n, n, {x, n}, {to, n});
  for (int64_t i = 0; i < static_cast<int64_t>(n) * n; ++i) to[i] += x[i];
}

/// From dU, dM and the cotangents of V V^T and tr A, once all reads are through, to dC, dK and dV. dA goes on to the
/// block before, unless the base holds a token that cancels (in_base): A is small beside its terms there, so it comes
/// from C (backward.h). `spare` has the room of a matrix, `rows` that of 2c rows.
template <typename T>
void base_cotangents(const ReadPlan<T>& plan, bool in_base, const Block<T>& b, T* spare, T* rows,
                     BlockCotangent<T>& dx) {
  const int d = b.d, c = b.c, tokens = b.tokens;
  if (!plan.orthogonalized) return;
  matrix_times(b, tokens, dx.X, b.base->C, rows);
  for (int i = 0; i < tokens; ++i) add(b.width(), T(1), rows + i * d, dx.K + i * d);
  product<T>({d, d, tokens}, {b.K, 1, d}, {dx.X, d}, {dx.C, d}, Store::add);
  add_transposed(c, dx.M, spare);
  product<T>({c, d, c}, {spare, c}, {b.K, d}, {dx.K, d}, Store::add);
  add_transposed(c, dx.VV, spare);
  product<T>({c, d, c}, {spare, c}, {b.V(), d}, {dx.X + c * d, d}, Store::add);
  for (int i = 0; i < d; ++i) add(b.width(), T(2) * dx.of_trace, b.base->C + i * d, dx.C + i * d);
  if (!in_base || !plan.gram) return;
  add_transposed(d, dx.A, spare);
  product<T>({d, d, d}, {b.base->C, d}, {spare, d}, {dx.C, d}, Store::add);
  zero_all(static_cast<int64_t>(d) * d, dx.A);
}

/// Through C after the block's last token.
template <typename T>
void memory_after_backward(const Block<T>& b, T* rows, BlockCotangent<T>& dx) {
  const int d = b.d, c = b.c, last = b.tokens - 1;
  const T* w = b.w_of(last);
  T *K_dC = rows, *V_dC = rows + c * d;
  product<T>({b.tokens, d, d}, {b.K, d}, {dx.C, d}, {K_dC, d});
  matrix_times(b, b.tokens, b.V(), dx.C, V_dC);
  for (int i = 0; i < b.tokens; ++i) {
    dx.W[last * c + i] += wide_dot<T>(b.width(), K_dC + i * d, b.v(i));
    add(b.width(), w[i], K_dC + i * d, dx.X + (c + i) * d);
    add(b.width(), w[i], V_dC + i * d, dx.K + i * d);
  }
  for (int i = 0; i < d; ++i) {
    dx.g[last] += wide_dot<T>(b.width(), dx.C + i * d, b.base->C + i * d);
    scale(b.width(), b.g[last], dx.C + i * d, dx.C + i * d);
  }
}

/// Through A after it, g^2 A + X^T S X. With Y = X (dA + dA^T) and R = Y X^T:
///   dX += S Y,   dE = 1/2 (R of V and V),   dM += dE o W W^T,   dW_i += g R_uv,ii + sum_j R_vv,ij M_ij W_j,
///   dg += 2 g <dA, A> + sum_i W_i R_uv,ii.
template <typename T>
void gram_after_backward(const Block<T>& b, T* spare, T* rows, BlockCotangent<T>& dx) {
  const int d = b.d, c = b.c, last = b.tokens - 1;
  const T g = b.g[last], *w = b.w_of(last);
  Wide<T>*dW = dx.W + last * c, &dg = dx.g[last];
  T *Y = rows, *Y_of_V = rows + c * d;
  add_transposed(d, dx.A, spare);
  product<T>({2 * c, d, d}, {b.X, d}, {spare, d}, {Y, d});
  T *R = spare, *E = spare + c * c;
  product<T>({c, c, d}, {Y_of_V, d}, {b.V_U_K, 3 * c}, {R, c});
  for (int i = 0; i < b.tokens; ++i) {
    const Wide<T> R_uv = wide_dot<T>(b.width(), Y + i * d, b.v(i));
    dg += Wide<T>(w[i]) * R_uv;
    dW[i] += Wide<T>(g) * R_uv;
    for (int j = 0; j < b.tokens; ++j) {
      const T r = (R[i * c + j] + R[j * c + i]) / T(2), ww = w[i] * w[j], m = b.M[i * c + j];
      dW[i] += Wide<T>(r) * Wide<T>(m) * Wide<T>(w[j]);
      dx.M[i * c + j] += r * ww / T(2);
      E[i * c + j] = ww * m;
    }
    add(b.width(), g * w[i], Y_of_V + i * d, dx.X + i * d);
    add(b.width(), g * w[i], Y + i * d, dx.X + (c + i) * d);
  }
  product<T>({b.tokens, d, b.tokens}, {E, c}, {Y_of_V, d}, {dx.X + c * d, d}, Store::add);
  for (int i = 0; i < d; ++i) {
    T* row = dx.A + i * d;
    dg += Wide<T>(T(2) * g) * wide_dot<T>(b.width(), row, b.base->A + i * d);
    scale(b.width(), g * g, row, row);
  }
}

/// A block or a part of one: its first row is token `first`, and rows before `read_end` are read with its base.
struct BlockPart {
  int64_t first;
  bool in_base;
  int rows, read_end;
};

/// Through n_t, the gates and the denominators, last token first; writes the gradients of the tokens.
template <typename T>
void tokens_backward(const HeadShape& shape, const HeadInputs<T>& x, const BlockPart& part, const Block<T>& b, T* q,
                     const HeadGradients<T>& to, BlockCotangent<T>& dx) {
  const Width<0> width = b.width();
  const int d = b.d, c = b.c;
  for (int row = part.rows - 1; row >= 0; --row) {
    const int64_t at = (part.first + row) * shape.row_stride, gate_at = (part.first + row) * shape.gate_stride;
    dx.m += Wide<T>(dx.floor_m[row]);
    if (row < part.read_end) {
      T* dq = dx.Q + row * d;
      copy_in(width, shape.width, x.q + at, q);
      add(width, dx.q_n[row], q, dx.n);
      add(width, dx.q_n[row], b.n_of(row), dq);
      copy_out(width, shape.width, dq, to.q + at);
    }
    if (part.in_base && row == 0) return;
    const T f = b.forget[row], i = b.input[row];
    const T* n_before = row > 0 ? b.n_of(row - 1) : b.base->n;
    Wide<T>* dW = dx.W + row * c;
    Wide<T> df = wide_dot<T>(width, dx.n, n_before) + dx.g[row] * Wide<T>(row > 0 ? b.g[row - 1] : T(1));
    Wide<T> di = dW[row] + wide_dot<T>(width, dx.n, b.k(row));
    add(width, i, dx.n, dx.K + row * d);
    scale(width, f, dx.n, dx.n);
    if (row > 0) {
      for (int n = 0; n < row; ++n) {
        df += dW[n] * Wide<T>(b.w_of(row - 1)[n]);
        dW[n - c] += Wide<T>(f) * dW[n];
      }
      dx.g[row - 1] += Wide<T>(f) * dx.g[row];
    }
    df *= Wide<T>(f);  // of the exponents
    di *= Wide<T>(i);
    to.input_gate[gate_at] = static_cast<T>(stabiliser_backward(b.kept[row], b.input_gate[row], df, di, dx.m));
    to.log_forget[gate_at] = static_cast<T>(dx.m);
    copy_out(width, shape.width, dx.K + row * d, to.k + at);
    copy_out(width, shape.width, dx.X + (c + row) * d, to.v + at);
  }
}

/// The block that is set up in room.block.
template <typename T>
void part_backward(const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x,
                   const BackwardBuffers<T>& buffers, const BlockPart& part, const Checkpoints<const T>& checkpoints,
                   BlockBackwardRoom<T>& room) {
  Block<T>& b = room.block;
  BlockCotangent<T>& dx = room.dx;
  const int64_t d = b.d, c = b.c;
  b.tokens = part.rows;
  for (T* rows : {dx.K, dx.Q, dx.X, dx.X + c * d}) zero_all(c * d, rows);
  for (T* matrix : {dx.M, dx.VV}) zero_all(c * c, matrix);
  zero_all(c * c, dx.W);
  zero_all(c, dx.g);
  dx.of_trace = T(0);
  for (T* numbers : {dx.q_n, dx.floor_m}) zero_all(c, numbers);

  if (!(part.in_base && part.rows == 1)) {
    memory_after_backward(b, room.spare_rows, dx);
    if (plan.gram) gram_after_backward(b, room.spare, room.spare_rows, dx);
  }
  ReadGroup group;
  for (int row = 0; row < part.read_end; ++row)
    if (x.reads(part.first + row)) group.row[group.count++] = row;
  if (group.count > 0) read_backward(plan, shape, x, buffers.dh, part.first, group, checkpoints, room);
  base_cotangents(plan, part.in_base, b, room.spare, room.spare_rows, dx);
  tokens_backward(shape, x, part, b, room.rows.q, buffers.dx, dx);
}

/// The parts of a block: one, and another for each token at which it is cut, which may be all of them.
struct BlockParts {
  int count = 0;
  BlockPart part[kBlockTokens + 1];
};

/// Sets up in room.block the part that begins at token part.first, on the base that is there. `end` is the block's.
template <typename T>
void set_up_part(const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x, int64_t end, BlockPart& part,
                 Block<T>& b) {
  b.in_base = part.in_base;
  begin_block(plan, b);
  const int there = b.tokens;
  part.read_end = add_tokens(plan, shape, x, part.first + there, static_cast<int>(end - part.first) - there, b);
  part.rows = part.read_end < b.tokens ? part.read_end + 1 : b.tokens;
  b.tokens = part.rows;
}

/// Sets up the block of the tokens [first, end) on `base`, part by part. Parts after the first begin on room.cut_base;
/// the last one is left in room.block.
template <typename T>
BlockParts set_up_block(const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x, int64_t first,
                        int64_t end, Base<T>& base, BlockBackwardRoom<T>& room) {
  Block<T>& b = room.block;
  BlockParts parts;
  b.base = &base;
  for (;;) {
    BlockPart& part = parts.part[parts.count];
    part = {first, parts.count++ > 0, 0, 0};
    set_up_part(plan, shape, x, end, part, b);
    if (part.read_end == part.rows) return parts;
    first += part.read_end;
    end_block(plan, false, b, room.cut_base);
    b.base = &room.cut_base;
  }
}

/// Back through the block of the tokens [first, end) on `base`.
template <typename T>
void one_block_backward(const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x,
                        const BackwardBuffers<T>& buffers, int64_t first, int64_t end, Base<T>& base,
                        const Checkpoints<const T>& checkpoints, BlockBackwardRoom<T>& room) {
  Block<T>& b = room.block;
  BlockParts parts = set_up_block(plan, shape, x, first, end, base, room);
  part_backward(plan, shape, x, buffers, parts.part[parts.count - 1], checkpoints, room);
  for (int n = parts.count - 2; n >= 0; --n) {  // a block is seldom cut: the bases of its parts are not kept
    b.base = &base;
    for (int before = 0; before < n; ++before) {
      const BlockPart& part = parts.part[before];
      b.in_base = part.in_base;
      clear_block(plan, b);
      const int there = b.tokens;
      add_rows(shape, x, part.first + there, part.rows - there, b);
      end_block(plan, false, b, room.cut_base);
      b.base = &room.cut_base;
    }
    set_up_part(plan, shape, x, end, parts.part[n], b);
    part_backward(plan, shape, x, buffers, parts.part[n], checkpoints, room);
  }
}

template <typename T>
void block_backward(int d, const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x,
                    const BackwardBuffers<T>& buffers) {
  const Checkpoints<const T> checkpoints(d, kBlockChunk, shape, plan.orthogonalized, buffers.checkpoints);
  Scratch<T> scratch(buffers.scratch);
  BlockBackwardRoom<T> room(d, plan, scratch);
  for (T* matrix : {room.dx.C, room.dx.A}) zero_all(static_cast<int64_t>(d) * d, matrix);
  zero(room.block.width(), room.dx.n);
  for (int64_t chunk = (shape.tokens + kBlockChunk - 1) / kBlockChunk - 1; chunk >= 0; --chunk) {
    const int64_t start = chunk * kBlockChunk;
    const int64_t end = shape.tokens - start < kBlockChunk ? shape.tokens : start + kBlockChunk;
    const int64_t last = (end - 1 - start) / kBlockTokens;
    const auto begin = [&](int64_t block) { return start + block * kBlockTokens; };
    restore(d, checkpoints.memory(chunk), room.bases[0]);
    for (int64_t i = 0; i < last; ++i) {
      set_up_block(plan, shape, x, begin(i), begin(i + 1), room.bases[i], room);
      end_block(plan, true, room.block, room.bases[i + 1]);
    }
    for (int64_t i = last; i >= 0; --i)
      one_block_backward(plan, shape, x, buffers, begin(i), i < last ? begin(i + 1) : end, room.bases[i], checkpoints,
                         room);
  }
}

}  // namespace orthoread::ORTHOREAD_ISA
