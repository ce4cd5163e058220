// Transposing a matrix, in squares that fill as many registers as these have lanes.
#pragma once

#include "ops/simd/pack.h"

namespace orthoread::ORTHOREAD_ISA {

/// A matrix whose rows begin `row` numbers apart.
template <typename T>
struct RowMajor {
  T* first;
  int64_t row;
};

/// Exchanges the lanes of b whose number lacks the bit `step` with those of a that have it.
template <int step, typename T, int... l>
ORTHOREAD_INLINE void exchange(Pack<T>& a, Pack<T>& b, std::integer_sequence<int, l...>) {
  constexpr int n = Pack<T>::lanes;
  const Pack<T> x = a, y = b;
  a.v = __builtin_shufflevector(x.v, y.v, ((l & step) ? n + (l ^ step) : l)...);
  b.v = __builtin_shufflevector(x.v, y.v, ((l & step) ? n + l : (l ^ step))...);
}

/// Transposes the square whose rows are these packs: lane j of pack i becomes lane i of pack j. A square of 2 x 2
/// squares is transposed by exchanging two of them and transposing each.
template <int step = 1, typename T>
ORTHOREAD_INLINE void transpose(Pack<T> (&x)[Pack<T>::lanes]) {
  if constexpr (step < Pack<T>::lanes) {
    ORTHOREAD_UNROLL for (int i = 0; i < Pack<T>::lanes; ++i) {
      if ((i & step) == 0) exchange<step>(x[i], x[i + step], std::make_integer_sequence<int, Pack<T>::lanes>{});
    }
    transpose<2 * step>(x);
  }
}

/// to = from^T: from is (rows, columns).
template <typename T>
void transpose(int rows, int columns, RowMajor<const T> from, RowMajor<T> to) {
  constexpr int lanes = Pack<T>::lanes;
  for (int i = 0; i < rows; i += lanes) {
    for (int j = 0; j < columns; j += lanes) {
      const T* source = from.first + i * from.row + j;
      T* target = to.first + j * to.row + i;
      if (i + lanes <= rows && j + lanes <= columns) {
        Pack<T> square[lanes];
        ORTHOREAD_UNROLL for (int n = 0; n < lanes; ++n) square[n] = load(source + n * from.row);
        transpose(square);
        ORTHOREAD_UNROLL for (int n = 0; n < lanes; ++n) store(target + n * to.row, square[n]);
      } else {
        for (int n = 0; n < lanes && i + n < rows; ++n)
          for (int l = 0; l < lanes && j + l < columns; ++l) target[l * to.row + n] = source[n * from.row + l];
      }
    }
  }
}

}  // namespace orthoread::ORTHOREAD_ISA
