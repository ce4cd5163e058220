// Rows of any length as packs: whole ones, and at the end a part of one.
#pragma once

#include "ops/lane/pack.h"

#include <type_traits>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

namespace orthoread::ORTHOREAD_ISA {

/// Calls body(at, count) for each pack of a row of n numbers; count is the pack's size but for the last one.
template <typename T, class Body>
ORTHOREAD_INLINE void each_part(int64_t n, const Body& body) {
  constexpr int lanes = Pack<T>::lanes;
  int64_t at = 0;
  for (; at + lanes <= n; at += lanes) body(at, std::integral_constant<int, lanes>{});
  if (at < n) body(at, static_cast<int>(n - at));
}

/// The first `count` lanes of a pack in memory and back, and the others as 0: in one masked instruction where there is
/// one, and else number by number.
template <typename T>
ORTHOREAD_INLINE Pack<T> load_part(const T* p, int count) {
  T numbers[Pack<T>::lanes] = {};
  for (int i = 0; i < count; ++i) numbers[i] = p[i];
  return load(numbers);
}
template <typename T>
ORTHOREAD_INLINE void store_part(T* p, Pack<T> x, int count) {
  T numbers[Pack<T>::lanes];
  store(numbers, x);
  for (int i = 0; i < count; ++i) p[i] = numbers[i];
}
template <typename T>
ORTHOREAD_INLINE Pack<T> only_part(Pack<T> x, int count) {
  T numbers[Pack<T>::lanes];
  store(numbers, x);
  return load_part(numbers, count);
}
#if defined(__AVX512F__)
ORTHOREAD_INLINE Pack<float> load_part(const float* p, int count) {
  return {_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << count) - 1), p)};
}
ORTHOREAD_INLINE Pack<double> load_part(const double* p, int count) {
  return {_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << count) - 1), p)};
}
ORTHOREAD_INLINE void store_part(float* p, Pack<float> x, int count) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << count) - 1), x.v);
}
ORTHOREAD_INLINE void store_part(double* p, Pack<double> x, int count) {
  _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << count) - 1), x.v);
}
ORTHOREAD_INLINE Pack<float> only_part(Pack<float> x, int count) {
  return {_mm512_maskz_mov_ps(static_cast<__mmask16>((1u << count) - 1), x.v)};
}
ORTHOREAD_INLINE Pack<double> only_part(Pack<double> x, int count) {
  return {_mm512_maskz_mov_pd(static_cast<__mmask8>((1u << count) - 1), x.v)};
}
#endif

/// `count` numbers, the other lanes 0. Where the count is a whole pack the compiler knows it.
template <typename T, class Count>
ORTHOREAD_INLINE Pack<T> load(const T* p, Count count) {
  if constexpr (std::is_same_v<Count, int>) {
    return load_part(p, count);
  } else {
    return load(p);
  }
}

template <typename T, class Count>
ORTHOREAD_INLINE void store(T* p, Pack<T> x, Count count) {
  if constexpr (std::is_same_v<Count, int>) {
    store_part(p, x, count);
  } else {
    store(p, x);
  }
}

/// x with 0 in the lanes past `count`.
template <typename T, class Count>
ORTHOREAD_INLINE Pack<T> only(Pack<T> x, Count count) {
  if constexpr (std::is_same_v<Count, int>) {
    return only_part(x, count);
  } else {
    return x;
  }
}

template <typename T>
ORTHOREAD_INLINE Pack<T> operator/(Pack<T> a, Pack<T> b) {
  return {a.v / b.v};
}

/// exp, lane by lane.
template <typename T>
ORTHOREAD_INLINE Pack<T> exp(Pack<T> x) {
  T numbers[Pack<T>::lanes];
  store(numbers, x);
  for (T& lane : numbers) lane = orthoread::exp(lane);
  return load(numbers);
}

/// exp of floats, all lanes at once, to about an ulp. x = n ln 2 + r with |r| <= ln(2) / 2, exp(x) = 2^n exp(r); the
/// polynomial of exp(r) and the two parts of ln 2 are those of the Cephes library (Moshier, 1992). Adding 1.5 2^23
/// rounds x / ln 2 to a whole number, which then stands in the sum's last bits, ready to be moved to the exponent. x is
/// kept within what has a normal result; a NaN stays one.
template <>
ORTHOREAD_INLINE Pack<float> exp(Pack<float> x) {
  using Vector = Pack<float>::Vector;
  using Index = Pack<float>::Index;
  const Vector low = splat(-87.0f).v, high = splat(88.0f).v;
  Vector v = x.v < low ? low : x.v;
  v = v > high ? high : v;
  const Vector magic = splat(12582912.0f).v, shifted = v * 1.44269504088896341f + magic;
  const Vector n = shifted - magic;
  const Vector r = v - n * 0.693359375f - n * -2.12194440e-4f;
  Vector p = splat(1.9875691500e-4f).v;
  for (const float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f}) {
    p = p * r + c;
  }
  p = p * (r * r) + r + 1.0f;
  Index bits;
  __builtin_memcpy(&bits, &shifted, sizeof bits);
  bits = (bits + 127) << 23;  // the magic number's own bits are shifted out
  Vector power;
  __builtin_memcpy(&power, &bits, sizeof power);
  return {p * power};
}

/// 1 / (1 + exp(-x)).
template <typename T>
ORTHOREAD_INLINE Pack<T> logistic(Pack<T> x) {
  return splat(T(1)) / (splat(T(1)) + exp(Pack<T>{} - x));
}

}  // namespace orthoread::ORTHOREAD_ISA
