// Sweeps through the command line: many runs, each its own process, which survive the end of any process.
#include "apps/json_file.h"
#include "apps/train/run_state.h"
#include "data/files.h"
#include "tests/sweep_files.h"

#include <doctest/doctest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <sstream>
#include <vector>

namespace orthoread {
namespace {

namespace fs = std::filesystem;

/// The files of the sweep's runs, by folder name, that must not depend on interruptions.
std::map<std::string, std::string> results(const std::string& sweep) {
  std::map<std::string, std::string> found;
  for (const auto& entry : fs::directory_iterator(sweep + "/runs")) {
    if (!entry.is_directory()) continue;
    const std::string folder = entry.path();
    found[entry.path().filename()] = read_file(folder + "/metrics.jsonl") + read_file(folder + "/model.safetensors");
  }
  return found;
}

/// A sweep's list or status, as JSON.
Json asked(const std::string& arguments) {
  const ProgramResult result = run_shell("orthoread sweep " + arguments + " --json");
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  return parse_json(result.out, "stdout");
}

}  // namespace

TEST_CASE("sweep does every run of a grid once") {
  const Files files(grid(R"("steps": 20)", R"("read": ["raw", "ns1"], "seed": {"from": 3, "to": 4})"));
  const Json before = asked(files.arguments() + " --status");
  CHECK(before["counts"]["pending"] == 4);
  CHECK(before["todo"] == "0-3");
  CHECK_FALSE(fs::exists(files.out));  // --list and --status create nothing

  const ProgramResult result = run_shell("orthoread sweep " + files.arguments());
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  const Json list = asked(files.arguments() + " --list");
  REQUIRE(list.size() == 4);
  for (size_t i = 0; i < 4; ++i) {
    CHECK(list[i]["index"] == i);
    CHECK(list[i]["state"] == "done");
    CHECK(list[i]["settings"]["seed"] == 3 + i % 2);
    const std::string folder = list[i]["folder"];
    CHECK(contains(folder, files.out + "/runs/" + (i < 2 ? "raw" : "ns1") + "-seed" + std::to_string(3 + i % 2) + "-"));
    CHECK(fs::exists(folder + "/log.txt"));
    CHECK(contains(result.err, "done    " + fs::path(folder).filename().string()));
  }
  const Json after = asked(files.arguments() + " --status");
  CHECK(after["counts"]["done"] == 4);
  CHECK(after["todo"] == "");

  const std::map<std::string, std::string> first = results(files.out);
  CHECK(files.sweep().exit_code == 0);
  CHECK(results(files.out) == first);
  // A run of the sweep equals a run of `train` with the same settings.
  const ProgramResult alone =
      run_shell("orthoread train --quiet --out " + files.folder / "alone" +
                " --vocab-size 24 --seq-len 32 --noise-vocab-size 8 --frac-noise 0.5 --dim 16 --batch-size 4 --lr 0.01"
                " --eval-every 20 --val-batches 2 --steps 20 --read ns1 --seed 4");
  REQUIRE(alone.exit_code == 0);
  const std::string folder = list[3]["folder"];
  CHECK(read_file(folder + "/model.safetensors") == read_file(files.folder / "alone/model.safetensors"));
}

TEST_CASE("sweep gives the same bits, however often it is killed" * doctest::test_suite("long")) {
  const std::string text = grid(R"("steps": 2000)", R"("read": ["raw", "ns1"], "seed": [1, 2])");
  const Files whole(text), torn(text);
  REQUIRE(whole.sweep("--jobs 2").exit_code == 0);
  // Kills the sweep, one of its children, or all of them, at moments that differ from one execution of this test to the
  // next: the result must be the same for all.
  const char* count = std::getenv("ORTHOREAD_KILLS");
  const int kills = count == nullptr ? 20 : std::atoi(count);
  const std::string children = "$(pgrep -P $!)";
  const std::string victims[] = {"kill -9 $!", "kill -9 $(pgrep -P $! | head -n 1); sleep 0.1; kill -9 $!",
                                 "kill -9 $! " + children};
  int hit = 0;
  for (int i = 0; i < kills; ++i) {
    CAPTURE(i);
    const std::string flags =
        i % 4 == 3 ? "--shard " + std::to_string(i / 4 % 2) + "/2" : "--jobs " + std::to_string(1 + i % 3);
    const ProgramResult result = run_shell("'" ORTHOREAD_PROGRAM "' sweep " + torn.arguments() + " --quiet " + flags +
                                           " & sleep 0.$((100 + $(od -An -N1 -tu1 /dev/urandom))); " + victims[i % 3] +
                                           " 2> /dev/null; wait $!");
    hit += result.exit_code == 128 + 9;
  }
  const ProgramResult last = torn.sweep("--jobs 2");
  CHECK_MESSAGE(last.exit_code == 0, last.err);
  CHECK((results(torn.out) == results(whole.out)));
  CHECK(hit >= kills / 2);  // else the runs are too short for this machine
}

TEST_CASE("two simultaneous sweeps on one folder do each run once") {
  const std::string text = grid(R"("steps": 40)", R"("read": ["raw", "ns1"], "seed": [1, 2, 3])");
  const Files whole(text), shared(text);
  REQUIRE(whole.sweep().exit_code == 0);
  const std::string sweep = "'" ORTHOREAD_PROGRAM "' sweep " + shared.arguments() + " --jobs 1";
  const ProgramResult both = run_shell(sweep + " & first=$!; " + sweep + "; second=$?; wait $first && exit $second");
  CHECK_MESSAGE(both.exit_code == 0, both.err);
  CHECK((results(shared.out) == results(whole.out)));
  for (const auto& result : results(whole.out)) {
    const std::string& name = result.first;
    size_t started = 0;
    for (size_t at = 0; (at = both.err.find("starts  " + name, at)) != std::string::npos; ++at) ++started;
    CHECK_MESSAGE(started >= 1, name);
    const std::string log = read_file(shared.out + "/runs/" + name + "/log.txt");
    CHECK_MESSAGE(!contains(log, "continues after step"), log);
  }
}

#ifndef ORTHOREAD_ADDRESS_SANITIZER  // which needs terabytes of addresses
TEST_CASE("sweep: a failing run leaves its reason, and the others continue") {
  // A batch of 10^8 sequences: no machine has the memory.
  const std::string text = R"({"name": "g", "fixed": {"vocab_size": 24, "seq_len": 32, "noise_vocab_size": 8,
    "frac_noise": 0.5, "dim": 16, "steps": 10, "val_batches": 1},
    "vary": {"seed": [1, 2], "batch_size": [100000000, 4]}})";
  const Files files(text);
  const std::string limited = "ulimit -v 2000000; ";
  const auto sweep = [&](const std::string& flags) {
    return run_shell(limited + "orthoread sweep " + files.arguments() + " --jobs 1 --quiet " + flags);
  };
  const ProgramResult result = sweep("");
  CHECK(result.exit_code == 1);
  const Json list = asked(files.arguments() + " --list");
  CHECK(list[0]["state"] == "failed");
  CHECK(list[1]["state"] == "done");
  CHECK(list[2]["state"] == "failed");
  CHECK(list[3]["state"] == "done");
  const Json failure = read_json(std::string(list[0]["folder"]) + "/failure.json");
  CHECK(failure["exit_code"] == 1);
  CHECK_MESSAGE(contains(failure["reason"].get<std::string>(), "out of memory"), failure.dump());
  CHECK(asked(files.arguments() + " --status")["todo"] == "");  // failed runs are not retried unless asked

  const std::string log = std::string(list[0]["folder"]) + "/log.txt";
  const auto before = fs::file_size(log);
  CHECK(sweep("").exit_code == 1);
  CHECK(fs::file_size(log) == before);
  CHECK(sweep("--retry-failed").exit_code == 1);
  CHECK(fs::file_size(log) > before);

  const Files stopped(text);
  CHECK(run_shell(limited + "orthoread sweep " + stopped.arguments() + " --jobs 1 --quiet --fail-fast").exit_code == 1);
  CHECK(asked(stopped.arguments() + " --status")["counts"]["pending"] == 3);
  CHECK(
      run_shell(limited + "orthoread sweep " + stopped.arguments() + " --jobs 1 --quiet --max-failures 1").exit_code ==
      1);  // the earlier failure does not count
  CHECK(asked(stopped.arguments() + " --status")["counts"]["done"] == 1);
}
#endif

