// The program through its command line.
#include "tests/program.h"
#include "data/files.h"
#include "data/safetensors.h"
#include "tests/golden.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <map>

namespace orthoread {
namespace {

namespace fs = std::filesystem;

/// The number after "key": in JSON text.
double number_in(const std::string& json, const std::string& key) {
  const size_t at = json.find("\"" + key + "\":");
  REQUIRE_MESSAGE(at != std::string::npos, key << " is missing in " << json);
  return std::strtod(json.c_str() + at + key.size() + 3, nullptr);
}

}  // namespace

TEST_CASE("data writes the golden tokens") {
  const TemporaryFolder folder;
  const std::map<std::string, std::string> flags = {
      {"mad_v80_s512_seed11", "--setting v80_s512 --data-seed 11 --instances 4"},
      {"mad_v96_s1024_seed12", "--setting v96_s1024 --data-seed 12 --instances 2"},
      {"mad_v32_s128_single_query_seed3",
       "--vocab-size 32 --seq-len 128 --frac-noise 0.2 --single-query --data-seed 3 --instances 4"}};
  for (const auto& [name, setting] : flags) {
    const Safetensors expected = Safetensors::read(golden(name + ".safetensors"));
    for (const std::string split : {"train", "eval"}) {
      const ProgramResult result = run_shell("orthoread data --out " + folder / "out " + setting + " --split " + split);
      REQUIRE_MESSAGE(result.exit_code == 0, result.err);
      const Safetensors written = Safetensors::read(folder / "out");
      for (const std::string part : {"inputs", "targets"}) {
        const Array<int64_t> a = written.get<int64_t>(part), b = expected.get<int64_t>(split + "." + part);
        REQUIRE(a.shape() == b.shape());
        CHECK(std::equal(a.data(), a.data() + a.size(), b.data()));
      }
    }
  }
}

TEST_CASE("train follows PyTorch's curves") {
  for (const std::string read : {"raw", "ns5"}) {
    const TemporaryFolder folder;
    const Safetensors expected = Safetensors::read(golden("curve_" + read + "_f64.safetensors"));
    SafetensorsWriter start;
    for (const std::string& name : expected.names()) {
      if (name.starts_with("start.")) start.add(name.substr(6), expected.get<double>(name));
    }
    start.write(folder / "start");
    const ProgramResult result =
        run_shell("orthoread train --out " + folder / "run --init " + folder / "start --read " + read +
                  " --vocab-size 24 --seq-len 64 --noise-vocab-size 8 --frac-noise 0.5 --dim 16 --heads 4 --batch-size "
                  "4 --lr 0.01"
                  " --steps 30 --dtype float64 --data-seed 7 --quiet");
    REQUIRE_MESSAGE(result.exit_code == 0, result.err);

    std::istringstream lines(read_file(folder / "run/metrics.jsonl"));
    int64_t step = 0;
    for (std::string line; std::getline(lines, line);) {
      if (!contains(line, "grad_norm")) continue;
      for (const std::string key : {"loss", "grad_norm", "lr"}) {
        const double value = expected.get<double>(key).data()[step];
        CHECK(std::abs(number_in(line, key) - value) <= 1e-9 * std::abs(value));
      }
      ++step;
    }
    CHECK(step == 30);
    const Safetensors model = Safetensors::read(folder / "run/model.safetensors");
    CHECK(model.names().size() == 18);
    for (const std::string& name : model.names()) {
      const Array<double> a = model.get<double>(name), b = expected.get<double>("end." + name, a.shape());
      double error = 0, size = 0;
      for (int64_t i = 0; i < a.size(); ++i) {
        error = std::max(error, std::abs(a.data()[i] - b.data()[i]));
        size = std::max(size, std::abs(b.data()[i]));
      }
      CHECK_MESSAGE(error <= 1e-9 * size, name);
    }
  }
}

TEST_CASE("an interrupted and resumed run has the same result") {
  const TemporaryFolder folder;
  const std::string long_run = kSmallRun + " --steps 150";  // so that the signal arrives long before the end
  REQUIRE(run_shell("orthoread train --threads 1 --out " + folder / "whole " + long_run).exit_code == 0);
  const std::string whole = run_files(folder / "whole");
  const std::string run = folder / "run", metrics = run + "/metrics.jsonl",
                    train = "orthoread train --out " + run + " " + long_run;
  // Sends the signal once the run has added this many lines to metrics.jsonl: earlier it may still be starting.
  const auto after_lines = [&](int more, const std::string& signal) {
    const std::string lines = "$(cat " + metrics + " 2> /dev/null | wc -l)";
    return run_shell("before=" + lines + "; '" + std::string(ORTHOREAD_PROGRAM) + "' train --resume --out " + run +
                     " " + long_run + " & until [ " + lines + " -ge $((before + " + std::to_string(more) +
                     ")) ] || ! kill -0 $! 2> /dev/null; do :; done; kill -" + signal + " $! ; wait $!");
  };

  SUBCASE("by SIGTERM and SIGUSR1") {
    for (const auto& [more, signal] : {std::pair(4, "TERM"), {12, "USR1"}, {13, "INT"}}) {
      const ProgramResult result = after_lines(more, signal);
      if (std::string(signal) == "INT") continue;  // background jobs ignore it
      CHECK_MESSAGE(result.exit_code == 75, result.err);
      const int64_t steps = Safetensors::read(run + "/state.safetensors").get<int64_t>("steps").item();
      CHECK_MESSAGE(contains(result.err, fmt::format("interrupted after step {};", steps)), result.err);
      CHECK_FALSE(fs::exists(run + "/result.json"));
    }
  }
  SUBCASE("by kill -9") {
    CHECK(after_lines(12, "KILL").exit_code == 128 + 9);
    CHECK_FALSE(fs::exists(run + "/model.safetensors"));
  }
  const ProgramResult result = run_shell(train + " --resume --threads 2");
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  CHECK((run_files(run) == whole));  // one thread and two, interrupted or not
  CHECK_FALSE(contains(run_shell("ls " + run).out, ".tmp"));

  const ProgramResult again = run_shell(train + " --resume --json");
  CHECK(again.exit_code == 0);
  CHECK(number_in(again.out, "steps_run") == 150);
}

TEST_CASE("eval agrees with train") {
  const TemporaryFolder folder;
  const ProgramResult trained = run_shell("orthoread train --json --seed 5 --out " + folder / "run " + kSmallRun);
  REQUIRE(trained.exit_code == 0);
  const std::string eval = "orthoread eval --json --checkpoint " +
                           folder / "run/model.safetensors --data-seed 10005 --batches 2 --batch-size 4";
  const ProgramResult evaluated = run_shell(eval);
  REQUIRE_MESSAGE(evaluated.exit_code == 0, evaluated.err);
  CHECK(number_in(evaluated.out, "val_loss") == number_in(trained.out, "final_val_loss"));
  CHECK(number_in(evaluated.out, "val_accuracy") == number_in(trained.out, "final_val_accuracy"));
  CHECK(contains(evaluated.out, "\"read\":\"ns1\""));  // from the checkpoint's metadata
  CHECK(evaluated.err.empty());
  const ProgramResult streamed = run_shell(eval + " --stream");
  CHECK(std::abs(number_in(streamed.out, "val_loss") - number_in(evaluated.out, "val_loss")) <= 1e-5);
  const ProgramResult raw = run_shell(eval + " --read raw");
  CHECK(contains(raw.out, "\"read\":\"raw\""));
  CHECK(number_in(raw.out, "val_loss") != number_in(evaluated.out, "val_loss"));
}

TEST_CASE("eval gives the published accuracies") {
  const std::optional<std::string> checkpoints = replication_folder();
  if (!checkpoints) return;
  struct Published {
    std::string name;
    int seed;
    double raw_accuracy, raw_loss, ns5_accuracy, ns5_loss;
  };
  for (const Published& run : {Published{"baseline", 25, .9666, .2422, .9714, .1318},
                               {"baseline", 26, .4598, 2.4258, .4892, 2.4165},
                               {"ns5", 11, .9617, 1.6962, .9939, .1268},
                               {"ns5", 18, .7625, 1.6348, .9106, .7811}}) {
    for (const std::string read : {"raw", "ns5"}) {
      const ProgramResult result = run_shell(
          fmt::format("orthoread eval --json --checkpoint '{}/v80_s512_{}_seed{}_steps2000.safetensors' --read {} "
                      "--data-seed {}",
                      *checkpoints, run.name, run.seed, read, 10000 + run.seed));
      REQUIRE_MESSAGE(result.exit_code == 0, result.err);
      CHECK(std::abs(number_in(result.out, "val_accuracy") - (read == "raw" ? run.raw_accuracy : run.ns5_accuracy)) <=
            .0005);
      CHECK(std::abs(number_in(result.out, "val_loss") - (read == "raw" ? run.raw_loss : run.ns5_loss)) <= .001);
    }
  }
}

TEST_CASE("a diverging run stops, says so, and keeps its last good checkpoint") {
  const TemporaryFolder folder;
  const ProgramResult result =
      run_shell("orthoread train --json --out " + folder / "run " + kSmallTask +
                " --dim 16 --steps 20 --batch-size 2 --val-batches 1 --lr 1e300 --schedule constant");
  CHECK(result.exit_code == 1);
  CHECK_MESSAGE(contains(result.err, "diverged at step 1:"), result.err);
  CHECK(contains(result.out, "\"outcome\":\"diverged\""));
  CHECK(contains(read_file(folder / "run/result.json"), "diverged"));
  CHECK_FALSE(fs::exists(folder / "run/model.safetensors"));
  const ProgramResult again =
      run_shell("orthoread train --resume --json --out " + folder / "run " + kSmallTask +
                " --dim 16 --steps 20 --batch-size 2 --val-batches 1 --lr 1e300 --schedule constant");
  CHECK(again.exit_code == 1);
  CHECK(again.out == result.out);
  const Safetensors state = Safetensors::read(folder / "run/state.safetensors");
  for (const std::string& name : state.names()) {
    if (name == "steps" || name == "data_stream") continue;
    const Array<float> values = state.get<float>(name);
    CHECK(std::all_of(values.data(), values.data() + values.size(), [](float x) { return std::isfinite(x); }));
  }
}

TEST_CASE("weights that once gave NaN can be trained") {
  const TemporaryFolder folder;
  for (const std::string set : {"baseline", "avx2", "avx512"}) {
    const ProgramResult result =
        run_shell("export ORTHOREAD_ISA=" + set + "; orthoread train --quiet --out " + folder / set +
                  " --vocab-size 20 --seq-len 8 --noise-vocab-size 4 --dim 8 --heads 2 --batch-size 16 --val-batches 1"
                  " --steps 20 --lr 1e-12 --schedule constant --init " +
                  golden("weights_that_gave_nan.safetensors"));
    CHECK_MESSAGE(result.exit_code == 0, set << ": " << result.err);
  }
}

TEST_CASE("bad files give one line and leave nothing behind") {
  const TemporaryFolder folder;
  const std::string run = "orthoread train --quiet --out " + folder / "new " + kSmallRun + " --init " + folder / "bad";
  const std::string eval = "orthoread eval --checkpoint " + folder / "bad";
  const auto both = [&](const std::string& message) {
    check_refused(run, 2, message);
    check_refused(eval, 2, message);
  };
  both("cannot read " + folder / "bad: No such file or directory");

  REQUIRE(run_shell("orthoread train --out " + folder / "run " + kSmallRun + " --steps 1").exit_code == 0);
  const std::string good = read_file(folder / "run/model.safetensors");
  const auto write = [&](const std::string& bytes) { write_file_atomically(folder / "bad", bytes); };
  write(good.substr(0, good.size() / 2));
  both(folder / "bad: ");
  write("");
  both(folder / "bad: ");
  write(std::string("\x00\x00\x64\xa7\xb3\xb6\xe0\x0d", 8) + "{}");  // a header of 10^18 bytes
  both("1000000000000000000");
  write(good.substr(0, 8) + "[" + good.substr(9));
  both(folder / "bad: ");
  SafetensorsWriter wrong;
  const Safetensors file = Safetensors::read(folder / "run/model.safetensors");
  for (const std::string& name : file.names()) {
    wrong.add(name, name == "head.bias" ? Array<float>({25}) : file.get<float>(name));
  }
  wrong.write(folder / "bad");
  check_refused(run, 2, "head.bias");
  check_refused(eval + " " + kSmallTask, 2, "head.bias");
  check_refused("orthoread eval --checkpoint " + folder / "run/model.safetensors --vocab-size 30", 2,
                "the checkpoint has 24 tokens, the task 30");
}

TEST_CASE("a folder with other files is refused and does not change") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  REQUIRE(run_shell("orthoread train --out " + run + " " + kSmallRun).exit_code == 0);
  const std::string before = run_files(run) + read_file(run + "/config.json");
  check_refused("orthoread train --out " + run + " " + kSmallRun, 2, "already holds this run, done; add --resume");
  check_refused("orthoread train --resume --out " + run + " " + kSmallRun + " --seed 12", 2,
                "holds another run (seed 11, asked for 12)");
  CHECK((run_files(run) + read_file(run + "/config.json") == before));

