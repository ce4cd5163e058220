// `orthoread gradcheck`: its output and exit code, and the table of gains against their formulas.
#include "apps/gradcheck/op_checks.h"
#include "core/check.h"
#include "data/files.h"
#include "tests/program.h"

#include <doctest/doctest.h>

#include <cmath>
#include <cstdlib>

namespace orthoread {
namespace {

/// The names of all ops with a check on a small example, joined by this text.
std::string ops(const std::string& separator) { return fmt::format("{}", fmt::join(checked_ops(), separator)); }

/// The number after the next `"key": ` in a JSON text; 0 for a string.
double next_number(const std::string& json, const std::string& key, size_t& at) {
  at = json.find("\"" + key + "\": ", at);
  REQUIRE(at != std::string::npos);
  at += key.size() + 4;
  return std::strtod(json.c_str() + at, nullptr);
}

/// s <- s (3 - s^2) / 2 repeated, with its derivative.
void cubic_steps(int steps, double& p, double& slope) {
  for (slope = 1; steps > 0; --steps) {
    slope *= 1.5 * (1 - p * p);
    p *= (3 - p * p) / 2;
  }
}

}  // namespace

TEST_CASE("gradcheck: one check in depth") {
  const std::string command = "orthoread gradcheck read --ns-steps 5 --rank 3 --sequences 1 --tokens 6 --seed 7";
  const ProgramResult text = run_shell(command);
  CHECK(text.exit_code == 0);
  CHECK(text.err.empty());
  for (const char* part :
       {"read, ns5, width 5, sequences 1, tokens 6, rank 3, condition 1, scale 1: right\n", "\nDual against backward ",
        "\ntwin ", "\nHessian by differences ", "\nlog forget gate ", "\nworst entries "}) {
    CHECK_MESSAGE(contains(text.out, part), part);
  }
  const ProgramResult json = run_shell(command + " --json"), again = run_shell(command + " --json --threads 2");
  CHECK(json.exit_code == 0);
  CHECK(json.out == again.out);
  for (const char* part : {"\"passed\": true", "\"seed\": 7", "\"verdict\": \"right\"", "\"order_4_point\": 4.0",
                           "\"failures\": []", "\"name\": \"query\""}) {
    CHECK_MESSAGE(contains(json.out, part), part);
  }
  CHECK(run_shell("orthoread gradcheck read --ns-steps 5 --rank 3 --sequences 1 --tokens 6 --seed 8 --json").out !=
        json.out);
}

TEST_CASE("gradcheck: memory of rank 1 with group norm: the query's gradient is 0 up to rounding" *
          doctest::test_suite("long")) {
  for (const int seed : {19, 21, 39, 40, 53, 58}) {
    for (const int steps : {9, 10}) {
      const ProgramResult result = run_shell(
          fmt::format("orthoread gradcheck read --ns-steps {} --group-norm --rank 1 --sequences 1 --tokens 6 --seed {}",
                      steps, seed));
      CHECK_MESSAGE(result.exit_code == 0, result.out);
    }
  }
}

TEST_CASE("gradcheck: two sequences of two chunks, the second one short, with a read mask") {
  const ProgramResult result = run_shell("orthoread gradcheck read --masked");
  CHECK(result.exit_code == 0);
  CHECK(
      contains(result.out, "sequences 2, tokens 37, rank 5, condition 1, scale 1, two tokens of three read: right\n"));
}

TEST_CASE("gradcheck: a table of several targets" * doctest::test_suite("long")) {
  const ProgramResult text = run_shell("orthoread gradcheck linear gated_norm model --quiet");
  CHECK(text.exit_code == 0);
  CHECK(text.err.empty());
  CHECK(contains(text.out, "\ngated_norm "));
  CHECK(contains(text.out, "\n4 of 4 checks right\n"));
  const ProgramResult json = run_shell("orthoread gradcheck linear gated_norm model --quiet --json");
  CHECK(contains(json.out, "\"passed\": true"));
  CHECK(contains(json.out, "\"target\": \"gated_norm\""));
}

TEST_CASE("gradcheck: every op of the library, at several seeds" * doctest::test_suite("long")) {
  for (const int seed : {1, 2, 3}) {
    const ProgramResult result = run_shell(fmt::format("orthoread gradcheck {} --quiet --seed {}", ops(" "), seed));
    CHECK_MESSAGE(result.exit_code == 0, result.out);
    CHECK(contains(result.out, fmt::format("\n{0} of {0} checks right\n", checked_ops().size())));
  }
}

TEST_CASE("gradcheck: a matrix with norm eps is at a kink") {
  // One cubic step maps 1 to 1 with slope 0, so only the gradient has the kink.
  const std::pair<const char*, const char*> kinks[] = {{"0", ": a kink: slope "}, {"1", ": a kink of the gradient: "}};
  for (const auto& [steps, message] : kinks) {
    const std::string command = std::string("orthoread gradcheck newton_schulz --rank 1 --ns-steps ") + steps;
    const ProgramResult result = run_shell(command + " --scale 1e-6");
    CHECK(result.exit_code == 1);
    CHECK_MESSAGE(contains(result.out, "scale 1e-06: kink\n"), result.out);
    CHECK_MESSAGE(contains(result.out, message), result.out);
    for (const char* side : {"0.99e-6", "1.01e-6"}) CHECK(run_shell(command + " --scale " + side).exit_code == 0);
  }
}

TEST_CASE("gradcheck gain: p(s) / s and p'(s), the polar factor 1 / s and 0") {
  const ProgramResult result = run_shell("orthoread gradcheck gain --json");
  REQUIRE(result.exit_code == 0);
  size_t at = 0;
  for (const double s : {0.7, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-3, 1e-4, 1e-6, 0.0}) {
    CAPTURE(s);
    for (const int steps : {0, 1, 2, 3, 5, 8, 10, -1}) {
      CAPTURE(steps);
      CHECK(next_number(result.out, "singular_value", at) == s);
      const double turning = next_number(result.out, "turning", at);
      const double stretching = next_number(result.out, "stretching", at);
      if (steps < 0) {
        CHECK(stretching == 0);
        CHECK(turning == (s == 0 ? 0 : 1 / s));  // "infinity" reads as 0
        continue;
      }
      double p = s, slope;
      cubic_steps(steps, p, slope);
      CHECK(turning == doctest::Approx(s == 0 ? std::pow(1.5, steps) : p / s).epsilon(1e-12));
      CHECK(std::abs(stretching - slope) <= 1e-12 * std::pow(1.5, steps));
    }
  }
  CHECK(contains(result.out, "\"infinity\""));
  CHECK(contains(run_shell("orthoread gradcheck gain").out, "\nstretching: "));
}

TEST_CASE("gradcheck gain: the plot is written atomically") {
  const TemporaryFolder folder;
  const std::string picture = folder / "gain.svg";
  const ProgramResult result = run_shell("orthoread gradcheck gain --out " + picture);
  if (contains(result.err, "gnuplot is not installed")) {
    MESSAGE("skipped: gnuplot is not installed");
  } else {
    CHECK(result.exit_code == 0);
    CHECK(contains(read_file(picture), "exact polar factor"));
  }
  check_usage_error("orthoread gradcheck gain --out " + folder / "gain.pdf",
                    "cannot plot " + folder / "gain.pdf" + ": .svg and .png are allowed");
  const ProgramResult missing = run_shell("PATH=/nowhere orthoread gradcheck gain --out " + folder / "none.svg");
  CHECK(missing.exit_code == 2);
  CHECK(contains(missing.err, "gnuplot is not installed (Debian: apt-get install gnuplot-nox)"));
  CHECK(!std::filesystem::exists(folder / "none.svg"));
}

TEST_CASE("gradcheck: errors") {
  check_usage_error("orthoread gradcheck foo",
                    "gradcheck: newton_schulz, read, " + ops(", ") + ", model, gain are allowed, not 'foo'");
  check_usage_error("orthoread gradcheck gain model", "gradcheck: gain cannot be combined with other targets");
  check_usage_error("orthoread gradcheck linear --rank 3",
                    "--rank: goes with newton_schulz or read, as the only target");
  check_usage_error("orthoread gradcheck --ns-steps 3",
                    "--ns-steps: goes with newton_schulz or read, as the only target");
  check_usage_error("orthoread gradcheck newton_schulz --tokens 3", "--tokens: goes with read, as the only target");
  check_usage_error("orthoread gradcheck read --polynomial quintic",
                    "--polynomial: goes with newton_schulz or gain, as the only target");
  check_usage_error("orthoread gradcheck linear --read raw", "--read: goes with read or model, as the only target");
  check_usage_error("orthoread gradcheck read --rank 6", "--rank: from 1 to 5 is allowed, not 6");
  check_usage_error("orthoread gradcheck read --sequences 17", "--sequences: from 1 to 16 is allowed, not 17");
  check_usage_error("orthoread gradcheck linear --masked", "--masked: goes with read, as the only target");
  check_usage_error("orthoread gradcheck read --width 0", "--width: from 1 to 64 is allowed, not 0");
  check_usage_error("orthoread gradcheck read --ns-steps 11", "--ns-steps: from 0 to 10 is allowed, not 11");
  check_usage_error("orthoread gradcheck read --ns-steps 3 --read ns5", "--ns-steps: --read ns5 says how many already");
  check_usage_error("orthoread gradcheck read --read ns12",
                    "read: raw and ns<k> with k from 0 to 10 are allowed, not 'ns12'");
  check_usage_error("orthoread gradcheck read --condition 0.5", "--condition: from 1 to 1e+16 is allowed, not 0.5");
  check_usage_error("orthoread gradcheck newton_schulz --polynomial septic",
                    "--polynomial: cubic and quintic are allowed, not 'septic'");
  check_usage_error("orthoread gradcheck model --out x.svg", "--out: goes with gain, as the only target");
}

}  // namespace orthoread
