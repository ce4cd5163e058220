// Vectors of one head: width numbers, that is the head's d rounded up to whole packs, the rest zero. Width<48> is known
// to the compiler, Width<0> when the program runs.
#pragma once

#include "ops/memory/head.h"
#include "ops/simd/pack.h"

namespace orthoread::ORTHOREAD_ISA {

template <int d>
struct Width {
  static constexpr int constant = d;
  static constexpr int value = d;
};
template <>
struct Width<0> {
  static constexpr int constant = 0;
  int value;
};

/// Calls body(column) for each pack of a vector.
template <typename T, class W, class Body>
ORTHOREAD_INLINE void each_pack(W width, const Body& body) {
  for (int column = 0; column < width.value; column += Pack<T>::lanes) body(column);
}

template <typename T, class W>
ORTHOREAD_INLINE void zero(W width, T* x) {
  each_pack<T>(width, [&](int c) { store(x + c, Pack<T>{}); });
}

/// to = factor x.
template <typename T, class W>
ORTHOREAD_INLINE void scale(W width, T factor, const T* x, T* to) {
  each_pack<T>(width, [&](int c) { store(to + c, splat(factor) * load(x + c)); });
}

/// to += factor x.
template <typename T, class W>
ORTHOREAD_INLINE void add(W width, T factor, const T* x, T* to) {
  each_pack<T>(width, [&](int c) { store(to + c, fma(splat(factor), load(x + c), load(to + c))); });
}

/// to = a x + b y.
template <typename T, class W>
ORTHOREAD_INLINE void combine(W width, T a, const T* x, T b, const T* y, T* to) {
  each_pack<T>(width, [&](int c) { store(to + c, fma(splat(a), load(x + c), splat(b) * load(y + c))); });
}

/// x . y.
template <typename T, class W>
ORTHOREAD_INLINE T dot(W width, const T* x, const T* y) {
  Pack<T> products = load(x) * load(y);
  for (int c = Pack<T>::lanes; c < width.value; c += Pack<T>::lanes) products = fma(load(x + c), load(y + c), products);
  return sum(products);
}

/// x . y, added up so that terms may cancel.
template <typename T, class W>
ORTHOREAD_INLINE Wide<T> wide_dot(W width, const T* x, const T* y) {
  WideSum<T> sum;
  for (int c = 0; c < width.value; c += Pack<T>::lanes) sum.add_product(load(x + c), load(y + c));
  return sum.total();
}

/// x -= w (w.x), |w| = 1; the factor is returned.
template <typename T, class W>
ORTHOREAD_INLINE T project(W width, const T* w, T* x) {
  const T along = static_cast<T>(wide_dot<T>(width, w, x));
  add(width, -along, w, x);
  return along;
}

/// From and to a row of an array that is d long; the kernel's own rows are padded with zeros to the width. Where the
/// compiler knows the width, that is d.
template <typename T, class W>
ORTHOREAD_INLINE void copy_in(W width, int64_t d, const T* from, T* to) {
  if constexpr (W::constant > 0)
    each_pack<T>(width, [&](int c) { store(to + c, load(from + c)); });
  else
    for (int64_t c = 0; c < width.value; ++c) to[c] = c < d ? from[c] : T(0);
}
template <typename T, class W>
ORTHOREAD_INLINE void copy_out(W width, int64_t d, const T* from, T* to) {
  if constexpr (W::constant > 0)
    each_pack<T>(width, [&](int c) { store(to + c, load(from + c)); });
  else
    for (int64_t c = 0; c < d; ++c) to[c] = from[c];
}

}  // namespace orthoread::ORTHOREAD_ISA
