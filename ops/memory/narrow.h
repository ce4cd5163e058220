// A narrow head: each lane of a register is one token.
//
// A row of a matrix with d below 16 leaves most of a register empty, and the series of read.h is a chain of short
// products that wait for one another. But once the memories C_t of a few tokens are there, their reads are independent
// of each other. So each lane computes the read of one token: all matrices are d x d packs, all arithmetic is lane by
// lane, and no bit of a token depends on its neighbours. O(d^3) a token is cheap at this width, hence the read is
// computed as it is defined, by k steps of Newton-Schulz:
//   X_0 = C / rho, rho = max(|C|_F, eps),   G_j = X_j^T X_j,   X_{j+1} = 3/2 X_j - 1/2 X_j G_j,
// where the last step is taken for the vector alone, with X = X_{k-1}:
//   r = X_k^T q = 3/2 p - 1/2 X^T s,   p = X^T q,   s = X p.
//
// The normaliser n is one more column of C: (C_t | n_t) = f' (C_{t-1} | n_{t-1}) + i' k_t (v_t^T | 1). The gates and
// the products k_t (v_t^T | 1) are computed lane by lane, too; then each number of (C | n) goes through the tokens one
// after the other. That is the only thing that is not done for several tokens at once.
//
// Tokens come in chunks. All that concerns a chunk lies in rows of kNarrowChunk numbers, one for each token. If some of
// the tokens are not read, the lanes take those that are.
#pragma once

#include "ops/memory/forward.h"
#include "ops/simd/math.h"

namespace orthoread::ORTHOREAD_ISA {

/// Tokens between checkpoints.
inline constexpr int kNarrowChunk = 32;
/// A row of (C | n) begins with the number before the first token, at kBefore - 1.
inline constexpr int kBefore = 16, kStateRow = kBefore + kNarrowChunk;

/// Wider heads are faster token by token, with any instruction set. Where the read takes no step, already those of 8
/// are: their rows fill registers.
template <typename T>
int64_t widest_narrow(const ReadPlan<T>& plan) {
  return plan.gram ? 10 : 7;
}

/// (C | n), row-major, and m between two tokens: in a checkpoint, in a stream.
template <typename N>
struct NarrowState {
  N *C, *m;

  NarrowState(int64_t d, Scratch<N>& numbers) : C(numbers.take(d * (d + 1))), m(numbers.take(1)) {}
};

template <typename T, typename N>
void copy_state(int64_t d, const NarrowState<T>& from, const NarrowState<N>& to) {
  copy_numbers(d * (d + 1), from.C, to.C);
  *to.m = static_cast<N>(*from.m);
}

/// Rows of the tokens of a chunk.
template <typename T>
struct NarrowTokens {
  T *q, *k, *v;              // d rows each; v has one more, of ones
  T *input_gate, *kept, *m;  // kept = lf + m_{t-1}
  T *forget, *input;         // f' and i'
  T* C;                      // d (d + 1) rows of kStateRow: (C | n) after each token

