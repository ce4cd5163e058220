// The forward of a wide head, block by block, in one piece or as a stream.
#pragma once

#include "ops/memory/block_read.h"

namespace orthoread::ORTHOREAD_ISA {

/// The arrays that a forward works in.
template <typename T>
struct BlockForwardRoom {
  Base<T> base;
  Block<T> block;
  GroupRows<T> rows;
  Records<T> records;
  T* latest_w;  // of the last token that was read: the next block's guess

  BlockForwardRoom(int64_t d, const ReadPlan<T>& plan, Scratch<T>& scratch)
      : base(d, plan, scratch),
        block(d, plan, For::forward, scratch),
        rows(d, scratch),
        records({block.d}, kBlockTokens, plan.orthogonalized ? plan.most_terms > 3 ? plan.most_terms : 3 : 0, scratch),
        latest_w(scratch.take(d)) {
    block.base = &base;
  }
};

/// From and to a checkpoint.
template <typename T>
void save(int64_t d, const Base<T>& base, const SavedMemory<T>& to) {
  copy_numbers(d * d, base.C, to.C);
  copy_numbers(d, base.n, to.n);
  *to.m = base.m;
}
template <typename T>
void restore(int64_t d, const SavedMemory<const T>& from, Base<T>& base) {
  copy_numbers(d * d, from.C, base.C);
  copy_numbers(d, from.n, base.n);
  base.m = *from.m;
  base.has_A = false;
}

/// The memory before the first token, as a base.
template <typename T>
void start_base(const ReadPlan<T>& plan, BlockForwardRoom<T>& room) {
  Block<T>& b = room.block;
  zero_all(static_cast<int64_t>(b.d) * b.d, b.base->C);
  for (T* row : {b.base->n, b.w, room.latest_w}) zero(b.width(), row);
  b.base->m = plan.orthogonalized ? T(0) : T(-__builtin_inf());
}

/// The rows [begin, end) of a block whose row 0 is token `first`.
struct BlockRows {
  int64_t first;
  int begin, end;
};

/// Reads the tokens of these rows into h, and what was chosen into the checkpoints.
template <typename T>
void read_block(const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x, const BlockRows& of,
                BlockForwardRoom<T>& room, T* h, const Checkpoints<T>& checkpoints) {
  const int64_t first = of.first;
  Block<T>& b = room.block;
  GroupRows<T>& rows = room.rows;
  ReadGroup group;
  for (int row = of.begin; row < of.end; ++row) {
    if (x.reads(first + row))
      group.row[group.count++] = row;
    else
      zero_all(shape.width, h + (first + row) * shape.row_stride);
  }
  if (group.count == 0) return;
  load_reads(b, shape, x, first, group, rows);
  if (plan.orthogonalized) read_rows(b, plan, group, rows, room.records);
  for (int i = 0; i < group.count; ++i) {
    const int64_t token = first + group.row[i];
    T *raw = rows.raw + i * b.d, *r = rows.r + i * b.d;
    const T over = T(1) / rows.den[i].value;
    if (plan.orthogonalized) {
      if (checkpoints) save<T>(b.width(), rows.s[i], rows.w + i * b.d, rows.y + i * b.d, checkpoints.read(token));
      combine(b.width(), plan.alpha * over, r, (T(1) - plan.alpha) * over, raw, r);
    } else {
      scale(b.width(), over, raw, r);
    }
    copy_out(b.width(), shape.width, r, h + token * shape.row_stride);
  }
  if (plan.orthogonalized) scale(b.width(), T(1), rows.w + (group.count - 1) * b.d, room.latest_w);
}

/// Sets the traces of the rows from `from` on, up to the first where A_t cancels too much for this base. Returns its
/// number, or b.tokens if there is none.
template <typename T>
int measure_traces(const ReadPlan<T>& plan, int from, Block<T>& b) {
  for (int row = from; row < b.tokens && plan.orthogonalized; ++row) {
    if (b.in_base && row == 0) continue;
    measure_trace(row, b);
    if (b.powers) carry_power_traces(row, b);
    const BlockTraces<T>& of = b.traces[row];
    if (!(of.size <= Wide<T>(kBlockCancelLimit) * of.trace) && of.size > Wide<T>(0)) return row;
  }
  return b.tokens;
}

/// Cuts the block after `row`, which begins the next one.
template <typename T>
void cut_block(const ReadPlan<T>& plan, int row, Block<T>& b) {
  b.tokens = row + 1;
  end_block(plan, false, b, *b.base);
  b.in_base = true;
  begin_block(plan, b);
}

/// The next rows of a block with all their products. Returns the row at which it has to be cut, or b.tokens.
template <typename T>
int add_tokens(const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x, int64_t first, int count,
               Block<T>& b) {
  const int from = b.tokens;
  add_rows(shape, x, first, count, b);
  if (plan.orthogonalized) add_base_products(from, b);
  add_small_products(plan, from, b);
  return measure_traces(plan, from, b);
}

/// The tokens of `shape` through room.block, which holds those since the last multiple of its length. There
/// are whole blocks between checkpoints.
template <typename T>
void run_blocks(const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x, int64_t position,
                BlockForwardRoom<T>& room, T* h, const Checkpoints<T>& checkpoints) {
  Block<T>& b = room.block;
  for (int64_t t = 0; t < shape.tokens;) {
    const int past = static_cast<int>((position + t) % b.c);
    if (past == 0) {
      if (position + t > 0) end_block(plan, (position + t) % kBlockChunk != 0, b, *b.base);
      scale(b.width(), T(1), room.latest_w, b.w);
      if (checkpoints && t % checkpoints.chunk() == 0) save(b.d, *b.base, checkpoints.memory(t / checkpoints.chunk()));
      b.in_base = false;
      begin_block(plan, b);
    }
    const int64_t end = shape.tokens - t < b.c - past ? shape.tokens : t + b.c - past;
    while (t < end) {
      const int from = b.tokens;
      const int cut = add_tokens(plan, shape, x, t, static_cast<int>(end - t), b), tokens = b.tokens;
      read_block(plan, shape, x, {.first = t - from, .begin = from, .end = cut}, room, h, checkpoints);
      t += cut - from;
      if (cut == tokens) break;
      cut_block(plan, cut, b);
      read_block(plan, shape, x, {.first = t, .begin = 0, .end = 1}, room, h, checkpoints);
      ++t;
    }
  }
}

template <typename T>
void block_forward(int d, const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x,
                   const ForwardBuffers<T>& to, const Checkpoints<T>& checkpoints) {
  Scratch<T> scratch(to.scratch);
  BlockForwardRoom<T> room(d, plan, scratch);
  start_base(plan, room);
  run_blocks(plan, shape, x, 0, room, to.h, checkpoints);
}

/// Where a stream has a block between tokens: the base, the rows, and what is carried from row to row.
template <typename N>
struct SavedBlock {
  N *C, *A = nullptr, *n, *w, *latest_w, *K, *X, *X_A = nullptr, *n_t, *w_t;
  N *m, *A_error, *g, *m_t, *tokens, *in_base;
  static constexpr int64_t kTraceNumbers = sizeof(BlockTraces<N>) / sizeof(N);
  N* traces;  // BlockTraces of the base and of the last row