  fs::create_directory(folder / "other");
  write_file_atomically(folder / "other/letter.txt", "dear");
  check_refused("orthoread train --out " + folder / "other " + kSmallRun, 2, "is not empty and holds no run");
  CHECK(run_shell("ls " + folder / "other").out == "letter.txt\n");
  check_refused("orthoread train --out " + folder / "other/letter.txt " + kSmallRun, 2, "cannot make the folder");
  check_refused("orthoread train --out /proc/orthoread " + kSmallRun, 2, "cannot make the folder");
  check_refused("orthoread data --out /proc/orthoread", 2, "cannot write /proc/orthoread");
  check_refused(
      "flock " + run + "/lock -c \"'" ORTHOREAD_PROGRAM "' train --resume --out " + run + " " + kSmallRun + "\"", 2,
      "another process is at work");
}

TEST_CASE("a run that failed to start does not block the corrected command") {
  const TemporaryFolder folder;
  const std::string train = "orthoread train --out " + folder / "new/run " + kSmallRun;
  write_file_atomically(folder / "bad", "bad");
  check_refused(train + " --init " + folder / "bad", 2, folder / "bad: not a safetensors file");
  SafetensorsWriter().write(folder / "bad");
  check_refused(train + " --init " + folder / "bad", 2, "embedding.weight");
  CHECK_FALSE(fs::exists(folder / "new"));
#ifndef ORTHOREAD_ADDRESS_SANITIZER  // AddressSanitizer ends the program when memory runs out
  check_refused(train + " --dim 1048576 --proj-factor 64", 1, "out of memory");
  CHECK_FALSE(fs::exists(folder / "new"));
  check_refused("ulimit -v 600000; " + train + " --batch-size 12000 --val-batches 1", 1,
                "out of memory");  // in a training step
  CHECK_FALSE(fs::exists(folder / "new"));
#endif
  CHECK(run_shell(train).exit_code == 0);
}