  NarrowTokens(int64_t d, Scratch<T>& scratch) {
    for (T** rows : {&q, &k}) *rows = scratch.take(d * kNarrowChunk);
    v = scratch.take((d + 1) * kNarrowChunk);
    for (T** row : {&input_gate, &kept, &m, &forget, &input}) *row = scratch.take(kNarrowChunk);
    C = scratch.take(d * (d + 1) * kStateRow);
  }
};

constexpr int whole_packs(int count, int lanes) { return (count + lanes - 1) / lanes * lanes; }

/// `count` rows of width numbers at `from` into columns of `to`, the columns up to a whole pack zero.
template <typename T>
void load_columns(int width, const T* from, int64_t stride, int count, T* to) {
  const int end = whole_packs(count, Pack<T>::lanes);
  for (int t = 0; t < count; ++t, from += stride)
    for (int j = 0; j < width; ++j) to[j * kNarrowChunk + t] = from[j];
  for (int j = 0; j < width; ++j)
    for (int t = count; t < end; ++t) to[j * kNarrowChunk + t] = T(0);
}
template <typename T>
void store_columns(int width, const T* from, int64_t stride, int count, T* to) {
  for (int t = 0; t < count; ++t, to += stride)
    for (int j = 0; j < width; ++j) to[j] = from[j * kNarrowChunk + t];
}

/// exp, and 0 where it underflows.
template <typename T>
ORTHOREAD_INLINE Pack<T> gate_exp(Pack<T> x) {
  const Pack<T> y = exp(x);
  if constexpr (!std::same_as<T, float>) return y;
  return {x.v < splat(T(-87)).v ? Pack<T>{}.v : y.v};
}

/// Calls body<rows>(row) for all `count` rows, an even number of them. A number waits for that of the token before, so
/// several rows go through the tokens together.
template <class Body>
ORTHOREAD_INLINE void each_rows(int count, const Body& body) {
  int row = 0;
  for (; row + 8 <= count; row += 8) body.template operator()<8>(row);
  for (; row < count; row += 2) body.template operator()<2>(row);
}

/// Loads tokens `start` to `start` + count - 1 and writes them into the memory `state`.
template <typename T>
void write_tokens(const HeadShape& shape, const HeadInputs<T>& x, int64_t start, int count, const NarrowState<T>& state,
                  const NarrowTokens<T>& tokens) {
  constexpr int lanes = Pack<T>::lanes;
  const int d = static_cast<int>(shape.width), end = whole_packs(count, lanes);
  const int64_t at = start * shape.row_stride, gate_at = start * shape.gate_stride;
  load_columns(d, x.q + at, shape.row_stride, count, tokens.q);
  load_columns(d, x.k + at, shape.row_stride, count, tokens.k);
  load_columns(d, x.v + at, shape.row_stride, count, tokens.v);
  for (int t = 0; t < end; ++t) tokens.v[d * kNarrowChunk + t] = T(1);

  T m = *state.m;
  for (int t = 0; t < end; ++t) {
    const bool there = t < count;  // columns past the last token leave m as it is, and all is finite
    const T input_gate = there ? x.input_gate[gate_at + t * shape.gate_stride] : m;
    const T kept = there ? x.log_forget[gate_at + t * shape.gate_stride] + m : m;
    tokens.input_gate[t] = input_gate;
    tokens.kept[t] = kept;
    if (there) m = maximum(kept, input_gate);
    tokens.m[t] = m;
  }
  *state.m = m;

  for (int t = 0; t < end; t += lanes) {
    const Pack<T> m_t = load(tokens.m + t);
    const Pack<T> input = gate_exp(load(tokens.input_gate + t) - m_t);
    store(tokens.forget + t, gate_exp(load(tokens.kept + t) - m_t));
    store(tokens.input + t, input);
    T* to = tokens.C + kBefore + t;
    for (int a = 0; a < d; ++a) {
      const Pack<T> ik = input * load(tokens.k + a * kNarrowChunk + t);
      for (int b = 0; b <= d; ++b, to += kStateRow) store(to, ik * load(tokens.v + b * kNarrowChunk + t));
    }
  }
  each_rows(d * (d + 1), [&]<int rows>(int e) {
    T *row = tokens.C + e * kStateRow + kBefore, c[rows];
    ORTHOREAD_UNROLL for (int r = 0; r < rows; ++r) row[r * kStateRow - 1] = c[r] = state.C[e + r];
    for (int t = 0; t < count; ++t) {
      const T forget = tokens.forget[t];
      ORTHOREAD_UNROLL for (int r = 0; r < rows; ++r) {
        T& number = row[r * kStateRow + t];
        number = c[r] = forget * c[r] + number;
      }
    }
    ORTHOREAD_UNROLL for (int r = 0; r < rows; ++r) state.C[e + r] = c[r];
  });
}

/// The tokens of a chunk that are read together, a lane each.
template <typename T>
struct Lanes {
  int at[Pack<T>::lanes];  // columns of the chunk
  int count;
  bool neighbours;  // at[l] = at[0] + l, for lanes past `count`, too

