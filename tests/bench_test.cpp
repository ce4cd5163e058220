// `orthoread bench` at small sizes: its output, and the consistency of its figures.
#include "apps/json_file.h"
#include "core/check.h"
#include "ops/simd/instruction_set.h"
#include "tests/program.h"

#include <doctest/doctest.h>

#include <cstdlib>

namespace orthoread {
namespace {

/// The number after a key of an indented JSON document. Nested keys have a larger indentation.
double number_in(const std::string& json, const std::string& key) {
  const std::string start = "\n  \"" + key + "\": ";
  const size_t at = json.find(start);
  REQUIRE_MESSAGE(at != std::string::npos, key << " is missing in " << json);
  return std::strtod(json.c_str() + at + start.size(), nullptr);
}

/// Runs a benchmark and checks what all of them share. Returns its JSON document.
std::string measured(const std::string& what) {
  CAPTURE(what);
  const ProgramResult result = run_shell("unset OPENBLAS_CORETYPE OPENBLAS_L2_SIZE; orthoread bench " + what +
                                         " --repeats 3 --threads 2 --json --quiet");
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  CHECK(result.err.empty());
  const std::string& json = result.out;
  CHECK(number_in(json, "seconds") > 0);
  CHECK(number_in(json, "minimum_seconds") <= number_in(json, "seconds"));
  CHECK(number_in(json, "gflop_per_s") ==
        doctest::Approx(number_in(json, "fraction_of_gemm") * number_in(json, "gemm_gflop_per_s")));
  CHECK(number_in(json, "peak_mib") > 1);
  CHECK(number_in(json, "threads") == 2);
  CHECK(contains(json, "\n  \"instruction_set\": \""));
  CHECK(contains(json, "; core "));  // of the BLAS
  return json;
}

}  // namespace

TEST_CASE("bench: step") {
  for (const std::string read : {"raw", "ns5"}) {
    const std::string json = measured("step --vocab-size 24 --seq-len 16 --noise-vocab-size 8 --dim 16 --batch-size 2" +
                                      (" --dtype float64 --read " + read));
    CHECK(contains(json, "\"read\": \"" + read + "\""));
    CHECK(number_in(json, "batch_size") == 2);
  }
}

TEST_CASE("bench: scan") {
  const std::string small = "scan --width 16 --tokens 40 --heads 6 ";
  const std::string json = measured(small + "--instruction-set baseline");
  CHECK(contains(json, "\n  \"forward\": {"));
  CHECK(contains(json, "\n  \"backward\": {"));
  CHECK(contains(json, "\"instruction_set\": \"baseline\""));
  CHECK(number_in(json, "us_per_token_and_head") == doctest::Approx(number_in(json, "seconds") * 2 / (40 * 6) * 1e6));
  CHECK(number_in(json, "mean_terms") < number_in(json, "most_terms"));
  const std::string worst = measured(small + "--worst-case --dtype float64");
  const std::string usual = measured(small + "--dtype float64");
  CHECK(number_in(worst, "mean_terms") > number_in(usual, "mean_terms"));
  CHECK(number_in(worst, "mean_terms") < number_in(worst, "most_terms"));
  CHECK_FALSE(contains(measured(small + "--read raw"), "terms"));
}

TEST_CASE("bench: ops") {
  const std::string small = "ops --setting v24_s16 --noise-vocab-size 8 --batch-size 2 --repeats 2 --threads 1 --quiet";
  for (const std::string dtype : {"float32", "float64"}) {
    const ProgramResult result = run_shell("orthoread bench " + small + " --json --dtype " + dtype);
    REQUIRE_MESSAGE(result.exit_code == 0, result.err);
    const Json found = parse_json(result.out, "bench");
    double total = 0;
    std::string names;
    for (const Json& op : found["ops"]) {
      total += op["seconds"].get<double>();
      CHECK(op["seconds"] > 0);
      CHECK(op["composed_seconds"] > 0);
      names += op["name"].get<std::string>() + "; ";
    }
    CHECK(names ==
          "linear, 94 to 384; linear, 192 to 94; linear, 94 to 24; norm_linear_split; causal_conv_silu; "
          "linear_maps; gated_norm_linear; norm_linear; cross_entropy; ");
    CHECK(found["seconds"].get<double>() == doctest::Approx(total));
  }
  const std::string table = run_shell("orthoread bench " + small).out;
  CHECK_MESSAGE(contains(table, "composed of\nlinear, 94 to 384"), table);
  CHECK(contains(table, "matmul (OpenBLAS)\n"));
}

TEST_CASE("bench: gemm") {
  const std::string json = measured("gemm");
  for (const char* size : {"48", "96", "256", "1024"}) CHECK(contains(json, fmt::format("\n  \"gemm_{}\": {{", size)));
  CHECK(number_in(json, "fraction_of_gemm") == doctest::Approx(1));
}

TEST_CASE("bench: a BLAS that is slower than it could be") {
  if (!supported(InstructionSet::avx2)) {
    MESSAGE("skipped: this processor has no AVX2 for OpenBLAS to leave unused");
    return;
  }
  const auto warning = [](const std::string& environment) {
    return run_shell(environment + " orthoread bench scan --width 4 --tokens 4 --heads 2 --repeats 1 --quiet").err;
  };
  const std::string core = warning("unset OPENBLAS_L2_SIZE; OPENBLAS_CORETYPE=Prescott");
  CHECK_MESSAGE(contains(core, "orthoread: OpenBLAS runs its core Prescott, which leaves this processor's AVX"), core);
  CHECK(contains(core, " unused: unset OPENBLAS_CORETYPE\n"));
  CHECK(warning("unset OPENBLAS_CORETYPE; OPENBLAS_L2_SIZE=512") ==
        "orthoread: OpenBLAS takes the size of the cache from OPENBLAS_L2_SIZE: unset it\n");
}

TEST_CASE("bench: the table") {
  const ProgramResult result = run_shell("orthoread bench scan --width 16 --tokens 8 --heads 2 --repeats 1 --quiet");
  CHECK(result.exit_code == 0);
  for (const char* word : {"forward", "backward", "both", "median", "minimum", "GFLOP/s", "of gemm", "peak memory"})
    CHECK_MESSAGE(contains(result.out, word), result.out);
}

TEST_CASE("bench: errors") {
  check_usage_error("orthoread bench", "A subcommand is required (orthoread bench --help lists what is allowed)");
  check_usage_error("orthoread bench scan --width 0", "--width: a whole number from 1 is allowed, not 0");
  check_usage_error("orthoread bench scan --tokens 0", "--tokens: a whole number from 1 is allowed, not 0");
  check_usage_error("orthoread bench scan --heads=-1", "--heads: a whole number from 1 is allowed, not -1");
  check_usage_error("orthoread bench scan --read orth",
                    "read: raw and ns<k> with k from 0 to 10 are allowed, not 'orth'");
  check_usage_error("orthoread bench gemm --dtype float16", "--dtype: float32 and float64 are allowed, not 'float16'");
  check_usage_error("orthoread bench step --dtype float16", "--dtype: float32 and float64 are allowed, not 'float16'");
  check_usage_error("orthoread bench step --repeats 0", "--repeats: a whole number from 1 is allowed, not 0");
  check_usage_error("orthoread bench step --batch-size 0",
                    "--batch-size: a whole number from 1 to 1000000000 is allowed, not 0");
  const ProgramResult unknown = run_shell("orthoread bench scan --instruction-set mmx");
  CHECK(unknown.exit_code == 2);
  CHECK_MESSAGE(contains(unknown.err, "orthoread: --instruction-set: baseline"), unknown.err);
  CHECK_MESSAGE(contains(unknown.err, "allowed here, not 'mmx'"), unknown.err);
}

}  // namespace orthoread