TEST_CASE("a damaged run says so, and continues from the previous checkpoint, bit for bit") {
  const TemporaryFolder folder;
  const std::string run = folder / "run", train = "orthoread train --resume --out " + run + " " + kSmallRun;
  REQUIRE(run_shell(train).exit_code == 0);
  const std::string whole = run_files(run);
  const auto unfinish = [&] {
    fs::remove(run + "/result.json");
    fs::remove(run + "/model.safetensors");
  };
  unfinish();
  std::string state = read_file(run + "/state.safetensors");
  state[state.size() - 5] = static_cast<char>(state[state.size() - 5] ^ 1);
  write_file_atomically(run + "/state.safetensors", state);
  const ProgramResult result = run_shell(train);
  CHECK(result.exit_code == 0);
  CHECK(result.err == "orthoread: " + run +
                          "/state.safetensors: damaged: its checksum is wrong; continues from the "
                          "previous checkpoint, of step 35\n");
  CHECK((run_files(run) == whole));

  unfinish();
  fs::remove(run + "/state.safetensors");
  fs::remove(run + "/state.previous.safetensors");
  check_refused(train, 2, "no checkpoint to continue from: cannot read " + run + "/state.safetensors");
  write_file_atomically(run + "/result.json", std::string(100000, '['));
  check_refused(train, 2, run + "/result.json: damaged");
}