  ORTHOREAD_INLINE Pack<T> from(const T* row) const {
    if (neighbours) return load(row + at[0]);
    T numbers[Pack<T>::lanes];
    for (int l = 0; l < Pack<T>::lanes; ++l) numbers[l] = row[at[l]];
    return load(numbers);
  }
  ORTHOREAD_INLINE void to(T* row, Pack<T> x) const {
    if (neighbours) return store(row + at[0], x);
    T numbers[Pack<T>::lanes];
    store(numbers, x);
    for (int l = 0; l < count; ++l) row[at[l]] = numbers[l];
  }
};

/// Calls body(lanes) until each token that is read had its lane.
template <typename T, class Body>
void each_lanes(const HeadInputs<T>& x, int64_t start, int count, const Body& body) {
  constexpr int most = Pack<T>::lanes;
  int read[kNarrowChunk], reads = 0;
  for (int t = 0; t < count; ++t)
    if (x.reads(start + t)) read[reads++] = t;
  for (int first = 0; first < reads; first += most) {
    Lanes<T> lanes{{}, reads - first < most ? reads - first : most, reads == count};
    for (int l = 0; l < most; ++l) lanes.at[l] = read[l < lanes.count ? first + l : first];
    body(lanes);
  }
}

/// A left factor: x or its transpose, d x d packs. Its rows and its columns begin so many numbers apart.
template <typename T>
struct LaneFactor {
  const T* x;
  int row, column;
};
template <typename T>
LaneFactor<T> plain(const T* x, int d) {
  return {.x = x, .row = d * Pack<T>::lanes, .column = Pack<T>::lanes};
}
template <typename T>
LaneFactor<T> transposed(const T* x, int d) {
  return {.x = x, .row = Pack<T>::lanes, .column = d * Pack<T>::lanes};
}

/// c = a b, or c = 3/2 e - 1/2 (the sum of one or two products a b). All matrices are d x d packs; b, c and e are
/// row-major.
template <typename T>
struct LaneProduct {
  int d, products = 1;
  LaneFactor<T> a[2];
  const T* b[2];
  const T* e = nullptr;
  T* c;
  bool symmetric = false;  // c is: only one half has to be computed
};

template <int rows, int columns, typename T>
void multiply_tile(const LaneProduct<T>& x, int i, int j) {
  constexpr int lanes = Pack<T>::lanes;
  const int row = x.d * lanes, at = i * row + j * lanes;
  Pack<T> total[rows][columns] = {};
  for (int n = 0; n < x.products; ++n) {
    const int a_row = x.a[n].row, a_column = x.a[n].column;
    const T *a = x.a[n].x + i * a_row, *b = x.b[n] + j * lanes;
    for (int l = 0; l < x.d; ++l, a += a_column, b += row) {
      Pack<T> of_b[columns];
      ORTHOREAD_UNROLL for (int s = 0; s < columns; ++s) of_b[s] = in_register(load(b + s * lanes));
      ORTHOREAD_UNROLL for (int r = 0; r < rows; ++r) {
        const Pack<T> of_a = in_register(load(a + r * a_row));
        ORTHOREAD_UNROLL for (int s = 0; s < columns; ++s) total[r][s] = fma(of_a, of_b[s], total[r][s]);
      }
    }
  }
  ORTHOREAD_UNROLL for (int r = 0; r < rows; ++r) {
    ORTHOREAD_UNROLL for (int s = 0; s < columns; ++s) {
      Pack<T> y = total[r][s];
      if (x.e != nullptr) y = fma(splat(T(-0.5)), y, splat(T(1.5)) * load(x.e + at + r * row + s * lanes));
      store(x.c + at + r * row + s * lanes, y);
      if (x.symmetric) store(x.c + (j + s) * row + (i + r) * lanes, y);
    }
  }
}

/// The tile of this size, of the sizes that are compiled.
template <int most_rows, int most_columns, typename T>
void multiply_tile(const LaneProduct<T>& x, int i, int j, int rows, int columns) {
  if constexpr (most_rows > 1)
    if (rows < most_rows) return multiply_tile<most_rows - 1, most_columns>(x, i, j, rows, columns);
  if constexpr (most_columns > 1)
    if (columns < most_columns) return multiply_tile<most_rows, most_columns - 1>(x, i, j, rows, columns);
  multiply_tile<most_rows, most_columns>(x, i, j);
}

/// The next of the parts, none longer than `most` and all about as long, into which d numbers are divided.
constexpr int part_of(int left, int most) {
  const int parts = (left + most - 1) / most;
  return (left + parts - 1) / parts;
}

template <typename T>
void multiply(const LaneProduct<T>& x) {
  constexpr int most_rows = kRegisters == 32 ? 4 : 2, most_columns = 4;
  for (int i = 0, rows = 0; i < x.d; i += rows) {
    rows = part_of(x.d - i, most_rows);
    for (int j = 0, columns = 0; j < x.d; j += columns) {
      columns = part_of(x.d - j, most_columns);
      if (x.symmetric && j + columns <= i) continue;
      multiply_tile<most_rows, most_columns>(x, i, j, rows, columns);
    }
  }
}

/// y = X^T x and y = X x, where y is none of the factors; each number goes through finish(j, sum).
template <typename T, class Finish>
ORTHOREAD_INLINE void transposed_times(int d, const T* X, const T* x, const Finish& finish) {
  constexpr int lanes = Pack<T>::lanes;
  for (int j = 0; j < d; ++j) {
    Pack<T> sum = {};
    for (int i = 0; i < d; ++i) sum = fma(load(X + (i * d + j) * lanes), load(x + i * lanes), sum);
    finish(j * lanes, sum);
  }
}
template <typename T, class Finish>
ORTHOREAD_INLINE void times(int d, const T* X, const T* x, const Finish& finish) {
  constexpr int lanes = Pack<T>::lanes;
  for (int i = 0; i < d; ++i) {
    Pack<T> sum = {};
    for (int j = 0; j < d; ++j) sum = fma(load(X + (i * d + j) * lanes), load(x + j * lanes), sum);
    finish(i * lanes, sum);
  }
}

/// The vectors and matrices of a read, of packs: C, n, X_0 to X_{k-1} and G_0 to G_{k-2}, or the last few of them.
template <typename T>
struct NarrowReadRoom {
  int kept;
  T *q, *C, *n, *X, *G, *raw, *p, *s, *r;

