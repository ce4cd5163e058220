// Functions on packs.
#pragma once

#include "ops/simd/pack.h"

namespace orthoread::ORTHOREAD_ISA {

using orthoread::exp, orthoread::sqrt;  // of a number, beside those of a pack

/// f of each lane by itself.
template <typename T, class Function>
ORTHOREAD_INLINE Pack<T> each_lane(Pack<T> x, const Function& f) {
  T numbers[Pack<T>::lanes];
  store(numbers, x);
  for (T& lane : numbers) lane = f(lane);
  return load(numbers);
}

template <typename T>
ORTHOREAD_INLINE Pack<T> sqrt(Pack<T> x) {
  return each_lane(x, [](T lane) { return orthoread::sqrt(lane); });
}
template <typename T>
ORTHOREAD_INLINE Pack<T> exp(Pack<T> x) {
  return each_lane(x, [](T lane) { return orthoread::exp(lane); });
}

/// exp of floats, accurate to about an ulp. With x = n ln 2 + r, |r| <= ln(2) / 2: exp(x) = 2^n exp(r). The polynomial
/// for exp(r) and the two parts of ln 2 come from the Cephes library (Moshier, 1992). Adding 1.5 2^23 rounds x / ln 2
/// to an integer, held in the last bits of the sum, from where it is shifted into the exponent. x is clamped to the
/// range with normal results; NaN stays NaN.
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
  bits = (bits + 127) << 23;  // the bits of the magic number are shifted out
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