TEST_CASE("a resumed run keeps its instruction set, or says from which step on the bits differ") {
  const TemporaryFolder folder;
  const std::string run = folder / "run", train = "orthoread train --resume --out " + run + " " + kSmallRun;
  REQUIRE(run_shell(train + " --instruction-set baseline").exit_code == 0);
  const std::string whole = run_files(run);
  const auto back_to_step_35 = [&] {
    for (const char* name : {"/result.json", "/model.safetensors", "/state.safetensors"}) fs::remove(run + name);
  };
  const auto resume = [&](const std::string& flags) {
    back_to_step_35();
    const ProgramResult result = run_shell(train + flags);
    CHECK_MESSAGE(result.exit_code == 0, result.err);
    return result.err;
  };
  const std::string best = run_shell("orthoread info --json").out;
  if (!contains(best, "\"instruction_set\": \"baseline\"")) {
    CHECK(contains(resume(""),
                   "orthoread: continues with the instruction set baseline, as before, to stay bit-identical\n"));
    CHECK((run_files(run) == whole));
    CHECK_FALSE(contains(read_file(run + "/result.json"), "arithmetic_changes"));
    CHECK(contains(resume(" --instruction-set avx2"),
                   "instruction_set was baseline, is avx2 from step 36 on: the bits "
                   "will differ"));
    CHECK(contains(read_file(run + "/result.json"), "\"step\": 36"));
  }
  // A run from a machine with another processor.
  std::string config = read_file(run + "/config.json");
  config.replace(config.find("\"baseline\""), 10, "\"neon\"");
  write_file_atomically(run + "/config.json", config);
  CHECK(contains(resume(""), "instruction_set was neon, is "));
  CHECK(contains(read_file(run + "/result.json"), "\"from\": \"neon\""));
  // A run of another version of the program.
  const size_t version = config.find("\"version\": \"0.1.0");
  REQUIRE(version != std::string::npos);
  config.insert(version + 12, "0.");
  write_file_atomically(run + "/config.json", config);
  CHECK(contains(resume(""), "version was 0.0.1.0"));
  CHECK(contains(read_file(run + "/result.json"), "\"what\": \"version\""));
}