TEST_CASE("sweep: a run that is in two grids of a file is done once") {
  const std::string one = grid(R"("steps": 5)", R"("seed": [1, 2])");
  const Files files("[" + one + ", " + one + "]");
  const ProgramResult result = run_shell("orthoread sweep " + files.arguments() + " --jobs 2");
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  CHECK_MESSAGE(contains(result.err, "2 runs (2 pending)"), result.err);
  CHECK(results(files.out).size() == 2);
}

TEST_CASE("sweep: diverging runs are counted") {
  const Files files(R"({"name": "g", "fixed": {"vocab_size": 24, "seq_len": 32, "noise_vocab_size": 8, "dim": 16,
    "frac_noise": 0.5, "steps": 10, "batch_size": 2, "val_batches": 1, "schedule": "constant"},
    "vary": {"lr": [1e300, 0.01]}})");
  CHECK(files.sweep().exit_code == 1);
  CHECK(asked(files.arguments() + " --status")["counts"]["diverged"] == 1);
  CHECK(asked(files.arguments() + " --status")["counts"]["done"] == 1);
  CHECK(files.sweep("--retry-failed").exit_code == 1);  // it would diverge again
}

TEST_CASE("sweep: on a signal and at the time limit everything is saved") {
  const std::string text = grid(R"("steps": 100000)", R"("seed": [1, 2, 3])");
  const Files files(text);
  for (const std::string signal : {"TERM", "USR1", "HUP"}) {
    const ProgramResult result = run_shell("'" ORTHOREAD_PROGRAM "' sweep " + files.arguments() +
                                           " --quiet --jobs 2 & sleep 1; kill -" + signal + " $!; wait $!");
    CHECK_MESSAGE(result.exit_code == 75, result.err);
    const Json status = asked(files.arguments() + " --status");
    CHECK(status["counts"]["interrupted"] == 2);
    CHECK(status["counts"]["pending"] == 1);
    CHECK(status["todo"] == "0-2");
  }
  const ProgramResult limited = run_shell("orthoread sweep " + files.arguments() + " --jobs 1 --time-limit 2s");
  CHECK_MESSAGE(limited.exit_code == 75, limited.err);
  CHECK(contains(limited.err, "the time limit is near"));
  CHECK(asked(files.arguments() + " --status")["counts"]["interrupted"] == 2);
}