  /// The backward needs all X and G.
  NarrowReadRoom(int64_t d, const ReadPlan<T>& plan, For pass, Scratch<T>& scratch)
      : kept(pass == For::backward && plan.steps > 2 ? plan.steps : 2) {
    constexpr int lanes = Pack<T>::lanes;
    const int64_t matrix = d * d * lanes;
    C = scratch.take(matrix);
    X = scratch.take(kept * matrix);
    G = scratch.take(kept * matrix);
    for (T** vector : {&q, &n, &raw, &p, &s, &r}) *vector = scratch.take(d * lanes);
  }
  T* of_step(T* matrices, int step, int d) const { return matrices + step % kept * d * d * Pack<T>::lanes; }
};

/// What the lanes of a read have beside vectors and matrices.
template <typename T>
struct NarrowRead {
  Pack<T> over_rho, clamped;  // 1 / rho; 1 where |C|_F < eps, else 0
  Pack<T> qn, floor, over;    // 1 / (max(|q.n|, floor) + eps)
};

template <typename T>
ORTHOREAD_INLINE Pack<T> magnitude(Pack<T> x) {
  return {x.v < Pack<T>{}.v ? (Pack<T>{} - x).v : x.v};
}

/// Loads the lanes' tokens and reads them: h = over r. Without the reverse ahead, X and G are overwritten.
template <typename T>
NarrowRead<T> read_lanes(const ReadPlan<T>& plan, int d, const NarrowTokens<T>& tokens, const Lanes<T>& at,
                         const NarrowReadRoom<T>& room) {
  constexpr int lanes = Pack<T>::lanes;
  const Pack<T> one = splat(T(1)), none = {};
  NarrowRead<T> read{one, none, none, none, none};
  WideSum<T> qn;
  Pack<T> square = {};
  for (int a = 0; a < d; ++a) {
    const Pack<T> q = at.from(tokens.q + a * kNarrowChunk);
    const T* row = tokens.C + a * (d + 1) * kStateRow + kBefore;
    store(room.q + a * lanes, q);
    Pack<T> of_row = {};
    for (int b = 0; b < d; ++b) {
      const Pack<T> c = at.from(row + b * kStateRow);
      store(room.C + (a * d + b) * lanes, c);
      of_row = fma(c, c, of_row);
    }
    square = square + of_row;
    const Pack<T> n = at.from(row + d * kStateRow);
    store(room.n + a * lanes, n);
    qn.add_product(q, n);
  }
  read.qn = qn.lanes();
  read.floor = exp(none - at.from(tokens.m));
  const Pack<T> size = magnitude(read.qn);
  read.over = one / (Pack<T>{size.v < read.floor.v ? read.floor.v : size.v} + splat(T(kMemoryEps)));

  transposed_times(d, room.C, room.q, [&](int j, Pack<T> y) { store(room.raw + j, y); });
  if (!plan.orthogonalized) {
    for (int j = 0; j < d * lanes; j += lanes) store(room.r + j, load(room.raw + j));
    return read;
  }
  const Pack<T> norm = sqrt(square), eps = splat(T(kMemoryEps));
  read.clamped = {norm.v < eps.v ? one.v : none.v};
  read.over_rho = one / Pack<T>{norm.v < eps.v ? eps.v : norm.v};
  for (int e = 0; e < d * d * lanes; e += lanes) store(room.X + e, read.over_rho * load(room.C + e));
  for (int step = 0; step < plan.steps - 1; ++step) {
    const T* X = room.of_step(room.X, step, d);
    T* G = room.of_step(room.G, step, d);
    T* next = room.of_step(room.X, step + 1, d);
    multiply<T>({.d = d, .a = {transposed(X, d)}, .b = {X}, .c = G, .symmetric = true});
    multiply<T>({.d = d, .a = {plain(X, d)}, .b = {G}, .e = X, .c = next});
  }
  const T* X = room.of_step(room.X, plan.steps > 0 ? plan.steps - 1 : 0, d);
  transposed_times(d, X, room.q, [&](int j, Pack<T> y) { store(room.p + j, y); });
  const Pack<T> alpha = splat(plan.alpha), rest = splat(T(1) - plan.alpha);
  const auto blend = [&](int j, Pack<T> y) { store(room.r + j, fma(alpha, y, rest * load(room.raw + j))); };
  if (plan.steps == 0) {
    for (int j = 0; j < d * lanes; j += lanes) blend(j, load(room.p + j));
    return read;
  }
  times(d, X, room.p, [&](int i, Pack<T> y) { store(room.s + i, y); });
  transposed_times(d, X, room.s,
                   [&](int j, Pack<T> y) { blend(j, fma(splat(T(-0.5)), y, splat(T(1.5)) * load(room.p + j))); });
  return read;
}

/// The arrays that a forward works in.
template <typename T>
struct NarrowForwardRoom {
  NarrowState<T> state;
  NarrowTokens<T> tokens;
  NarrowReadRoom<T> read;
  T* h;  // d rows