  SavedBlock(int64_t d, bool gram, Scratch<N>& numbers) {
    constexpr int64_t c = kBlockTokens;
    C = numbers.take(d * d);
    for (N** row : {&n, &w, &latest_w, &n_t}) *row = numbers.take(d);
    K = numbers.take(c * d);
    X = numbers.take(2 * c * d);
    w_t = numbers.take(c);
    for (N** number : {&m, &A_error, &g, &m_t, &tokens, &in_base}) *number = numbers.take(1);
    traces = numbers.take(2 * kTraceNumbers);
    if (!gram) return;
    A = numbers.take(d * d);
    X_A = numbers.take(2 * c * d);
  }
};

/// Calls copy(count, in the block, in the saved one) for each array of both. `last` is the last row.
template <typename T, typename N, class Copy>
void copy_block(BlockForwardRoom<T>& room, const SavedBlock<N>& saved, int last, const Copy& copy) {
  Block<T>& b = room.block;
  const int64_t d = b.d, c = b.c;
  copy(d * d, b.base->C, saved.C);
  copy(d, b.base->n, saved.n);
  copy(d, b.w, saved.w);
  copy(d, room.latest_w, saved.latest_w);
  copy(c * d, b.K, saved.K);
  copy(2 * c * d, b.X, saved.X);
  copy(d, b.n_of(last), saved.n_t);
  copy(c, b.w_of(last), saved.w_t);
  copy(1, b.g + last, saved.g);
  copy(1, &b.base->A_error, saved.A_error);
  int at = 0;
  for (auto* of : {&b.base->traces, &b.traces[last]})
    for (auto* number : {&of->trace, &of->size, &of->square, &of->cube, &of->error, &of->cube_error})
      copy(1, number, saved.traces + at++);
  if (saved.A == nullptr) return;
  copy(d * d, b.base->A, saved.A);
  copy(2 * c * d, b.X_A, saved.X_A);
}

template <typename T>
void block_stream(int d, const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x,
                  const StreamBuffers<T>& to) {
  if (shape.tokens == 0) return;
  using N = Wide<T>;
  Scratch<T> scratch(to.scratch);
  BlockForwardRoom<T> room(d, plan, scratch);
  Block<T>& b = room.block;
  auto numbers = Scratch<N>::packed(to.state);
  const SavedBlock<N> state(d, plan.gram, numbers);
  if (to.position == 0) {
    start_base(plan, room);
  } else {
    const int tokens = static_cast<int>(value_of(*state.tokens));
    b.in_base = *state.in_base > N(0);
    clear_block(plan, b);
    copy_block(room, state, tokens - 1,
               [](int64_t count, auto* here, const N* from) { copy_numbers(count, from, here); });
    b.base->m = static_cast<T>(*state.m);
    b.m_of[tokens - 1] = static_cast<T>(*state.m_t);
    b.tokens = tokens;
    add_small_products(plan, 0, b);
  }
  run_blocks<T>(plan, shape, x, to.position, room, to.h,
                Checkpoints<T>(d, kBlockChunk, shape, plan.orthogonalized, nullptr));
  copy_block(room, state, b.tokens - 1,
             [](int64_t count, const auto* from, N* saved) { copy_numbers(count, from, saved); });
  *state.m = static_cast<N>(b.base->m);
  *state.m_t = static_cast<N>(b.m_of[b.tokens - 1]);
  *state.tokens = N(b.tokens);
  *state.in_base = N(b.in_base ? 1 : 0);
}

}  // namespace orthoread::ORTHOREAD_ISA