TEST_CASE("sweep: within the time limit nothing starts that cannot reach its next checkpoint") {
  Json text = parse_json(grid(R"("steps": 1000000)", R"("seed": [1, 2])"), "grid");
  text["fixed"]["checkpoint_every"] = 1000000;
  const Files files(text.dump());
  const ProgramResult first = run_shell("orthoread sweep " + files.arguments() + " --index 0 --time-limit 2s");
  CHECK(first.exit_code == 75);
  CHECK(asked(files.arguments() + " --status")["seconds_left"] > 100);  // no run has ended, but one left a checkpoint
  const ProgramResult second = run_shell("orthoread sweep " + files.arguments() + " --jobs 2 --time-limit 4s");
  CHECK(second.exit_code == 75);
  CHECK_MESSAGE(contains(second.err, "stays   "), second.err);
  CHECK_MESSAGE(!contains(second.err, "starts  "), second.err);
  CHECK(asked(files.arguments() + " --status")["counts"]["pending"] == 1);
}

TEST_CASE("sweep: a terminal that closes leaves every run saved, nohup lets them go on") {
  const std::string in_session = "setsid sh -c '";  // the signal reaches the sweep and its runs, as a terminal's does
  const Files files(grid(R"("steps": 100000)", R"("seed": [1, 2])"));
  const auto hang_up = [&](const std::string& before, const std::string& after) {
    return run_shell(in_session + before + " \"" ORTHOREAD_PROGRAM "\" sweep " + files.arguments() +
                     " --quiet --jobs 2 & sleep 1; trap : HUP; kill -HUP 0; " + after + "'");
  };
  const ProgramResult result = hang_up("", "wait $!");
  CHECK_MESSAGE(result.exit_code == 75, result.err);
  CHECK(asked(files.arguments() + " --status")["counts"]["interrupted"] == 2);
  const Json list = asked(files.arguments() + " --list");
  for (const Json& run : list)
    CHECK(contains(read_file(run["folder"].get<std::string>() + "/log.txt"), "interrupted after"));

  const ProgramResult goes_on =
      hang_up("nohup", "sleep 1; kill -0 $! && kill -TERM $!; wait $!");  // kill -0: it is there
  CHECK_MESSAGE(goes_on.exit_code == 75, goes_on.err);
}

TEST_CASE("sweep: the time left is not less than that of its longest run") {
  const Files files(grid(R"("steps": 400)", R"("seed": [1, 2])"));
  REQUIRE(files.sweep("--index 0").exit_code == 0);
  const auto seconds_left = [&](const char* jobs) {
    return asked(files.arguments() + " --status --jobs " + jobs)["seconds_left"].get<double>();
  };
  CHECK(seconds_left("16") == doctest::Approx(seconds_left("1")));
  CHECK(seconds_left("1") > 0);
}

