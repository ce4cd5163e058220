// A pack: the numbers in one vector register, and the few operations on packs that the kernels need.
//
// Kernels are compiled once for each instruction set, in a namespace of its name, ORTHOREAD_ISA. So the linker can
// never mix code for different processors. For the same reason kernels call nothing of the standard library except
// through real.h.
#pragma once

#include "core/real.h"

#include <cstdint>
#include <type_traits>
#include <utility>

#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#ifndef ORTHOREAD_ISA
#error "ORTHOREAD_ISA must be the name of the instruction set that this is compiled for"
#endif

#if defined(__clang__)
#define ORTHOREAD_UNROLL _Pragma("clang loop unroll(full)")
#else
#define ORTHOREAD_UNROLL _Pragma("GCC unroll 64")
#endif
#define ORTHOREAD_INLINE __attribute__((always_inline)) inline

namespace orthoread::ORTHOREAD_ISA {

#if defined(__AVX512F__)
inline constexpr int kRegisterBytes = 64, kRegisters = 32;
#elif defined(__AVX2__)
inline constexpr int kRegisterBytes = 32, kRegisters = 16;
#else
inline constexpr int kRegisterBytes = 16, kRegisters = 16;
#endif

template <typename T>
struct Pack {  // any other scalar, such as Dual, is a pack of one lane
  static constexpr int lanes = 1;
  using Vector = T;
  Vector v;
};
template <>
struct Pack<float> {
  static constexpr int lanes = kRegisterBytes / static_cast<int>(sizeof(float));
  typedef float Vector __attribute__((vector_size(kRegisterBytes)));
  typedef int32_t Index __attribute__((vector_size(kRegisterBytes)));
  Vector v;
};
template <>
struct Pack<double> {
  static constexpr int lanes = kRegisterBytes / static_cast<int>(sizeof(double));
  typedef double Vector __attribute__((vector_size(kRegisterBytes)));
  typedef int64_t Index __attribute__((vector_size(kRegisterBytes)));
  Vector v;
};

template <typename T>
ORTHOREAD_INLINE Pack<T> load(const T* p) {
  Pack<T> x;
  __builtin_memcpy(&x.v, p, sizeof x.v);
  return x;
}
template <typename T>
ORTHOREAD_INLINE void store(T* p, Pack<T> x) {
  __builtin_memcpy(p, &x.v, sizeof x.v);
}
/// All lanes equal to x. (x - 0 is x for every x, also for -0, so compilers remove the subtraction.)
template <typename T>
ORTHOREAD_INLINE Pack<T> splat(T x) {
  return {x - typename Pack<T>::Vector{}};
}

/// x, kept in a register. GCC would otherwise load x from memory in each multiply-add that uses it, and at one load per
/// cycle that takes longer than the arithmetic.
template <typename T>
ORTHOREAD_INLINE Pack<T> in_register(Pack<T> x) {
#if defined(__x86_64__)
  if constexpr (Pack<T>::lanes > 1) asm("" : "+v"(x.v));
#endif
  return x;
}

template <typename T>
ORTHOREAD_INLINE Pack<T> operator+(Pack<T> a, Pack<T> b) {
  return {a.v + b.v};
}
template <typename T>
ORTHOREAD_INLINE Pack<T> operator-(Pack<T> a, Pack<T> b) {
  return {a.v - b.v};
}
template <typename T>
ORTHOREAD_INLINE Pack<T> operator*(Pack<T> a, Pack<T> b) {
  return {a.v * b.v};
}
template <typename T>
ORTHOREAD_INLINE Pack<T> operator/(Pack<T> a, Pack<T> b) {
  return {a.v / b.v};
}
/// a b + c, rounded once if the processor has fused multiply-add.
template <typename T>
ORTHOREAD_INLINE Pack<T> fma(Pack<T> a, Pack<T> b, Pack<T> c) {
  return {a.v * b.v + c.v};
}

/// Lane l of the result is a[l] + a[l ^ step] if the bit `step` of l is 0, else b[l] + b[l ^ step].
template <int step, typename T, int... l>
ORTHOREAD_INLINE Pack<T> add_across(Pack<T> a, Pack<T> b, std::integer_sequence<int, l...>) {
  constexpr int n = Pack<T>::lanes;
  return {__builtin_shufflevector(a.v, b.v, ((l & step) ? n + l : l)...) +
          __builtin_shufflevector(a.v, b.v, ((l & step) ? n + (l ^ step) : (l ^ step))...)};
}

/// Two packs that are treated alike.
template <typename T>
struct TwoPacks {
  Pack<T> first, second;
};
template <int step, typename T, int... l>
ORTHOREAD_INLINE TwoPacks<T> add_across(TwoPacks<T> a, TwoPacks<T> b, std::integer_sequence<int, l...> lanes) {
  return {add_across<step>(a.first, b.first, lanes), add_across<step>(a.second, b.second, lanes)};
}

/// Lane l of the result is the sum of all lanes of pack_of(l), and so for each of TwoPacks. A binary tree over the
/// packs: each node halves the number of lanes still to be summed. Few packs are needed at a time, so all stay in
/// registers.
template <typename T, int first = 0, int count = Pack<T>::lanes, class PackOf>
ORTHOREAD_INLINE auto sums_of(const PackOf& pack_of) {
  if constexpr (count == 1) {
    return pack_of(first);
  } else {
    return add_across<count / 2>(sums_of<T, first, count / 2>(pack_of),
                                 sums_of<T, first + count / 2, count / 2>(pack_of),
                                 std::make_integer_sequence<int, Pack<T>::lanes>{});
  }
}

/// The sum of all lanes.
template <typename T, int step = Pack<T>::lanes / 2>
ORTHOREAD_INLINE T sum(Pack<T> x) {
  if constexpr (Pack<T>::lanes == 1) {
    return x.v;
  } else if constexpr (step == 0) {
    return x.v[0];
  } else {
    return sum<T, step / 2>(add_across<step>(x, x, std::make_integer_sequence<int, Pack<T>::lanes>{}));
  }
}

/// Calls body(at, count) for each pack of a row of n numbers. `count` is a compile-time constant for full packs, and an
/// int for the rest.
template <typename T, class Body>
ORTHOREAD_INLINE void each_part(int64_t n, const Body& body) {
  constexpr int lanes = Pack<T>::lanes;
  int64_t at = 0;
  for (; at + lanes <= n; at += lanes) body(at, std::integral_constant<int, lanes>{});
  if (at < n) body(at, static_cast<int>(n - at));
}

/// Loads, stores or keeps the first `count` lanes of a pack; the other lanes are 0, or not stored. Uses a masked
/// instruction if there is one, else a loop.
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

/// Loads `count` numbers; the other lanes are 0. For a full pack `count` is known at compile time.
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

/// x with 0 in the lanes from `count` on.
template <typename T, class Count>
ORTHOREAD_INLINE Pack<T> only(Pack<T> x, Count count) {
  if constexpr (std::is_same_v<Count, int>) {
    return only_part(x, count);
  } else {
    return x;
  }
}

/// A sum of packs, accumulated in double if they are floats.
template <typename T>
class WideSum {
 public:
  ORTHOREAD_INLINE void add(Pack<T> x) { lanes_ = lanes_ + x; }
  ORTHOREAD_INLINE void add_product(Pack<T> x, Pack<T> y) { lanes_ = fma(x, y, lanes_); }
  ORTHOREAD_INLINE T total() const { return sum(lanes_); }
  /// The sum of each lane by itself, as it is and rounded.
  ORTHOREAD_INLINE void store_lanes(T* to) const { store(to, lanes_); }
  ORTHOREAD_INLINE Pack<T> lanes() const { return lanes_; }

