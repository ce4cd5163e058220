#include "apps/train/outcome.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

using namespace orthoread;

TEST_CASE("outcome: limits belong to the range above them") {
  const auto below = [](double x) { return std::nextafter(x, 0.0); };
  CHECK(outcome_of(1) == "solved");
  CHECK(outcome_of(0.8) == "solved");
  CHECK(outcome_of(below(0.8)) == "mid");
  CHECK(outcome_of(0.2) == "mid");
  CHECK(outcome_of(below(0.2)) == "flat");
  CHECK(outcome_of(0.005) == "flat");
  CHECK(outcome_of(below(0.005)) == "collapsed");
  CHECK(outcome_of(0) == "collapsed");
  CHECK(outcome_of(std::numeric_limits<double>::quiet_NaN()) == "diverged");
  CHECK(has_escaped(0.8));
  CHECK_FALSE(has_escaped(below(0.8)));
  CHECK_FALSE(has_collapsed(0.005));
  CHECK(has_collapsed(below(0.005)));
}
