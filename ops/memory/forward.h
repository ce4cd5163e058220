// The forward of a head, in one piece or as a stream, and what it keeps for the backward.
#pragma once

#include "ops/memory/deflated_read.h"

namespace orthoread::ORTHOREAD_ISA {

/// The width of a head's rows in the kernel: whole packs, and at least the 8 rows that sum_outer_products takes at
/// once.
template <typename T>
constexpr int padded_width(int64_t width) {
  constexpr int lanes = Pack<T>::lanes > 8 ? Pack<T>::lanes : 8;
  return (static_cast<int>(width) + lanes - 1) / lanes * lanes;
}

/// Padded copies of one token's rows.
template <typename T>
struct TokenRows {
  T *q, *k, *v;

  TokenRows(int64_t d, Scratch<T>& scratch) : q(scratch.take(d)), k(scratch.take(d)), v(scratch.take(d)) {}
};

/// Token t, where its rows are if they need no padding.
template <typename T, class W>
Token<T> load_token(W width, const HeadShape& shape, const HeadInputs<T>& x, int64_t t, const TokenRows<T>& rows) {
  const int64_t at = t * shape.row_stride, gate = t * shape.gate_stride;
  if constexpr (W::constant > 0) {
    return {x.q + at, x.k + at, x.v + at, x.input_gate[gate], x.log_forget[gate]};
  } else {
    copy_in(width, shape.width, x.q + at, rows.q);
    copy_in(width, shape.width, x.k + at, rows.k);
    copy_in(width, shape.width, x.v + at, rows.v);
    return {rows.q, rows.k, rows.v, x.input_gate[gate], x.log_forget[gate]};
  }
}

/// What the cache lines of a row are wanted for. A line that is to be written has to arrive, too, and no other core may
/// keep it.
enum class Access { read, write };

/// Asks for the cache lines of a row, which arrive while other work is done.
template <Access access, typename T>
ORTHOREAD_INLINE void prefetch(const T* row, int64_t count) {
  constexpr int64_t line = 64 / sizeof(T);
  for (int64_t i = 0; i < count + line; i += line) __builtin_prefetch(row + i, access == Access::write);
}
template <typename T>
ORTHOREAD_INLINE void prefetch_token(const HeadShape& shape, const HeadInputs<T>& x, int64_t t) {
  const int64_t at = t * shape.row_stride, gate = t * shape.gate_stride;
  for (const T* rows : {x.q, x.k, x.v}) prefetch<Access::read>(rows + at, shape.width);
  prefetch<Access::read>(x.input_gate + gate, 1);
  prefetch<Access::read>(x.log_forget + gate, 1);
}

template <typename T, class W>
void start_memory(W width, const ReadPlan<T>& plan, Memory<T>& memory) {
  for (int i = 0; i < width.value; ++i) zero(width, memory.C + i * width.value);
  zero(width, memory.n);
  memory.m = plan.orthogonalized ? T(0) : T(-__builtin_inf());
  memory.current = false;
  zero(width, memory.w);
}

/// Where a checkpoint has its parts.
template <typename N>
struct SavedMemory {
  N *C, *n, *m;

  SavedMemory(int64_t d, Scratch<N>& numbers) : C(numbers.take(d * d)), n(numbers.take(d)), m(numbers.take(1)) {}
};

template <typename N, typename T>
void copy_numbers(int64_t count, const N* from, T* to) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<T>(from[i]);
}

template <typename T, typename N>
void save(int64_t d, const Memory<T>& memory, const SavedMemory<N>& to) {
  copy_numbers(d * d, memory.C, to.C);
  copy_numbers(d, memory.n, to.n);
  *to.m = static_cast<N>(memory.m);
}
template <typename T, typename N>
void restore(int64_t d, const SavedMemory<N>& from, Memory<T>& memory) {
  copy_numbers(d * d, from.C, memory.C);
  copy_numbers(d, from.n, memory.n);
  memory.m = static_cast<T>(*from.m);
  memory.current = false;
}

/// Where the forward leaves what the backward must know of a token's read: mu, w and y', or mu = 0, and the interval of
/// the series.
template <typename T>
struct SavedRead {
  T *w, *y, *mu, *interval;

  SavedRead(int64_t d, Scratch<T>& numbers)
      : w(numbers.take(d)), y(numbers.take(d)), mu(numbers.take(1)), interval(numbers.take(1)) {}
};

template <typename T, class W>
void save(W width, const Scaling<T>& s, const T* w, const T* y, const SavedRead<T>& to) {
  *to.mu = s.mu;
  *to.interval = T(s.interval);
  if (!(s.mu > T(0))) return;
  scale(width, T(1), w, to.w);
  scale(width, T(1), y, to.y);
}
template <typename T>
int interval_of(const SavedRead<const T>& read) {
  return static_cast<int>(value_of(*read.interval));
}

