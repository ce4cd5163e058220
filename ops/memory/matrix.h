// Passes over one matrix of the memory, width x width and row-major, padded as vector.h says. A sweep reads the matrix
// once, a strip of columns at a time that fits the registers, and each strip row by row.
#pragma once

#include "ops/memory/vector.h"

namespace orthoread::ORTHOREAD_ISA {

/// How many packs of a row a pass takes at once, where each needs `held` registers: the most that divide the row and
/// leave a quarter of the registers for operands.
template <typename T, class W>
constexpr int packs_at_once(int held) {
  const int packs = W::constant / Pack<T>::lanes, room = kRegisters * 3 / 4 / held;
  for (int n = packs < room ? packs : room; n > 1; --n)
    if (packs % n == 0) return n;
  return 1;
}

/// Whether the first-level cache of most processors holds a matrix.
template <typename T, class W>
constexpr bool fits_first_level(W width) {
  constexpr int64_t cache = 0x8000;  // 32 KiB
  return int64_t{sizeof(T)} * width.value * width.value <= cache;
}

/// In which direction one of several passes over the same matrix goes. Where the first-level cache does not hold all of
/// it, every second one goes backwards: it begins with what is still there, as it was read last.
enum class Direction { forwards, backwards };
template <typename T, class W>
constexpr Direction direction_of(W width, int pass) {
  return fits_first_level<T>(width) || pass % 2 == 0 ? Direction::forwards : Direction::backwards;
}

/// In which order a sweep adds up. in_blocks: a few rows at a time, and then these sums: where many terms have one
/// sign, as with keys that are alike, the rounding error of a sum grows with its length. straight: row by row.
enum class Summation { in_blocks, straight };

/// One pass over a matrix. For each entry, that is a pack at (i, column) with `at` its offset,
/// entry(at, s, v, side) sees
///   s[0] ... s[S-1]  number i of each of `by_row`, in all lanes,
///   v[0] ... v[V-1]  the packs at `column` of each of `by_column`,
///   side             a sum it may add to; the total over the matrix is returned, Wide because it may cancel;
/// it may change the matrix at `at`, and returns the pack m that takes part in the sums of weighted rows,
///   y_r = sum_i by_row[r][i] m_i for r < R: with m the matrix itself, its transpose times by_row[r],
/// which finish(r, column, y) takes.
///
/// A multiply-add takes four cycles, and one (two, of the narrower registers) starts in each. Where R and the packs
/// give too few independent sums to fill them, even and odd rows, or four kinds of row, are summed separately. With
/// as_if > R a y_r has the bits that it has in a sweep of so many. Sums that go backwards have other bits than those
/// that go forwards.
template <int R, typename T, Summation summation = Summation::in_blocks, int as_if = R, int S, int V, class W,
          class Entry, class Finish>
ORTHOREAD_INLINE Wide<T> sweep(W width, const T* const (&by_row)[S], const T* const (&by_column)[V], const Entry& entry,
                               const Finish& finish, Direction direction = Direction::forwards) {
  constexpr int lanes = Pack<T>::lanes, sums = R > 0 ? R : 1, packs = packs_at_once<T, W>(R + V > 1 ? R + V - 1 : 1);
  constexpr int in_flight = kRegisterBytes == 64 ? 4 : 8;
  constexpr int chains = (as_if > 0 ? as_if : 1) * packs;
  constexpr int kinds = chains >= in_flight ? 1 : chains * 2 >= in_flight ? 2 : 4;
  const int rows = summation == Summation::straight ? width.value
                   : W::constant > 0                ? 16
                                                    : 8;  // which divide every width of their kind
  const auto place = [&](int begin, int count) {
    return direction == Direction::forwards ? begin : width.value - count - begin;
  };
  WideSum<T> side;
  for (int done = 0; done < width.value; done += packs * lanes) {
    const int column = place(done, packs * lanes);
    Pack<T> v[packs][V], y[sums][packs] = {};
    ORTHOREAD_UNROLL for (int p = 0; p < packs; ++p) {
      ORTHOREAD_UNROLL for (int n = 0; n < V; ++n) v[p][n] = load(by_column[n] + column + p * lanes);
    }
    for (int first = 0; first < width.value; first += rows) {
      Pack<T> part[kinds][sums][packs] = {}, side_part[kinds][packs] = {};
      for (int next = first; next < first + rows; next += kinds) {
        const int i = place(next, kinds);
        ORTHOREAD_UNROLL for (int kind = 0; kind < kinds; ++kind) {
          Pack<T> s[S];
          ORTHOREAD_UNROLL for (int n = 0; n < S; ++n) s[n] = splat(by_row[n][i + kind]);
          ORTHOREAD_UNROLL for (int p = 0; p < packs; ++p) {
            Pack<T> m = entry((i + kind) * width.value + column + p * lanes, s, v[p], side_part[kind][p]);
            if constexpr (R > 1) m = in_register(m);
            ORTHOREAD_UNROLL for (int r = 0; r < R; ++r) part[kind][r][p] = fma(s[r], m, part[kind][r][p]);
          }
        }
      }
      ORTHOREAD_UNROLL for (int kind = 0; kind < kinds; ++kind) {
        ORTHOREAD_UNROLL for (int p = 0; p < packs; ++p) {
          ORTHOREAD_UNROLL for (int r = 0; r < R; ++r) y[r][p] = y[r][p] + part[kind][r][p];
          if (kind + p > 0) side_part[0][0] = side_part[0][0] + side_part[kind][p];
        }
      }
      side.add(side_part[0][0]);
    }
    ORTHOREAD_UNROLL for (int r = 0; r < R; ++r) {
      ORTHOREAD_UNROLL for (int p = 0; p < packs; ++p) finish(r, column + p * lanes, y[r][p]);
    }
  }
  return side.total();
}

/// matrix^T x_r for r < R, taken by finish(r, column, y). Straight: the series of the read spends most of the time
/// here, and its terms have all signs.
template <typename T, int R, class W, class Finish>
ORTHOREAD_INLINE void sum_rows(W width, Direction direction, const T* matrix, const T* const (&x)[R],
                               const Finish& finish) {
  sweep<R, T, Summation::straight>(
      width, x, {x[0]}, [&](int at, const Pack<T>*, const Pack<T>*, Pack<T>&) { return load(matrix + at); }, finish,
      direction);
}

/// y = matrix x: y[i] = row_i . x. (GCC must be told to inline what computes a row: a call would pass packs through
/// memory.)
template <typename T, class W>
ORTHOREAD_INLINE void dot_rows(W width, const T* matrix, const T* x, T* y) {
  constexpr int lanes = Pack<T>::lanes;
  for (int i = 0; i < width.value; i += lanes) {
    const auto products_of = [&](int l) __attribute__((always_inline)) {
      const T* row = matrix + (i + l) * width.value;
      Pack<T> products = load(row) * load(x);
      for (int c = lanes; c < width.value; c += lanes) products = fma(load(row + c), load(x + c), products);
      return products;
    };
    store(y + i, sums_of<T>(products_of));
  }
}

/// y = matrix x and z = matrix w, which overlap no other argument. In one pass over the matrix, unless the first-level
/// cache is known to hold it: then one after the other takes fewer registers.
template <typename T, class W>
ORTHOREAD_INLINE void dot_rows(W width, const T* matrix, const T* x, const T* w, T* y, T* z) {
  if constexpr (W::constant > 0 && fits_first_level<T>(W{})) {
    dot_rows(width, matrix, x, y);
    dot_rows(width, matrix, w, z);
  } else {
    constexpr int lanes = Pack<T>::lanes;
    for (int i = 0; i < width.value; i += lanes) {
      const auto products_of = [&](int l) __attribute__((always_inline)) {
        const T* row = matrix + (i + l) * width.value;
        TwoPacks<T> products = {load(row) * load(x), load(row) * load(w)};
        for (int c = lanes; c < width.value; c += lanes) {
          const Pack<T> m = load(row + c);
          products = {fma(m, load(x + c), products.first), fma(m, load(w + c), products.second)};
        }
        return products;
      };
      const TwoPacks<T> sums = sums_of<T>(products_of);
      store(y + i, sums.first);
      store(z + i, sums.second);
    }
  }
}

/// sum_j a_j b_j^T over j < count, where a_j is the row a + j width and b_j the row b + j width, in tiles that stay in
/// registers. finish(at, pack, side) takes each pack of the result once, and may add to `side`, whose total is
/// returned. With a = b = C this is C^T C.
template <typename T, class W, class Finish>
ORTHOREAD_INLINE Wide<T> sum_outer_products(W width, int count, const T* a, const T* b, const Finish& finish) {
  constexpr int lanes = Pack<T>::lanes, packs = packs_at_once<T, W>(2);
  constexpr int room = kRegisters * 3 / 4 / packs;
  constexpr int rows = room >= 8 ? 8 : room >= 4 ? 4 : 2;
  WideSum<T> side;
  for (int column = 0; column < width.value; column += packs * lanes) {
    for (int i = 0; i < width.value; i += rows) {
      Pack<T> tile[rows][packs] = {};
      for (int j = count - 1; j >= 0; --j) {  // of a series, the smallest terms first
        const T* aj = a + j * width.value + i;
        Pack<T> bj[packs];
        ORTHOREAD_UNROLL for (int p = 0; p < packs; ++p) bj[p] = load(b + j * width.value + column + p * lanes);
        ORTHOREAD_UNROLL for (int r = 0; r < rows; ++r) {
          const Pack<T> x = splat(aj[r]);
          ORTHOREAD_UNROLL for (int p = 0; p < packs; ++p) tile[r][p] = fma(x, bj[p], tile[r][p]);
        }
      }
      Pack<T> part[packs] = {};
      ORTHOREAD_UNROLL for (int r = 0; r < rows; ++r) {
        ORTHOREAD_UNROLL for (int p = 0; p < packs; ++p)
            finish((i + r) * width.value + column + p * lanes, tile[r][p], part[p]);
      }
      ORTHOREAD_UNROLL for (int p = 1; p < packs; ++p) part[0] = part[0] + part[p];
      side.add(part[0]);
    }
  }
  return side.total();
}

/// The sum of the squares of a matrix.
template <typename T, class W>
Wide<T> square_of(W width, const T* x) {
  Wide<T> sum = Wide<T>(0);
  for (int i = 0; i < width.value; ++i) sum += wide_dot<T>(width, x + i * width.value, x + i * width.value);
  return sum;
}

}  // namespace orthoread::ORTHOREAD_ISA
