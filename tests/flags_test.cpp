// The flags of the program: errors, --help, and the flags that all commands share.
#include "data/files.h"
#include "tests/program.h"

#include <doctest/doctest.h>

namespace orthoread {

namespace fs = std::filesystem;

TEST_CASE("usage errors end in one line and exit code 2") {
  const TemporaryFolder folder;
  const std::string train = "orthoread train --quiet --out " + folder / "new ";
  check_refused("orthoread", 2, "A command is required");
  check_refused("orthoread fly", 2, "fly");
  check_refused(train + "--rate 1", 2, "--rate");
  check_refused(train + "--steps many", 2, "--steps");
  check_refused(train + "--setting v80", 2, "unknown setting 'v80'");
  check_refused(train + "--seq-len 511", 2, "seq_len");
  check_refused(train + "--vocab-size 17", 2, "vocab_size");
  check_refused(train + "--frac-noise 1", 2, "frac_noise");
  check_refused(train + "--frac-noise nan", 2, "frac_noise");
  check_refused(train + "--frac-noise=-0.1", 2, "frac_noise");
  check_refused(train + "--lr 0", 2, "--lr: a number above 0 is allowed, not 0");
  check_refused(train + "--lr=-1", 2, "--lr: a number above 0 is allowed, not -1");
  check_refused(train + "--lr nan", 2, "--lr: a number above 0 is allowed, not nan");
  check_refused(train + "--read ns11", 2, "raw and ns<k> with k from 0 to 10 are allowed, not 'ns11'");
  check_refused(train + "--read orth", 2, "'orth'");
  check_refused(train + "--heads 5", 2, "heads: must divide the inner width 192");
  check_refused(train + "--dtype float16", 2, "float32 and float64");
  check_refused(train + "--schedule linear", 2, "cosine and constant");
  check_refused(train + "--steps 0", 2, "--steps: a whole number from 1");
  check_refused(train + "--threads 0", 2, "threads: from 1");
  CHECK_FALSE(fs::exists(folder / "new"));
}

TEST_CASE("numbers that do not fit are refused, not clamped") {
  const TemporaryFolder folder;
  const std::string train = "orthoread train --quiet --out " + folder / "new ",
                    data = "orthoread data --out " + folder / "new ";
  const std::string huge = "99999999999999999999999", unsigned_range = "a whole number from 0 to 18446744073709551615",
                    signed_range = "a whole number up to 9223372036854775807";
  check_refused(train + "--seed -1", 2, "orthoread: --seed: " + unsigned_range + " is allowed, not '-1'");
  check_refused(train + "--seed 9223372036854775808", 2, "orthoread: --seed: from 0 to 4611686018427387904 is allowed");
  check_refused(data + "--data-seed -1", 2, "--data-seed: " + unsigned_range + " is allowed, not '-1'");
  check_refused(data + "--data-seed " + huge, 2, "--data-seed: " + unsigned_range + " is allowed, not '" + huge);
  check_refused(data + "--instances 1e3", 2, "--instances: " + signed_range + " is allowed, not '1e3'");
  check_refused(train + "--steps " + huge, 2, "--steps: " + signed_range + " is allowed, not '" + huge);
  check_refused(train + "--steps 0x10", 2, "--steps: " + signed_range);
  check_refused(train + "--vocab-size " + huge, 2, "--vocab-size: " + signed_range);
  check_refused(train + "--dim ''", 2, "--dim: " + signed_range + " is allowed, not ''");
  check_refused(train + "--lr 1e999", 2, "--lr: a number up to 1.7976931348623157e+308 is allowed, not '1e999'");
  check_refused(train + "--lr 1e-999", 2, "--lr: a number up to");
  check_refused(train + "--lr '1 2'", 2, "--lr: a number up to");
  check_refused("orthoread info --threads 4294967297", 2, "--threads: a whole number up to 2147483647");
  check_refused("orthoread bench gemm --repeats " + huge, 2, "--repeats: " + signed_range);
  check_refused("orthoread gradcheck read --seed -1", 2, "--seed: " + unsigned_range);
  check_refused("orthoread eval --checkpoint none --batches " + huge, 2, "--batches: " + signed_range);
  check_refused(train + "--steps 1000000001", 2,
                "--steps: a whole number from 1 to 1000000000 is allowed, not 1000000001");
  check_refused(train + "--val-batches 4000000000000000000", 2,
                "--val-batches: a whole number from 1 to 1000000 is allowed, not 4000000000000000000");
  check_refused(train + "--batch-size 1000000001", 2, "--batch-size: a whole number from 1 to 1000000000 is allowed");
  check_refused("orthoread eval --checkpoint none --batches 1000001", 2,
                "--batches: a whole number from 1 to 1000000 is allowed, not 1000001");
  CHECK_FALSE(fs::exists(folder / "new"));
  REQUIRE(run_shell("orthoread data --instances 2 --data-seed 010 --out " + folder / "a").exit_code == 0);
  REQUIRE(run_shell("orthoread data --instances 2 --data-seed 10 --out " + folder / "b").exit_code == 0);
  CHECK((read_file(folder / "a") == read_file(folder / "b")));  // decimal, not octal
}

TEST_CASE("a validation set without a query is refused") {
  const TemporaryFolder folder;
  const std::string message = "the validation set of 1 batches of 1 sequences of 4 tokens has no query",
                    one_pair = " --batch-size 1 --seq-len 4 --frac-noise 0.99";
  check_refused("orthoread train --out " + folder / "new " + kSmallRun + one_pair + " --val-batches 1", 2, message);
  REQUIRE(run_shell("orthoread train --out " + folder / "run " + kSmallRun + " --steps 1").exit_code == 0);
  check_refused("orthoread eval --checkpoint " + folder / "run/model.safetensors --batches 1" + one_pair, 2, message);
}

TEST_CASE("commands that compute have --instruction-set") {
  for (const std::string set : {"baseline", "avx2", "avx512"}) {
    const ProgramResult flag = run_shell("orthoread info --json --instruction-set " + set),
                        variable = run_shell("ORTHOREAD_ISA=" + set + " '" ORTHOREAD_PROGRAM "' info --json");
    CHECK(variable.exit_code == 0);
    if (contains(variable.out, "\"instruction_set\": \"" + set + "\"")) {
      CHECK(flag.out == variable.out);
    } else {  // the processor lacks it
      CHECK(flag.exit_code == 2);
    }
  }
  CHECK(contains(run_shell("ORTHOREAD_ISA=avx512 '" ORTHOREAD_PROGRAM "' info --json --instruction-set baseline").out,
                 "\"instruction_set\": \"baseline\""));
  for (const std::string command : {"train --out /dev/null", "eval --checkpoint none", "gradcheck", "bench gemm"})
    check_refused("orthoread " + command + " --instruction-set mmx", 2, "allowed here, not 'mmx'");
  check_refused("orthoread data --out none --instruction-set baseline", 2, "--instruction-set");
}

TEST_CASE("help names the defaults and an example; info and version answer") {
  for (const std::string command :
       {"data", "train", "eval", "gradcheck", "bench step", "bench scan", "bench gemm", "info"}) {
    const ProgramResult result = run_shell("orthoread " + command + " --help");
    CHECK(result.exit_code == 0);
    CHECK(contains(result.out, "Example:\n  orthoread " + command));
    CHECK(contains(result.out, "--threads"));
  }
  CHECK(contains(run_shell("orthoread train --help").out, "ns5"));
  std::string version = run_shell("orthoread --version").out;
  CHECK(version.starts_with("0.1.0"));
  version.pop_back();
  const std::string info = run_shell("orthoread info --json").out;
  CHECK(contains(info, "\"version\": \"" + version + "\""));
  CHECK(contains(info, "\"blas\""));
}

}  // namespace orthoread
