// The expected values come from NumPy 1.24, printed by the Python code above each.
#include "data/numpy_random.h"

#include <doctest/doctest.h>

#include <limits>

using namespace orthoread;

namespace {

constexpr int64_t kMin = std::numeric_limits<int64_t>::min(), kMax = std::numeric_limits<int64_t>::max();

}  // namespace

TEST_CASE("numpy random: the first draws of twelve seeds") {
  // for s in [...]:
  //   r = np.random.default_rng(s)
  //   print(s, r.random().hex(), r.integers(0, 10), r.integers(-5, 2**40), r.random().hex(), r.integers(0, 2**32),
  //         r.integers(-2**63, 2**63 - 1))
  const struct {
    uint64_t seed;
    double random;
    int64_t digit, large;
    double random_again;
    int64_t word, any;
  } rows[] = {
      {0u, 0x1.461fd79fb3850p-1, 5, 45050865994, 0x1.0ec9ed84d0bc0p-6, 1158725112, 5778815928437199162},
      {1u, 0x1.060d7be6f245cp-1, 7, 158505170436, 0x1.e5b5615da558dp-1, 4082210491, -3471097047484108120},
      {2u, 0x1.0be40d2359ad6p-2, 1, 895250669417, 0x1.787cd9d738668p-4, 1282009699, 1846528784132138196},
      {11u, 0x1.074fd08112064p-3, 7, 661354438293, 0x1.d60a6c2d943a0p-6, 2144382090, -6494617412828532340},
      {12u, 0x1.00d8207273672p-2, 9, 208159964172, 0x1.6f3055c1988c0p-3, 4066272926, -2769054761436560193},
      {10011u, 0x1.ff2b7372ed982p-2, 6, 333880903971, 0x1.bc1a44ebee460p-3, 3722290691, 835896446595633258},
      {2147483648u, 0x1.ce44c51c4671ep-1, 2, 1062929198770, 0x1.7903d45453ac0p-4, 236772590, -1579390313265037979},
      {4294967295u, 0x1.01fd7ea4c363ep-2, 7, 315872890597, 0x1.3ceb1e066d3d0p-1, 940880430, 8024560403160525281},
      {4294967296u, 0x1.c78bd7c50b582p-1, 9, 880607754316, 0x1.e9bc2dd875173p-1, 2392889704, -8142113178740135087},
      {4294967297u, 0x1.53d65b36133d2p-2, 3, 558148012188, 0x1.4019421c1d6b8p-3, 2628073195, 5608395374426001502},
      {9223372036854775808u, 0x1.9f6887c7122cfp-1, 3, 954660951093, 0x1.b3542d925f380p-2, 2561744567,
       -4620948372621450716},
      {18446744073709551615u, 0x1.5c2c74f5188eap-1, 9, 8139774294, 0x1.ca04d55e33445p-1, 3630586357,
       -6844383361170933989},
  };
  for (const auto& row : rows) {
    CAPTURE(row.seed);
    NumpyRandom random(row.seed);
    CHECK(random.random() == row.random);
    CHECK(random.integers(0, 10) == row.digit);
    CHECK(random.integers(-5, int64_t{1} << 40) == row.large);
    CHECK(random.random() == row.random_again);
    CHECK(random.integers(0, int64_t{1} << 32) == row.word);
    CHECK(random.integers(kMin, kMax) == row.any);
  }
}

TEST_CASE("numpy random: 1000 seeds, twelve bounds on both sides of 2^32, all kinds of draws in turn") {
  // h = 0
  // for s in range(1000):
  //   r = np.random.default_rng(s * 0x9e3779b97f4a7c15 % 2**64)
  //   for n in [1, 2, 3, 16, 32, 256, 2**31+1, 2**32-1, 2**32, 2**32+1, 2**62+1, 2**63-1]:
  //     for x in [r.integers(0, n), r.random() * 2**53, *r.choice(n if n < 2**40 else 7, size=2), r.choice([5, 7, 9])]:
  //       h = (h * 31 + int(x)) % 2**64
  const int64_t two31 = int64_t{1} << 31, two32 = int64_t{1} << 32, two62 = int64_t{1} << 62;
  const std::vector<int64_t> odd = {5, 7, 9};
  uint64_t h = 0;
  const auto add = [&h](int64_t x) { h = h * 31 + static_cast<uint64_t>(x); };
  for (uint64_t s = 0; s < 1000; ++s) {
    NumpyRandom random(s * 0x9e3779b97f4a7c15);
    for (const int64_t n : {int64_t{1}, int64_t{2}, int64_t{3}, int64_t{16}, int64_t{32}, int64_t{256}, two31 + 1,
                            two32 - 1, two32, two32 + 1, two62 + 1, kMax}) {
      add(random.integers(0, n));
      add(static_cast<int64_t>(random.random() * 0x1p53));
      for (int i = 0; i < 2; ++i) add(random.choice(n < two62 ? n : 7));
      add(random.choice(odd));
    }
  }
  CHECK(h == 4316666257994812551u);
}

TEST_CASE("numpy random: the state is NumPy's, and restores the stream exactly") {
  // r = np.random.default_rng(11); r.integers(0, 10); r.bit_generator.state
  NumpyRandom random(11);
  random.integers(0, 10);
  const Array<int64_t> state = random.state();
  CHECK(std::vector<int64_t>(state.data(), state.data() + 6) ==
        std::vector<int64_t>{static_cast<int64_t>(0x9f676f6871edb9e0), static_cast<int64_t>(0xbf0148780510b1f1),
                             430282914771530179, -5764582704540126389, 1, 552204816});

  NumpyRandom other(0);
  other.set_state(state);
  for (int i = 0; i < 100; ++i) {
    CHECK(other.choice(80) == random.choice(80));
    CHECK(other.random() == random.random());
  }
}

TEST_CASE("numpy random: integers(low, low + 1) draws nothing, as in NumPy") {
  NumpyRandom random(1), untouched(1);
  CHECK(random.integers(7, 8) == 7);
  CHECK(random.random() == untouched.random());
}

TEST_CASE("numpy random: errors") {
  NumpyRandom random(1);
  CHECK_THROWS_WITH_AS(random.integers(3, 3), "integers: low must be below high, they are 3 and 3", Error);
  CHECK_THROWS_WITH_AS(random.choice(0), "integers: low must be below high, they are 0 and 0", Error);
  CHECK_THROWS_WITH_AS(random.choice(std::vector<int>()), "integers: low must be below high, they are 0 and 0", Error);

  const auto set = [&](const std::vector<int64_t>& x) { random.set_state({{static_cast<int64_t>(x.size())}, x}); };
  CHECK_THROWS_WITH_AS(set({1, 2, 3, 5, 0}), "random state: must be 6 integers, its shape is [5]", Error);
  CHECK_THROWS_WITH_AS(set({1, 2, 3, 4, 0, 0}), "random state: the increment must be odd, its low half is 4", Error);
  CHECK_THROWS_WITH_AS(set({1, 2, 3, 5, 2, 0}), "random state: has_uint32 must be 0 or 1, not 2", Error);
  CHECK_THROWS_WITH_AS(set({1, 2, 3, 5, 1, -1}), "random state: uinteger must be from 0 to 4294967295, not -1", Error);
  CHECK_THROWS_WITH_AS(set({1, 2, 3, 5, 1, int64_t{1} << 32}),
                       "random state: uinteger must be from 0 to 4294967295, not 4294967296", Error);
}