/// What a head's forward leaves for its backward, where T is const: the memory at the start of each chunk and, if reads
/// are orthogonalized, what was chosen for each. `numbers` is null where nothing is kept.
template <typename T>
class Checkpoints {
 public:
  Checkpoints(int d, int chunk, const HeadShape& shape, bool orthogonalized, T* numbers)
      : d_(d), chunk_(chunk), numbers_(numbers) {
    memory_size_ = measure<SavedMemory<T>>(Scratch<T>::packed(), d);
    read_size_ = orthogonalized ? measure<SavedRead<T>>(Scratch<T>::packed(), d) : 0;
    reads_at_ = (shape.tokens + chunk - 1) / chunk * memory_size_;
    size_ = reads_at_ + shape.tokens * read_size_;
  }
  int64_t size() const { return size_; }
  int64_t read_size() const { return read_size_; }
  int chunk() const { return chunk_; }
  /// Whether they are kept.
  explicit operator bool() const { return numbers_ != nullptr; }

  SavedMemory<T> memory(int64_t chunk) const {
    Scratch<T> numbers = Scratch<T>::packed(numbers_ + chunk * memory_size_);
    return {d_, numbers};
  }
  /// To be looked at only where reads are orthogonalized.
  SavedRead<T> read(int64_t token) const {
    Scratch<T> numbers = Scratch<T>::packed(numbers_ + reads_at_ + token * read_size_);
    return {d_, numbers};
  }

 private:
  int64_t d_;
  int chunk_;
  T* numbers_;
  int64_t memory_size_, read_size_, reads_at_, size_;
};

template <typename T>
int64_t series_terms(const ReadPlan<T>& plan, const HeadShape& shape, const Checkpoints<const T>& checkpoints) {
  int64_t total = 0;
  for (int64_t t = 0; t < shape.tokens; ++t) total += plan.series[interval_of<T>(checkpoints.read(t))].terms;
  return total;
}

template <typename T>
struct Denominator {
  T qn, floor, value;
};
template <typename T, class W>
Denominator<T> denominator(W width, const T* q, const T* n, T m) {
  const T qn = static_cast<T>(wide_dot<T>(width, q, n)), floor = exp(-m);  // q.n is often nearly 0
  return {qn, floor, maximum(abs(qn), floor) + T(kMemoryEps)};
}
template <typename T, class W>
Denominator<T> denominator(W width, const Token<T>& token, const Memory<T>& memory) {
  return denominator<T>(width, token.q, memory.n, memory.m);
}

/// Whether A_t is needed: where token t is read, yes. A current A is also carried to the next token that is read, if
/// that is at most d/4 tokens away: carrying costs about four passes over a matrix, and C^T C with its traces d or
/// more. `end` is the end of t's chunk, where A is computed afresh anyway.
template <typename T>
bool gram_needed(const HeadInputs<T>& x, bool current, int64_t t, int64_t end, int width) {
  if (x.reads(t)) return true;
  if (!current) return false;
  const int64_t stop = t + width / 4 < end ? t + width / 4 : end - 1;
  for (int64_t i = t + 1; i <= stop; ++i)
    if (x.reads(i)) return true;
  return false;
}

/// The arrays that a forward works in. (find_dominant needs three rows of read.b.)
template <typename T>
struct ForwardRoom {
  Memory<T> memory;
  TokenRows<T> token;
  Change<T> change;
  ReadRows<T> read;
  T* r;

  ForwardRoom(int64_t d, const ReadPlan<T>& plan, Scratch<T>& scratch)
      : memory(d, plan.orthogonalized, scratch),
        token(d, scratch),
        change{scratch.take(d), scratch.take(d), scratch.take(d), scratch.take(d), scratch.take(d)},
        read{scratch.take(d), scratch.take(d * d), scratch.take((plan.most_terms > 2 ? plan.most_terms + 1 : 3) * d)},
        r(scratch.take(d)) {}
};

/// h_t into room.r, and what was chosen into `saved` unless it is null.
template <typename T, class W>
void read_memory(W width, const ReadPlan<T>& plan, const Token<T>& token, const ForwardRoom<T>& room,
                 const SavedRead<T>* saved) {
  const Memory<T>& memory = room.memory;
  const ReadRows<T>& rows = room.read;
  const T *raw = room.change.y, over = T(1) / denominator(width, token, memory).value;
  if (!plan.orthogonalized) return scale(width, over, raw, room.r);
  Scaling<T> s = scaling(memory.trace);
  scale(width, T(1) / sqrt(s.rho2), raw, rows.y);
  const PowerTraces traces = power_traces(width, plan, memory, s.rho2);
  if (!deflated_read(width, plan, memory, traces, token.q, s, rows)) {
    set_series(plan, T(0), plan.gram ? interval_for(plan, traces.bound(0)) : 0, s);
    sum_series(width, s, memory.A, rows.y, rows.b);
  }
  if (saved != nullptr) save<T>(width, s, memory.w, rows.y, *saved);
  combine(width, plan.alpha * over, rows.b, (T(1) - plan.alpha) * over, raw, room.r);
}