TEST_CASE("sweep: a signal while runs start is no failure of theirs") {
  for (const std::string signal : {"INT", "TERM", "USR1"}) {
    CAPTURE(signal);
    for (int i = 0; i < 4; ++i) {  // the run's process begins to train about 10 ms after its log is there
      CAPTURE(i);
      const Files files(grid(R"("steps": 100000)", R"("seed": [1, 2])"));
      const ProgramResult result = run_shell("'" ORTHOREAD_PROGRAM "' sweep " + files.arguments() +
                                             " --quiet --jobs 2 & while kill -0 $! && ! ls " + files.out +
                                             "/runs/*/log.txt > /dev/null 2>&1; do :; done; sleep 0.00" +
                                             std::to_string(3 * i) + "; kill -" + signal + " $!; wait $!");
      CHECK_MESSAGE(result.exit_code == 75, result.err);
      CHECK(asked(files.arguments() + " --status")["counts"]["failed"] == 0);
    }
  }
}

TEST_CASE("sweep: --instruction-set is that of the runs whose grid names none") {
  const Files files(R"([{"name": "a", "fixed": {)" + kSmall + R"(, "steps": 1, "seed": 1}}, {"name": "b", "fixed": {)" +
                    kSmall + R"(, "steps": 1, "seed": 2, "instruction_set": "avx2"}}])");
  const ProgramResult result = files.sweep("--instruction-set baseline");
  if (contains(result.err, "baseline is allowed here")) {
    MESSAGE("skipped: this processor has only the baseline's instructions");
    return;
  }
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  const char* expected[] = {"baseline", "avx2"};
  const Json list = asked(files.arguments() + " --list");
  for (size_t i = 0; i < 2; ++i)
    CHECK(read_json(list[i]["folder"].get<std::string>() + "/config.json")["environment"]["instruction_set"] ==
          expected[i]);
}

TEST_CASE("sweep: one index, a job array's variable, chunks and shards") {
  const std::string text = grid(R"("steps": 5)", R"("seed": {"from": 0, "to": 6})");
  const auto done = [](const Files& files) {
    std::string indices;
    const Json list = asked(files.arguments() + " --list");
    for (const Json& run : list)
      if (run["state"] == "done") indices += run["index"].dump();
    return indices;
  };
  {
    const Files files(text);
    CHECK(files.sweep("--index 3").exit_code == 0);
    CHECK(done(files) == "3");
    const auto with = [&](const std::string& variable) {
      return run_shell(variable + " orthoread sweep " + files.arguments() + " --quiet").exit_code;
    };
    CHECK(with("SLURM_ARRAY_TASK_ID=1") == 0);
    CHECK(with("JOB_COMPLETION_INDEX=0") == 0);
    CHECK(with("SGE_TASK_ID=6") == 0);  // counted from 1
    CHECK(with("PBS_ARRAY_INDEX=2") == 0);
    CHECK(done(files) == "01235");
    CHECK(with("SLURM_ARRAY_TASK_ID=7") == 2);
    CHECK(with("SGE_TASK_ID=undefined") == 0);  // not in an array: all runs
    CHECK(done(files) == "0123456");
  }
  {
    const Files files(text);
    CHECK(files.sweep("--chunk 3 --index 1").exit_code == 0);
    CHECK(done(files) == "345");
    CHECK(asked(files.arguments() + " --status --chunk 3")["todo"] == "0,2");
    CHECK(files.sweep("--chunk 3 --index 2").exit_code == 0);
    CHECK(done(files) == "3456");
  }
  {
    const Files files(text);
    CHECK(files.sweep("--shard 1/3").exit_code == 0);
    CHECK(done(files) == "14");
    CHECK(asked(files.arguments() + " --list --shard 1/3").size() == 2);
    CHECK(asked(files.arguments() + " --status --shard 1/3")["todo"] == "");
    CHECK(asked(files.arguments() + " --status --index 2")["todo"] == "2");
    CHECK(files.sweep("--list --index 7").exit_code == 2);
    CHECK(files.sweep("--shard 0/3").exit_code == 0);
    CHECK(files.sweep("--shard 2/3").exit_code == 0);
    CHECK(done(files) == "0123456");
  }
}

