// NumPy's random numbers, bit for bit: NumpyRandom(seed) draws what numpy.random.default_rng(seed) draws.
//
// The recall task is defined by the tokens that MAD-lab's Python generator draws, so every random number must be equal.
// Sources: NumPy's bit_generator.pyx (SeedSequence, after O'Neill's seed_seq_fe), its pcg64 (PCG XSL RR 128/64, O'Neill
// 2014) and distributions.c (bounded integers, Lemire 2019, arXiv:1805.10941).
#pragma once

#include "core/array.h"

#include <cstdint>
#include <vector>

namespace orthoread {

__extension__ typedef unsigned __int128 uint128;  // __extension__: -Wpedantic warns of 128-bit integers

/// The stream of numpy.random.default_rng(seed).
class NumpyRandom {
 public:
  /// The start of the stream.
  explicit NumpyRandom(uint64_t seed);

  /// rng.random(): uniform on [0, 1), a multiple of 2^-53.
  double random();
  /// rng.integers(low, high): uniform on low … high - 1; an Error unless low < high.
  int64_t integers(int64_t low, int64_t high);
  /// rng.choice(n): uniform on 0 … n - 1. rng.choice(n, size=k) is k calls.
  int64_t choice(int64_t n) { return integers(0, n); }
  /// rng.choice(values): one of them, all equally likely.
  template <class T>
  const T& choice(const std::vector<T>& values) {
    return values[static_cast<size_t>(choice(static_cast<int64_t>(values.size())))];
  }

  /// The position in the stream, as six integers for a checkpoint: the high and low half of the state, the high and low
  /// half of the increment, has_uint32, uinteger (the fields of rng.bit_generator.state).
  Array<int64_t> state() const;
  /// Continues from a state(). An Error for numbers that are no state.
  void set_state(const Array<int64_t>& state);

 private:
  uint64_t next_uint64();
  uint32_t next_uint32();

  uint128 state_ = 0;
  uint128 increment_ = 0;
  bool has_uint32_ = false;  // uinteger_ holds the second half of a 64-bit draw
  uint32_t uinteger_ = 0;
};

}  // namespace orthoread
