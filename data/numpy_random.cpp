#include "data/numpy_random.h"

#include <array>
#include <bit>

namespace orthoread {
namespace {

/// NumPy's SeedSequence(seed).generate_state(4, uint64): spreads the bits of a seed over 256 bits.
std::array<uint64_t, 4> seed_words(uint64_t seed) {
  std::array<uint32_t, 4> pool;
  uint32_t multiplier = 0x43b0d7e5;
  auto hash = [&multiplier](uint32_t value) {
    value ^= multiplier;
    multiplier *= 0x931e8875;
    value *= multiplier;
    return value ^ (value >> 16);
  };
  auto mix = [](uint32_t x, uint32_t y) {
    const uint32_t result = 0xca01f9dd * x - 0x4973f715 * y;
    return result ^ (result >> 16);
  };
  for (uint32_t& word : pool) {  // the words of the seed, low one first, then zeros
    word = hash(static_cast<uint32_t>(seed));
    seed >>= 32;
  }
  for (size_t from = 0; from < pool.size(); ++from) {
    for (size_t to = 0; to < pool.size(); ++to) {
      if (from != to) pool[to] = mix(pool[to], hash(pool[from]));
    }
  }

  multiplier = 0x8b51f9dd;
  auto output = [&multiplier](uint32_t value) {
    value ^= multiplier;
    multiplier *= 0x58f38ded;
    value *= multiplier;
    return uint64_t{value ^ (value >> 16)};
  };
  std::array<uint64_t, 4> words;
  for (size_t i = 0; i < words.size(); ++i) {
    const uint64_t low = output(pool[2 * i % pool.size()]);
    words[i] = low | output(pool[(2 * i + 1) % pool.size()]) << 32;
  }
  return words;
}

uint128 join(uint64_t high, uint64_t low) { return uint128{high} << 64 | low; }

/// Uniform on 0 … n - 1, without a division for most draws (Lemire): word n / 2^bits is uniform if draws with one of
/// the 2^bits mod n smallest remainders are rejected. n <= 2^bits.
template <class Word, class Wide, class Draw>
Word bounded(Wide n, Draw draw) {
  constexpr int kBits = 8 * sizeof(Word);
  Wide product = n * draw();
  if (static_cast<Word>(product) < n) {
    const Wide refused = ((Wide{1} << kBits) - n) % n;
    while (static_cast<Word>(product) < refused) product = n * draw();
  }
  return static_cast<Word>(product >> kBits);
}

}  // namespace

NumpyRandom::NumpyRandom(uint64_t seed) {  // pcg64_srandom
  const auto words = seed_words(seed);
  increment_ = join(words[2], words[3]) << 1 | 1;
  next_uint64();
  state_ += join(words[0], words[1]);
  next_uint64();
}

uint64_t NumpyRandom::next_uint64() {
  state_ = state_ * join(0x2360ed051fc65da4, 0x4385df649fccf645) + increment_;
  const auto folded = static_cast<uint64_t>(state_ >> 64 ^ state_);
  return std::rotr(folded, static_cast<int>(state_ >> 122));
}

uint32_t NumpyRandom::next_uint32() {  // a 64-bit draw serves two calls, low half first
  has_uint32_ = !has_uint32_;
  if (!has_uint32_) return uinteger_;
  const uint64_t word = next_uint64();
  uinteger_ = static_cast<uint32_t>(word >> 32);
  return static_cast<uint32_t>(word);
}

double NumpyRandom::random() { return static_cast<double>(next_uint64() >> 11) * 0x1p-53; }

int64_t NumpyRandom::integers(int64_t low, int64_t high) {
  check(low < high, "integers: low must be below high, they are {} and {}", low, high);
  const uint64_t n = static_cast<uint64_t>(high) - static_cast<uint64_t>(low);
  if (n == 1) return low;  // NumPy draws nothing
  const uint64_t offset = n <= uint64_t{1} << 32
                              ? bounded<uint32_t, uint64_t>(n, [this] { return uint64_t{next_uint32()}; })
                              : bounded<uint64_t, uint128>(n, [this] { return uint128{next_uint64()}; });
  return static_cast<int64_t>(static_cast<uint64_t>(low) + offset);
}

Array<int64_t> NumpyRandom::state() const {
  const auto half = [](uint128 word) { return static_cast<int64_t>(static_cast<uint64_t>(word)); };
  return {{6}, {half(state_ >> 64), half(state_), half(increment_ >> 64), half(increment_), has_uint32_, uinteger_}};
}

void NumpyRandom::set_state(const Array<int64_t>& state) {
  check_shape(state.shape() == Shape{6}, "random state: must be 6 integers, its shape is {}", state.shape());
  const int64_t* x = state.data();
  const auto word = [x](int i) { return join(static_cast<uint64_t>(x[i]), static_cast<uint64_t>(x[i + 1])); };
  check((x[3] & 1) == 1, "random state: the increment must be odd, its low half is {}", x[3]);
  check(x[4] == 0 || x[4] == 1, "random state: has_uint32 must be 0 or 1, not {}", x[4]);
  check(x[5] >= 0 && x[5] <= UINT32_MAX, "random state: uinteger must be from 0 to {}, not {}", UINT32_MAX, x[5]);
  state_ = word(0);
  increment_ = word(2);
  has_uint32_ = x[4] == 1;
  uinteger_ = static_cast<uint32_t>(x[5]);
}

}  // namespace orthoread