TEST_CASE("train keeps the weights of its checkpoints if asked") {
  const TemporaryFolder folder;
  const std::string train = "orthoread train --out " + folder / "run " + kSmallRun;
  REQUIRE(run_shell(train + " --keep-checkpoints").exit_code == 0);
  CHECK(run_shell("ls -v " + folder / "run/checkpoints").out ==
        "0.safetensors\n7.safetensors\n14.safetensors\n21.safetensors\n28.safetensors\n35.safetensors\n"
        "40.safetensors\n");
  CHECK((read_file(folder / "run/checkpoints/40.safetensors") == read_file(folder / "run/model.safetensors")));
  const Safetensors early = Safetensors::read(folder / "run/checkpoints/7.safetensors");
  const Array<float> then = early.get<float>("head.bias"),
                     end = Safetensors::read(folder / "run/model.safetensors").get<float>("head.bias");
  CHECK_FALSE(std::equal(then.data(), then.data() + then.size(), end.data()));
}

TEST_CASE("a full disk gives one line, exit code 1, and no partial file") {
  const TemporaryFolder folder;
  const std::string train = "orthoread train --out " + folder / "run " + kSmallRun;
  const std::string limit = "ulimit -f 100; ";  // 50 KiB per file: config.json fits, state.safetensors does not
  check_refused(limit + train, 1, "cannot write " + folder / "run/state.safetensors: File too large");
  check_refused(limit + "orthoread data --instances 100 --out " + folder / "data", 1, "File too large");
  CHECK(run_shell("ls " + folder.path()).out == "run\n");
  CHECK(run_shell("ls " + folder / "run").out == "config.json\nlock\nmetrics.jsonl\n");
  CHECK(run_shell(train + " --resume").exit_code == 0);  // once there is room again
  check_refused("orthoread info > /dev/full", 1, "cannot write to stdout");
}

}  // namespace orthoread