/// The tokens of `shape` through room.memory, which has seen `position` tokens before.
template <typename T, class W>
void run(W width, const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x, int64_t position,
         ForwardRoom<T>& room, T* h, const Checkpoints<T>& checkpoints) {
  const int d = width.value, chunk = checkpoints.chunk();
  Memory<T>& memory = room.memory;
  for (int64_t t = 0; t < shape.tokens; ++t) {
    if ((position + t) % chunk == 0) {
      memory.current = false;
      if (checkpoints) save(d, memory, checkpoints.memory(t / chunk));
    }
    const int64_t end = t + chunk - (position + t) % chunk;
    const Token<T> token = load_token(width, shape, x, t, room.token);
    const bool needed =
        plan.orthogonalized && gram_needed(x, memory.current, t, end < shape.tokens ? end : shape.tokens, d);
    const Gram gram = !needed ? Gram::none : plan.gram ? Gram::measured : Gram::carried;
    const int64_t next = t + 1 < shape.tokens ? t + 1 : t;
    prefetch_token(shape, x, next);
    prefetch<Access::write>(h + next * shape.row_stride, shape.width);
    write_token(width, plan, token, gram, memory, memory, room.change);

    if (!x.reads(t)) {
      zero(width, room.r);
    } else if (checkpoints && plan.orthogonalized) {
      const SavedRead<T> saved = checkpoints.read(t);
      read_memory(width, plan, token, room, &saved);
    } else {
      read_memory<T>(width, plan, token, room, nullptr);
    }
    copy_out(width, shape.width, room.r, h + t * shape.row_stride);
  }
}

template <typename T, class W>
void forward(W width, const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x,
             const ForwardBuffers<T>& to, const Checkpoints<T>& checkpoints) {
  Scratch<T> scratch(to.scratch);
  ForwardRoom<T> room(width.value, plan, scratch);
  start_memory(width, plan, room.memory);
  run(width, plan, shape, x, 0, room, to.h, checkpoints);
}

/// Where a stream has its memory between tokens: what a checkpoint has and, if reads are orthogonalized, what is
/// carried.
template <typename N>
struct SavedState {
  SavedMemory<N> memory;
  N *A = nullptr, *w = nullptr, *trace = nullptr, *cube = nullptr, *error = nullptr, *cube_error = nullptr,
    *current = nullptr;

  SavedState(int64_t d, bool orthogonalized, Scratch<N>& numbers) : memory(d, numbers) {
    if (!orthogonalized) return;
    A = numbers.take(d * d);
    w = numbers.take(d);
    for (N** number : {&trace, &cube, &error, &cube_error, &current}) *number = numbers.take(1);
  }
};

template <typename T, typename N>
void save(int64_t d, const Memory<T>& memory, const SavedState<N>& to) {
  save(d, memory, to.memory);
  if (to.A == nullptr) return;
  copy_numbers(d * d, memory.A, to.A);
  copy_numbers(d, memory.w, to.w);
  *to.trace = static_cast<N>(memory.trace);
  *to.cube = static_cast<N>(memory.cube);
  *to.error = static_cast<N>(memory.error);
  *to.cube_error = static_cast<N>(memory.cube_error);
  *to.current = N(memory.current ? 1 : 0);
}
template <typename T, typename N>
void restore(int64_t d, const SavedState<N>& from, Memory<T>& memory) {
  restore(d, from.memory, memory);
  if (from.A == nullptr) return;
  copy_numbers(d * d, from.A, memory.A);
  copy_numbers(d, from.w, memory.w);
  memory.trace = static_cast<T>(*from.trace);
  memory.cube = static_cast<T>(*from.cube);
  memory.error = static_cast<T>(*from.error);
  memory.cube_error = static_cast<T>(*from.cube_error);
  memory.current = *from.current > N(0);
}

template <typename T, class W>
void stream(W width, const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x,
            const StreamBuffers<T>& to) {
  Scratch<T> scratch(to.scratch);
  ForwardRoom<T> room(width.value, plan, scratch);
  auto numbers = Scratch<Wide<T>>::packed(to.state);
  const SavedState<Wide<T>> state(width.value, plan.orthogonalized, numbers);
  if (to.position == 0) {
    start_memory(width, plan, room.memory);
  } else {
    restore(width.value, state, room.memory);
  }
  run<T>(width, plan, shape, x, to.position, room, to.h,
         Checkpoints<T>(width.value, kChunkTokens, shape, plan.orthogonalized, nullptr));
  save(width.value, room.memory, state);
}

}  // namespace orthoread::ORTHOREAD_ISA
