#include "core/random.h"

#include "tests/support.h"

using namespace orthoread;

TEST_CASE("random: the first numbers of SplitMix64") {
  // z = s = s + 0x9e3779b97f4a7c15; z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9; z = (z ^ z >> 27) * 0x94d049bb133111eb;
  // z ^ z >> 31, modulo 2^64, in Python's integers; the first one of seed 0 is also in the authors' test vectors
  RandomStream zero(0), other(42);
  CHECK(zero.bits() == 0xe220a8397b1dcdaf);
  CHECK(zero.bits() == 0x6e789e6aa1b965f4);
  CHECK(zero.bits() == 0x06c45d188009454f);
  CHECK(other.bits() == 0xbdd732262feb6e95);
  CHECK(other.bits() == 0x28efe333b266f103);
  CHECK(RandomStream(0).uniform() == 0x1.c4415072f63b9p-1);  // (0xe220a8397b1dcdaf >> 11) / 2^53
}

TEST_CASE("random: moments") {
  constexpr int kN = 200000;
  RandomStream random(7);
  bool in_range = true;
  double uniform = 0, uniform_squares = 0, normal = 0, normal_squares = 0, normal_fourth = 0;
  for (int i = 0; i < kN; ++i) {
    const double u = random.uniform(), x = random.normal();
    in_range = in_range && 0 <= u && u < 1;
    uniform += u / kN;
    uniform_squares += u * u / kN;
    normal += x / kN;
    normal_squares += x * x / kN;
    normal_fourth += x * x * x * x / kN;
  }
  CHECK(in_range);
  // five standard errors of each mean
  CHECK(std::abs(uniform - 1.0 / 2) < 5 * std::sqrt(1.0 / 12 / kN));
  CHECK(std::abs(uniform_squares - 1.0 / 3) < 5 * std::sqrt(4.0 / 45 / kN));
  CHECK(std::abs(normal) < 5 * std::sqrt(1.0 / kN));
  CHECK(std::abs(normal_squares - 1) < 5 * std::sqrt(2.0 / kN));
  CHECK(std::abs(normal_fourth - 3) < 5 * std::sqrt(96.0 / kN));
}

TEST_CASE("random: the fraction of normal numbers beyond 1 and 3") {
  constexpr int kN = 200000;
  RandomStream random(8);
  int beyond_1 = 0, beyond_3 = 0;
  for (int i = 0; i < kN; ++i) {
    const double x = std::abs(random.normal());
    beyond_1 += x > 1;
    beyond_3 += x > 3;
  }
  CHECK(beyond_1 / double{kN} == doctest::Approx(0.3173).epsilon(0.015));
  CHECK(beyond_3 / double{kN} == doctest::Approx(0.0027).epsilon(0.2));
}

TEST_CASE("random: the same seed, the same numbers, on every machine") {
  RandomStream a(0), b(0);
  for (int i = 0; i < 100; ++i) CHECK(a.normal() == b.normal());
  CHECK(RandomStream(1).normal() != RandomStream(2).normal());
}