TEST_CASE("sweep: the report of a partial sweep lists the runs that have not begun") {
  const Files files(grid(R"("steps": 5)", R"("read": ["raw", "ns1"], "clip": [1, 2], "seed": {"from": 1, "to": 3})"));
  const auto report = [&](const std::string& folders) {
    const ProgramResult result = run_shell("orthoread report " + folders + " --out " + files.folder / "report");
    CHECK_MESSAGE(result.exit_code == 0, result.err);
    return result.out;
  };
  REQUIRE(files.sweep("--index 4").exit_code == 0);
  CHECK(contains(report(files.out),
                 "missing: 11 of 12 runs are not finished (no result.json); 11 of them have not begun.\n"
                 "missing: Not begun: clip 1.0, raw, seeds 1 to 3.\n"
                 "missing: Not begun: clip 2.0, raw, seeds 1, 3.\n"
                 "missing: Not begun: clip 1.0, ns1, seeds 1 to 3.\n"
                 "missing: Not begun: clip 2.0, ns1, seeds 1 to 3.\n"));
  const Json comparison = read_json(files.folder / "report/comparison.json");
  REQUIRE(comparison["not_begun"].size() == 4);
  CHECK(comparison["not_begun"][1]["seeds"] == Json({1, 3}));
  // A run that failed before it began, as for lack of memory.
  const Json list = asked(files.arguments() + " --list");
  make_folders(list[0]["folder"]);
  write_failure(list[0]["folder"], 1, "out of memory");
  CHECK(contains(report(files.out), "11 of them have not begun; 1 of them failed."));
  // A grid of the same name replaces the other; finished runs still count.
  write_file_atomically(files.grid_file, grid(R"("steps": 5, "read": "raw", "clip": 2)", R"("seed": [2, 4])"));
  REQUIRE(files.sweep("--index 0").exit_code == 0);
  CHECK(contains(report(files.out),
                 "missing: 1 of 2 runs are not finished (no result.json); 1 of them have not begun.\n"
                 "missing: Not begun: raw, seed 4.\n"));
  REQUIRE(files.sweep().exit_code == 0);
  CHECK_FALSE(contains(report(files.out), "missing"));
}

TEST_CASE("sweep: a table's file becomes run folders again, and the sweep goes on there") {
  if (run_shell("python3 -c ''").exit_code != 0) {
    MESSAGE("skipped: no python3");
    return;
  }
  const Files files(grid(R"("steps": 40)", R"("read": ["raw", "ns5"])"));
  const std::string scripts = ORTHOREAD_SOURCE_DIR "/docs/results/", table = files.folder / "table.jsonl",
                    again = files.folder / "again", go_on = files.grid_file + " --out " + again;
  const auto collected = [&](const std::string& sweep) {
    const ProgramResult result = run_shell(scripts + "collect.py " + sweep);
    REQUIRE_MESSAGE(result.exit_code == 0, result.err);
    return result.out;
  };
  REQUIRE(files.sweep("--index 1").exit_code == 0);
  write_text(table, collected(files.out));
  REQUIRE(run_shell(scripts + "unpack.py " + table + " " + again).exit_code == 0);
  CHECK(collected(again) == read_file(table));
  CHECK(asked(go_on + " --status")["todo"] == "0");
  REQUIRE(run_shell("orthoread sweep " + go_on).exit_code == 0);
  CHECK(contains(collected(again), read_file(table)));
  CHECK(asked(go_on + " --status")["counts"]["done"] == 2);
}

TEST_CASE("sweep: usage errors end in one line and exit code 2") {
  const Files files(grid(R"("steps": 5)", R"("seed": [1, 2])"));
  const auto refused = [&](const std::string& flags, const std::string& message) {
    CAPTURE(flags);
    const ProgramResult result = run_shell("orthoread sweep " + files.arguments() + " " + flags);
    CHECK(result.exit_code == 2);
    CHECK_MESSAGE(contains(result.err, message), result.err);
    CHECK(std::count(result.err.begin(), result.err.end(), '\n') == 1);
    CHECK_FALSE(fs::exists(files.out));
  };
  refused("--index 2", "--index: from 0 to 1 is allowed for the 2 runs of ");
  refused("--index -1", "--index");
  refused("--jobs 0", "--jobs: a whole number from 1");
  refused("--shard 3", "--shard: I/N");
  refused("--shard 3/2", "--shard: I/N");
  refused("--shard 1/2 --index 0", "not together");
  refused("--list --status", "not together");
  refused("--chunk 0", "--chunk: a whole number from 1");
  refused("--status --chunk 0", "--chunk: a whole number from 1");
  refused("--instruction-set sse9", "--instruction-set: baseline");
  refused("--time-limit soon", "--time-limit: a time such as 2h30m");
  refused("--time-limit 0s", "--time-limit: a time such as 2h30m");
  refused("--max-failures 0", "--max-failures: a whole number from 1");
  const ProgramResult missing = run_shell("orthoread sweep " + files.folder / "none.json" + " --out " + files.out);
  CHECK(missing.exit_code == 2);
  CHECK(contains(missing.err, "cannot read"));
  CHECK(contains(run_shell("orthoread sweep --help").out, "Example:\n  orthoread sweep"));
}

