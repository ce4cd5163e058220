// A lane's forward, in one piece or as a stream.
#pragma once

#include "ops/lane/apart.h"

namespace orthoread::ORTHOREAD_ISA {

/// Padded copies of one token's rows.
template <typename T>
struct TokenRows {
  T *q, *k, *v;
};

template <typename T>
constexpr int padded_width(int64_t width) {
  constexpr int lanes = Pack<T>::lanes > 8 ? Pack<T>::lanes : 8;  // sum_outer_products takes up to 8 rows at once
  return (static_cast<int>(width) + lanes - 1) / lanes * lanes;
}

template <typename T, class W>
TokenRows<T> take_rows(W width, Arena<T>& arena) {
  return {arena.take(width.value), arena.take(width.value), arena.take(width.value)};
}

/// Token t, where its rows are if they need no padding.
template <typename T, class W>
Token<T> load_token(W width, const LaneShape& shape, const LaneInputs<T>& x, int64_t t, const TokenRows<T>& rows) {
  const int64_t at = t * shape.row, gate = t * shape.gate_row;
  if constexpr (W::constant > 0) {
    return {x.q + at, x.k + at, x.v + at, x.input_gate[gate], x.log_forget[gate]};
  } else {
    copy_in(width, shape.width, x.q + at, rows.q);
    copy_in(width, shape.width, x.k + at, rows.k);
    copy_in(width, shape.width, x.v + at, rows.v);
    return {rows.q, rows.k, rows.v, x.input_gate[gate], x.log_forget[gate]};
  }
}

/// Asks for a row's cache lines, which come while other work is done.
template <typename T>
ORTHOREAD_INLINE void prefetch(const T* row, int64_t count) {
  constexpr int64_t line = 64 / sizeof(T);
  for (int64_t i = 0; i < count + line; i += line) __builtin_prefetch(row + i);
}
template <typename T>
ORTHOREAD_INLINE void prefetch_token(const LaneShape& shape, const LaneInputs<T>& x, int64_t t) {
  const int64_t at = t * shape.row, gate = t * shape.gate_row;
  for (const T* rows : {x.q, x.k, x.v}) prefetch(rows + at, shape.width);
  prefetch(x.input_gate + gate, 1);
  prefetch(x.log_forget + gate, 1);
}

template <typename T, class W>
Memory<T> take_memory(W width, const LanePlan<T>& plan, Arena<T>& arena) {
  const int64_t d = width.value;
  Memory<T> memory;
  memory.C = arena.take(d * d);
  memory.A = plan.orthogonalized ? arena.take(d * d) : nullptr;
  memory.n = arena.take(d);
  memory.w = arena.take(d);
  return memory;
}

template <typename T, class W>
void start_memory(W width, const LanePlan<T>& plan, Memory<T>& memory) {
  for (int i = 0; i < width.value; ++i) zero(width, memory.C + i * width.value);
  zero(width, memory.n);
  memory.m = plan.orthogonalized ? T(0) : T(-__builtin_inf());
  memory.current = false;
  zero(width, memory.w);
}

/// A checkpoint is C, n and m.
template <typename T, class W>
void save(W width, const Memory<T>& memory, T* to) {
  const int64_t d = width.value;
  for (int64_t c = 0; c < d * d; ++c) to[c] = memory.C[c];
  for (int64_t c = 0; c < d; ++c) to[d * d + c] = memory.n[c];
  to[d * d + d] = memory.m;
}
template <typename T, class W>
void restore(W width, const T* from, Memory<T>& memory) {
  const int64_t d = width.value;
  for (int64_t c = 0; c < d * d; ++c) memory.C[c] = from[c];
  for (int64_t c = 0; c < d; ++c) memory.n[c] = from[d * d + c];
  memory.m = from[d * d + d];
  memory.current = false;
}
constexpr int64_t checkpoint_numbers(int64_t d) { return d * d + d + 1; }

/// Behind the checkpoints stands, for each token that was read, what Leading holds.
constexpr int64_t leading_numbers(int64_t d) { return 2 * d + 2; }

template <typename T, class W>
void save(W width, const Leading<T>& leading, T* to) {
  const int64_t d = width.value;
  to[2 * d] = leading.mu;
  to[2 * d + 1] = T(leading.rung);
  if (!(leading.mu > T(0))) return;
  copy_out(width, d, leading.w, to);
  copy_out(width, d, leading.y, to + d);
}
template <typename T>
Leading<T> leading_at(int64_t d, const T* from) {
  return {static_cast<int>(value_of(from[2 * d + 1])), from[2 * d], from, from + d};
}

template <typename T>
const T* leading_of(int d, const LaneShape& shape, const T* checkpoints) {
  return checkpoints + (shape.tokens + chunk_tokens(d) - 1) / chunk_tokens(d) * checkpoint_numbers(d);
}
template <typename T>
int64_t series_terms(int d, const LanePlan<T>& plan, const LaneShape& shape, const T* checkpoints) {
  int64_t total = 0;
  const T* leading = leading_of(d, shape, checkpoints);
  for (int64_t t = 0; t < shape.tokens; ++t)
    total += plan.ladder[leading_at(d, leading + t * leading_numbers(d)).rung].terms;
  return total;
}

template <typename T>
struct Denominator {
  T qn, floor, value;
};
template <typename T, class W>
Denominator<T> denominator(W width, const Token<T>& token, const Memory<T>& memory) {
  const T qn = static_cast<T>(wide_dot<T>(width, token.q, memory.n)), floor = exp(-memory.m);  // often nearly 0
  return {qn, floor, maximum(abs(qn), floor) + T(kMemoryEps)};
}

/// Is A_t needed? For a token that is read, yes. A that is current is also carried to the next such token if that is at
/// most d/4 away: carrying costs about four passes over a matrix, making C^T C afresh costs d. `end` is the end of t's
/// chunk, where A is made afresh anyway.
inline bool gram_needed(const uint8_t* wanted, bool current, int64_t t, int64_t end, int width) {
  if (wanted == nullptr || wanted[t]) return true;
  if (!current) return false;
  const int64_t stop = t + width / 4 < end ? t + width / 4 : end - 1;
  for (int64_t i = t + 1; i <= stop; ++i)
    if (wanted[i]) return true;
  return false;
}

/// The tokens of `shape` through the memory; `position` is how many it has seen. Checkpoints, if any, are one a chunk.
template <typename T, class W>
void run(W width, const LanePlan<T>& plan, const LaneShape& shape, const LaneInputs<T>& x, T* h, T* checkpoints,
         Memory<T>& memory, int64_t position, Arena<T> arena) {
  const int d = width.value, chunk = chunk_tokens(d);
  const TokenRows<T> rows = take_rows(width, arena);
  Change<T> change{arena.take(d), arena.take(d), arena.take(d), arena.take(d), arena.take(d), T(0), T(0), T(0)};
  T *y = arena.take(d), *r = arena.take(d), *rest = arena.take(d * d), *b = arena.take(0);  // b: to the scratch's end
  T* leading_to = checkpoints ? checkpoints + (shape.tokens + chunk - 1) / chunk * checkpoint_numbers(d) : nullptr;
  for (int64_t t = 0; t < shape.tokens; ++t) {
    if ((position + t) % chunk == 0) {
      memory.current = false;
      if (checkpoints) save(width, memory, checkpoints + t / chunk * checkpoint_numbers(d));
    }
    const int64_t end = t + chunk - (position + t) % chunk;
    const Token<T> token = load_token(width, shape, x, t, rows);
    const bool needed =
        plan.orthogonalized && gram_needed(x.wanted, memory.current, t, end < shape.tokens ? end : shape.tokens, d);
    const Gram gram = !needed ? Gram::none : plan.gram ? Gram::measured : Gram::carried;
    prefetch_token(shape, x, t + 1 < shape.tokens ? t + 1 : t);
    write_token(width, plan, token, gram, memory, memory, change);

    if (x.wanted && !x.wanted[t]) {
      zero(width, r);
    } else {
      const T over = T(1) / denominator(width, token, memory).value;
      if (plan.orthogonalized) {
        Scaling<T> s = scaling(memory);
        scale(width, T(1) / sqrt(s.rho2), change.y, y);
        const Moments of = moments(width, plan, memory, s.rho2);
        T *a = b, *rest_of_q = b + d;
        SplitQuery<T> split{};
        bool apart = plan.gram && !s.clamped && find_leading(width, plan, memory, of, s.rho2, y, memory.w, b);
        if (apart) {
          split = split_query<T>(width, memory.C, memory.w, s.rho2, token.q, a, rest_of_q);
          set_series(plan, static_cast<T>(split.mu), rung_for(plan, of.bound(value_of(split.mu))), s);
          apart = is_beyond(split.mu, s.series);
        }
        if (apart) {
          rest_of_y<T>(width, memory.C, memory.w, s.rho2, rest_of_q, y);
          sum_series_apart(width, plan, s, memory.A, memory.w, y, static_cast<T>(split.eta), rest, b);
        } else {
          set_series(plan, T(0), plan.gram ? rung_for(plan, of.bound(0)) : 0, s);
          sum_series(width, s, memory.A, y, b);
        }
        if (leading_to) save<T>(width, {s.rung, s.leading, memory.w, y}, leading_to + t * leading_numbers(d));
        combine(width, plan.alpha * over, b, (T(1) - plan.alpha) * over, change.y, r);
      } else {
        scale(width, over, change.y, r);
      }
    }
    copy_out(width, shape.width, r, h + t * shape.row);
  }
}

template <typename T, class W>
void forward(W width, const LanePlan<T>& plan, const LaneShape& shape, const LaneInputs<T>& x, T* h, T* checkpoints,
             T* scratch) {
  Arena<T> arena(scratch);
  Memory<T> memory = take_memory(width, plan, arena);
  start_memory(width, plan, memory);
  run(width, plan, shape, x, h, checkpoints, memory, 0, arena);
}

/// state: a checkpoint and what is carried beside it, A, trace, cube, their doubts, whether they are current, and w.
template <typename T, class W>
void stream(W width, const LanePlan<T>& plan, const LaneShape& shape, const LaneInputs<T>& x, T* h, T* state,
            int64_t position, T* scratch) {
  const int64_t d = width.value;
  Arena<T> arena(scratch);
  Memory<T> memory = take_memory(width, plan, arena);
  T *A = state + checkpoint_numbers(d), *carried = A + d * d;
  if (position == 0) {
    start_memory(width, plan, memory);
  } else {
    restore(width, state, memory);
    for (int64_t c = 0; plan.orthogonalized && c < d * d; ++c) memory.A[c] = A[c];
    memory.trace = carried[0];
    memory.cube = carried[1];
    memory.doubt = carried[2];
    memory.cube_doubt = carried[3];
    memory.current = carried[4] > T(0);
    copy_in(width, d, static_cast<const T*>(carried + 5), memory.w);
  }
  run<T>(width, plan, shape, x, h, nullptr, memory, position, arena);
  save(width, memory, state);
  for (int64_t c = 0; plan.orthogonalized && c < d * d; ++c) A[c] = memory.A[c];
  carried[0] = memory.trace;
  carried[1] = memory.cube;
  carried[2] = memory.doubt;
  carried[3] = memory.cube_doubt;
  carried[4] = T(memory.current ? 1 : 0);
  copy_out(width, d, memory.w, carried + 5);
}

constexpr int64_t state_numbers(int64_t d) { return checkpoint_numbers(d) + d * d + 5 + d; }

/// C, A, A', n, w; q, k, v, u, y, p, A p, A v, the scaled y, r; and the rows of b.
template <typename T>
int64_t forward_scratch(int64_t d, int terms) {
  const int64_t rows = terms + 1 > 3 ? terms + 1 : 3;  // find_leading takes three
  return Arena<T>::size(3 * d * d + 12 * d + rows * d, 16);
}

}  // namespace orthoread::ORTHOREAD_ISA