  NarrowForwardRoom(int64_t d, const ReadPlan<T>& plan, Scratch<T>& scratch)
      : state(d, scratch),
        tokens(d, scratch),
        read(d, plan, For::forward, scratch),
        h(scratch.take(d * kNarrowChunk)) {}
};

template <typename T>
void start_state(int64_t d, const ReadPlan<T>& plan, const NarrowState<T>& state) {
  for (int64_t e = 0; e < d * (d + 1); ++e) state.C[e] = T(0);
  *state.m = plan.orthogonalized ? T(0) : T(-__builtin_inf());
}

/// The state before the first token of a chunk.
template <typename T>
NarrowState<T> narrow_checkpoint(int64_t d, int64_t chunk, T* checkpoints) {
  auto numbers = Scratch<T>::packed(checkpoints + chunk * measure<NarrowState<T>>(Scratch<T>::packed(), d));
  return NarrowState<T>(d, numbers);
}
template <typename T>
int64_t narrow_checkpoint_size(const HeadShape& shape) {
  const int64_t chunks = (shape.tokens + kNarrowChunk - 1) / kNarrowChunk;
  return chunks * measure<NarrowState<T>>(Scratch<T>::packed(), shape.width);
}

/// The tokens of `shape` through room.state. Checkpoints may be null.
template <typename T>
void run_narrow(const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x,
                const NarrowForwardRoom<T>& room, T* h, T* checkpoints) {
  const int d = static_cast<int>(shape.width);
  for (int64_t start = 0; start < shape.tokens; start += kNarrowChunk) {
    const int count = static_cast<int>(shape.tokens - start < kNarrowChunk ? shape.tokens - start : kNarrowChunk);
    if (checkpoints) copy_state(d, room.state, narrow_checkpoint(d, start / kNarrowChunk, checkpoints));
    write_tokens(shape, x, start, count, room.state, room.tokens);
    if (x.read_mask != nullptr)
      for (int e = 0; e < d * kNarrowChunk; ++e) room.h[e] = T(0);
    each_lanes(x, start, count, [&](const Lanes<T>& at) {
      const NarrowRead<T> read = read_lanes(plan, d, room.tokens, at, room.read);
      for (int j = 0; j < d; ++j) at.to(room.h + j * kNarrowChunk, read.over * load(room.read.r + j * Pack<T>::lanes));
    });
    store_columns(d, room.h, shape.row_stride, count, h + start * shape.row_stride);
  }
}

template <typename T>
void narrow_forward(const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x,
                    const ForwardBuffers<T>& to) {
  Scratch<T> scratch(to.scratch);
  const NarrowForwardRoom<T> room(shape.width, plan, scratch);
  start_state(shape.width, plan, room.state);
  run_narrow(plan, shape, x, room, to.h, to.checkpoints);
}

template <typename T>
void narrow_stream(const ReadPlan<T>& plan, const HeadShape& shape, const HeadInputs<T>& x,
                   const StreamBuffers<T>& to) {
  Scratch<T> scratch(to.scratch);
  const NarrowForwardRoom<T> room(shape.width, plan, scratch);
  auto numbers = Scratch<Wide<T>>::packed(to.state);
  const NarrowState<Wide<T>> state(shape.width, numbers);
  if (to.position == 0) {
    start_state(shape.width, plan, room.state);
  } else {
    copy_state(shape.width, state, room.state);
  }
  run_narrow<T>(plan, shape, x, room, to.h, nullptr);
  copy_state(shape.width, room.state, state);
}

}  // namespace orthoread::ORTHOREAD_ISA