TEST_CASE("sweep: a folder without write permission or a file-size limit loses nothing") {
  const Files files(grid(R"("steps": 5)", R"("seed": [1, 2])"));
  write_file_atomically(files.folder / "file", "");
  const ProgramResult blocked =
      run_shell("orthoread sweep " + files.grid_file + " --out " + files.folder / "file/sweep" + " --quiet");
  CHECK(blocked.exit_code == 2);
  CHECK(contains(blocked.err, "cannot make the folder"));
  // 50 KiB per file: the log and config.json fit, a checkpoint does not.
  const ProgramResult full = run_shell("ulimit -f 50; orthoread sweep " + files.arguments() + " --quiet");
  CHECK(full.exit_code == 1);
  CHECK(contains(full.err, "File too large"));
  CHECK(files.sweep("--retry-failed").exit_code == 0);
}

TEST_CASE("sweep: a full and a read-only disk lose nothing") {
  if (run_shell("unshare --map-root-user --mount true").exit_code != 0) {
    MESSAGE("skipped: no file systems of one's own here (unshare --map-root-user --mount)");
    return;
  }
  const std::string text = grid(R"("steps": 20)", R"("seed": [1, 2, 3])");
  const Files whole(text), small(text);
  REQUIRE(whole.sweep().exit_code == 0);
  make_folders(small.out);
  write_file_atomically(small.folder / "session", "sweep() { '" ORTHOREAD_PROGRAM "' sweep " + small.arguments() +
                                                      R"( "$@"; echo $?; }; cd )" + small.folder.path() + R"(
    mount -t tmpfs -o size=20m,nr_inodes=9 none sweep  # room for the first run to begin
    sweep --jobs 2
    mount -o remount,size=160k,nr_inodes=1000 sweep  # for the reasons of failures, if no other run fills it meanwhile
    sweep --jobs 1
    mount -o remount,size=20m sweep
    sweep --retry-failed --quiet
    mount -o remount,ro sweep
    sweep --quiet
    cp -r sweep copy)");
  const ProgramResult result = run_shell("unshare --map-root-user --mount sh " + small.folder / "session");
  CAPTURE(result.err);
  CHECK(result.out == "1\n1\n0\n0\n");
  CHECK(contains(result.err, "No space left on device"));
  CHECK(contains(result.err, "orthoread: nothing can be written: "));
  CHECK(contains(result.err, "run the same command again to continue"));
  CHECK(contains(result.err, " failed\n"));  // if there is room for this line
  CHECK((results(small.folder / "copy") == results(whole.out)));
}

TEST_CASE("sweep: one warning if the file system cannot lock") {
  const Files files(grid(R"("steps": 5)", R"("seed": [1, 2])"));
  // The leak check of AddressSanitizer does not work under ptrace.
  const std::string strace =
      "ASAN_OPTIONS=detect_leaks=0 strace -f -o /dev/null -e trace=flock -e inject=flock:error=ENOLCK ";
  if (run_shell(strace + "true").exit_code != 0) {
    MESSAGE("skipped: strace is missing or may not trace (Debian: apt-get install strace)");
    return;
  }
  const auto sweep = [&](const std::string& flags) {
    return run_shell(strace + "'" ORTHOREAD_PROGRAM "' sweep " + files.arguments() + " --quiet " + flags);
  };
  const ProgramResult shard = sweep("--shard 0/2"), all = sweep(""), again = sweep("");
  CHECK(shard.exit_code == 0);
  CHECK(shard.err.empty());
  CHECK(all.exit_code == 0);
  CHECK(all.err == "orthoread: " + files.out +
                       "/runs: this file system cannot lock (No locks available): make sure that no second process "
                       "works here, or give each sweep its own --shard or --index\n");
  CHECK(again.exit_code == 0);
  CHECK(again.err.empty());
}

}  // namespace orthoread