 private:
  Pack<T> lanes_ = {};
};
template <>
class WideSum<float> {
 public:
  ORTHOREAD_INLINE void add(Pack<float> x) {
    low_ = low_ + half<0>(x);
    high_ = high_ + half<1>(x);
  }
  ORTHOREAD_INLINE void add_product(Pack<float> x, Pack<float> y) {
    low_ = fma(half<0>(x), half<0>(y), low_);
    high_ = fma(half<1>(x), half<1>(y), high_);
  }
  ORTHOREAD_INLINE double total() const { return sum(low_ + high_); }
  ORTHOREAD_INLINE void store_lanes(double* to) const {
    store(to, low_);
    store(to + Pack<double>::lanes, high_);
  }
  ORTHOREAD_INLINE Pack<float> lanes() const {
    const Half parts[2] = {__builtin_convertvector(low_.v, Half), __builtin_convertvector(high_.v, Half)};
    Pack<float> x;
    __builtin_memcpy(&x.v, parts, sizeof x.v);
    return x;
  }

 private:
  typedef float Half __attribute__((vector_size(kRegisterBytes / 2)));
  template <int which>
  static ORTHOREAD_INLINE Pack<double> half(Pack<float> x) {
    Half lanes;
    __builtin_memcpy(&lanes, reinterpret_cast<const char*>(&x.v) + which * sizeof lanes, sizeof lanes);
    return {__builtin_convertvector(lanes, Pack<double>::Vector)};
  }

  Pack<double> low_ = {}, high_ = {};
};

}  // namespace orthoread::ORTHOREAD_ISA
