#include "apps/train/run_folder.h"

#include "apps/train/run_state.h"
#include "core/array.h"
#include "tests/program.h"
#include "tests/support.h"
#include "tests/system_calls.h"

#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

using namespace orthoread;
namespace fs = std::filesystem;

namespace {

const Json kSettings = {{"lr", 0.5}, {"steps", 20}, {"init", "/a/file"}, {"init_sha256", "12ab"}};
const Json kEnvironment = {{"instruction_set", "avx2"}, {"blas", "some core"}};

int64_t restore(const Safetensors& state) { return state.get<int64_t>("steps", Shape{}).item(); }

SafetensorsWriter checkpoint(int64_t steps) {
  SafetensorsWriter writer;
  writer.add("steps", Array<int64_t>({}, {steps}));
  writer.add("weights", Array<float>({3}, {1, 2, static_cast<float>(steps)}));
  return writer;
}

void add_steps(RunFolder& folder, int64_t first, int64_t last) {
  for (int64_t step = first; step <= last; ++step) {
    folder.add_metrics({{"step", step}, {"loss", 1.0 / static_cast<double>(step)}});
    if (step % 2 == 0) folder.add_metrics({{"step", step}, {"val_loss", nullptr}, {"val_accuracy", 0.25}});
  }
}

/// A run with checkpoints at 0, 3 and 6, interrupted after step 8.
void make_run(const std::string& path) {
  RunFolder folder(path, kSettings, false);
  folder.begin(kEnvironment);
  folder.write_state(checkpoint(0), 0);
  add_steps(folder, 1, 3);
  folder.write_state(checkpoint(3), 1.5);
  add_steps(folder, 4, 6);
  folder.write_state(checkpoint(6), 2.5);
  add_steps(folder, 7, 8);
}

/// The error of resuming a run.
std::string resuming(const std::string& path) {
  return thrown([&] { RunFolder(path, kSettings, true).resume(restore); });
}

/// Flips a bit of the byte at this position, or of the last byte.
void flip(const std::string& path, std::optional<size_t> at = std::nullopt) {
  std::string bytes = read_file(path);
  char& byte = bytes.at(at.value_or(bytes.size() - 1));
  byte = static_cast<char>(byte ^ 4);
  write_file_atomically(path, bytes);
}

std::string listing(const std::string& path) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(path)) names.push_back(entry.path().filename());
  std::sort(names.begin(), names.end());
  return fmt::format("{}", fmt::join(names, " "));
}

/// The message that `call` throws for a user without special rights: root temporarily becomes an ordinary user.
template <class Call>
std::string thrown_as_user(const std::string& owned, Call call) {
  constexpr uid_t kNobody = 65534;
  const bool root = geteuid() == 0;
  if (root) REQUIRE(chown(owned.c_str(), kNobody, kNobody) == 0);
  int ends[2];
  REQUIRE(pipe(ends) == 0);
  const pid_t child = fork();
  if (child == 0) {
    const std::string text = root && setuid(kNobody) != 0 ? "cannot become a user" : thrown(call);
    const bool written = write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  std::string text(4096, '\0');
  text.resize(static_cast<size_t>(std::max<ssize_t>(0, read(ends[0], text.data(), text.size()))));
  close(ends[0]);
  int status = 0;
  waitpid(child, &status, 0);
  CHECK(status == 0);
  return text;
}

}  // namespace

TEST_CASE("run folder: a run that has not begun leaves nothing behind") {
  const TemporaryFolder folder;
  {
    const RunFolder run(folder / "a/b/run", kSettings, false);
    CHECK(listing(folder / "a/b/run") == "lock");
    CHECK_FALSE(run.begun());
  }
  CHECK(listing(folder.path()).empty());
  fs::create_directory(folder / "empty");
  { const RunFolder run(folder / "empty", kSettings, true); }
  CHECK(listing(folder / "empty").empty());
  write_file_atomically(folder / "log.txt", "said before");  // from a sweep
  write_failure(folder.path(), 2, "no memory");
  fs::remove(folder / "empty");
  { const RunFolder run(folder.path(), kSettings, false); }
  CHECK(listing(folder.path()) == "log.txt");
}

TEST_CASE("run folder: before anything is computed, the settings may change") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  { RunFolder(path, {{"lr", 0.1}}, false).begin(kEnvironment); }
  CHECK(listing(path) == "config.json lock metrics.jsonl");
  RunFolder run(path, kSettings, false);
  CHECK_FALSE(run.begun());
  run.begin(kEnvironment);
  CHECK(read_json(path + "/config.json") == Json{{"settings", kSettings}, {"environment", kEnvironment}});
}

TEST_CASE("run folder: another run is refused, and the same without resume") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  make_run(path);
  const auto refusal = [&](const char* key, const Json& value, bool resume) {
    Json settings = kSettings;
    settings[key] = value;
    return thrown([&] { const RunFolder run(path, settings, resume); });
  };
  CHECK(refusal("lr", 0.25, true) ==
        "--out: " + path + " holds another run (lr 0.5, asked for 0.25); give a new folder");
  CHECK(refusal("init_sha256", "34cd", true).find("holds another run (init_sha256 \"12ab\"") != std::string::npos);
  CHECK(refusal("init", "/another/name", true) == "no error");  // with the same content
  CHECK(refusal("later", 1, true) ==
        "--out: " + path + " holds another run (of another version, without later); give a new folder");
  CHECK(refusal("lr", 0.5, false) == "--out: " + path + " already holds this run; add --resume to continue it");
  write_file_atomically(path + "/result.json", R"({"outcome": "flat"})");
  CHECK(refusal("lr", 0.5, false) ==
        "--out: " + path + " already holds this run, done; add --resume to see its result");
}

TEST_CASE("run folder: a folder that is no run does not change") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "letter.txt", "dear");
  const auto refusal = [&] { return thrown([&] { const RunFolder run(folder.path(), kSettings, true); }); };
  CHECK(refusal() ==
        "--out: " + folder.path() + " is not empty and holds no run (there is no config.json); give a new folder");
  for (const std::string text : {"[]", "5", "null", "{}", R"({"settings": 5, "environment": {}})", "{", ""}) {
    CAPTURE(text);
    write_file_atomically(folder / "config.json", text);
    CHECK(refusal().starts_with(folder / "config.json: damaged: not "));
  }
  write_file_atomically(folder / "config.json", std::string(100000, '[') + std::string(100000, ']'));
  CHECK(refusal() == folder / "config.json: damaged: its JSON is nested deeper than 32 levels");
  CHECK(listing(folder.path()) == "config.json letter.txt");
}

TEST_CASE("run folder: a run continues from its last checkpoint, and later metrics are removed") {
  const TemporaryFolder folder;
  make_run(folder.path() + "/run");
  write_file_atomically(folder / "run/failure.json", "{}");
  write_file_atomically(folder / "run/state.safetensors.0123.tmp", "half");
  {
    RunFolder run(folder / "run", kSettings, true);
    CHECK(run.begun());
    CHECK(run.resume(restore).empty());
    CHECK(run.seconds_before() == 2.5);
    CHECK(run.evaluations().size() == 3);
    CHECK(run.evaluations()[2]["step"] == 6);
    add_steps(run, 7, 8);
    run.write_state(checkpoint(8), 3);
    CHECK(run.evaluations().size() == 4);
  }
  CHECK(listing(folder / "run") == "config.json lock metrics.jsonl state.previous.safetensors state.safetensors");
  RunFolder again(folder / "run", kSettings, true);
  CHECK(again.resume(restore).empty());
  CHECK(again.evaluations().size() == 4);
}

TEST_CASE("run folder: if a checkpoint is damaged, the previous one is used") {
  const TemporaryFolder folder;
  make_run(folder / "whole");
  const std::string run = folder / "run", state = run + "/state.safetensors";
  const size_t size = read_file(folder / "whole/state.safetensors").size();
  const auto goes_back = [&](const std::string& how) {
    RunFolder open(run, kSettings, true);
    const std::string said = open.resume(restore);
    CHECK_MESSAGE(said.starts_with(how), said);
    CHECK(said.ends_with("; continues from the previous checkpoint, of step 3"));
    CHECK(std::count(said.begin(), said.end(), '\n') == 0);
    CHECK(open.evaluations().size() == 1);
    add_steps(open, 4, 4);
    open.write_state(checkpoint(4), 2);
    CHECK(restore(Safetensors::read_checked(run + "/state.previous.safetensors")) == 3);  // the damaged one is not kept
  };
  const auto fresh = [&] {
    fs::remove_all(run);
    fs::copy(folder / "whole", run);
  };
  for (size_t at = 0; at < size; at += 13) {
    CAPTURE(at);
    fresh();
    flip(state, at);
    goes_back(state + ": ");
  }
  for (const size_t kept : {size_t{0}, size / 2, size - 1}) {
    fresh();
    write_file_atomically(state, read_file(state).substr(0, kept));
    goes_back(state + ": ");
  }
  fresh();
  fs::remove(state);
  goes_back("cannot read " + state + ": No such file or directory");
  fresh();
  flip(run + "/metrics.jsonl", read_file(run + "/metrics.jsonl").find("\"step\":5") + 7);
  goes_back(run + "/metrics.jsonl: damaged: the lines up to state.safetensors do not match their checksum");
  fresh();
  fs::resize_file(run + "/metrics.jsonl", read_file(run + "/metrics.jsonl").find("{\"step\":5"));
  goes_back(run + "/metrics.jsonl: damaged: state.safetensors needs ");
  fresh();
  {
    RunFolder open(run, kSettings, true);
    open.resume(restore);
    open.write_state(checkpoint(5), 2.5);  // of another step than the last one in the metrics
    open.write_state(checkpoint(7), 2.5);
  }
  CHECK(resuming(run).find("state.safetensors: damaged: 7 steps, but metrics.jsonl has 6 up to it; " + run +
                           "/state.previous.safetensors: damaged: 5 steps, but metrics.jsonl has 6 up to it") !=
        std::string::npos);
}

TEST_CASE("run folder: without a valid checkpoint nothing is deleted") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  make_run(run);
  const std::string metrics = read_file(run + "/metrics.jsonl");
  SUBCASE("both damaged") {
    flip(run + "/state.safetensors");
    flip(run + "/state.previous.safetensors");
    CHECK(resuming(run) == "--resume: no checkpoint to continue from: " + run +
                               "/state.safetensors: damaged: its checksum is wrong; " + run +
                               "/state.previous.safetensors: damaged: its checksum is wrong");
  }
  SUBCASE("both missing") {
    fs::remove(run + "/state.safetensors");
    fs::remove(run + "/state.previous.safetensors");
    CHECK(resuming(run).starts_with("--resume: no checkpoint to continue from: cannot read " + run));
  }
  SUBCASE("the first line of the metrics damaged") {
    std::string changed = metrics;
    changed[9] = 'x';
    write_file_atomically(run + "/metrics.jsonl", changed);
    CHECK(resuming(run).find(
              "metrics.jsonl: damaged: the lines up to state.previous.safetensors do not match their checksum") !=
          std::string::npos);
    write_file_atomically(run + "/metrics.jsonl", metrics);
  }
  SUBCASE("checkpoints of another version") {
    checkpoint(6).write(run + "/state.safetensors");
    fs::remove(run + "/state.previous.safetensors");
    CHECK(resuming(run).find("state.safetensors: the metadata has no checksum") != std::string::npos);
  }
  CHECK(read_file(run + "/metrics.jsonl") == metrics);
}

TEST_CASE("run folder: metrics are on disk before the checkpoint that refers to them") {
  const TemporaryFolder folder;
  const std::string run = fs::canonical(folder.path()).string() + "/run";
  const SyncedPaths synced;
  make_run(run);
  const auto& paths = synced.paths();
  const auto nth = [&](const std::string& path, int count) {
    return std::find_if(paths.begin(), paths.end(),
                        [&](const std::string& p) { return p.starts_with(path) && --count == 0; });
  };
  CHECK(paths.front() == fs::path(run).parent_path());
  CHECK(nth(run + "/config.json.", 1) < nth(run + "/state.safetensors.", 1));
  for (const int generation : {1, 2, 3}) {
    CHECK(nth(run + "/metrics.jsonl", generation) < nth(run + "/state.safetensors.", generation));
  }
  CHECK(nth(run + "/state.safetensors.", 3) != paths.end());
}

TEST_CASE("run folder: a change of instruction set or BLAS is saved with the checkpoints") {
  const TemporaryFolder folder;
  make_run(folder / "run");
  {
    RunFolder run(folder / "run", kSettings, true);
    run.resume(restore);
    CHECK(run.computed_with("instruction_set") == "avx2");
    CHECK(run.computed_with("something") == "unknown");
    run.record_change(7, "instruction_set", "baseline");
    add_steps(run, 7, 7);
    run.write_state(checkpoint(7), 4);
  }
  {
    RunFolder run(folder / "run", kSettings, true);
    run.resume(restore);
    CHECK(run.computed_with("instruction_set") == "baseline");
    CHECK(run.computed_with("blas") == "some core");
    CHECK(run.changes() ==
          Json::parse(R"([{"step": 7, "what": "instruction_set", "from": "avx2", "to": "baseline"}])"));
  }
  flip(folder / "run/state.safetensors");
  RunFolder run(folder / "run", kSettings, true);  // back to before the change
  run.resume(restore);
  CHECK(run.changes().empty());
}

TEST_CASE("run folder: one process at a time; a warning if the file system cannot lock") {
  const TemporaryFolder folder;
  {
    const RunFolder run(folder / "run", kSettings, false);
    CHECK(thrown([&] { const RunFolder second(folder / "run", kSettings, true); }).find(kAnotherProcess) !=
          std::string::npos);
  }
  const FailingCall failing("flock", ENOLCK);
  const RunFolder run(folder / "run", kSettings, false);
  CHECK(run.warning().find("this file system cannot lock") != std::string::npos);
}

TEST_CASE("run folder: missing permissions are errors that name the folder") {
  const TemporaryFolder folder;
  const std::string run = folder / "run";
  make_run(run);
  const auto refusal = [&](fs::perms mode) {
    fs::permissions(run, mode);
    return thrown_as_user(run, [&] { const RunFolder open(run, kSettings, true); });
  };
  fs::permissions(folder.path(), fs::perms(0755));
  CHECK(refusal(fs::perms(0444)) == "--out: cannot write into " + run + ": Permission denied");
  CHECK(refusal(fs::perms(0555)) == "--out: cannot write into " + run + ": Permission denied");
  CHECK(refusal(fs::perms(0333)) == "--out: cannot read the folder " + run + ": Permission denied");
  fs::permissions(run, fs::perms(0755));
  CHECK(thrown_as_user(run, [&] { const RunFolder open(folder / "new", kSettings, true); }) ==
        "--out: cannot make the folder " + folder / "new: Permission denied");
}

TEST_CASE("run folder: an invalid result.json") {
  const TemporaryFolder folder;
  for (const std::string text : {"[]", "5", "null", "{}", R"({"outcome": 5})", "{\"outcome\""}) {
    CAPTURE(text);
    write_file_atomically(folder / "result.json", text);
    CHECK(thrown([&] { read_result(folder.path()); }).starts_with(folder / "result.json: damaged: not "));
    CHECK(run_state(folder.path()) == RunState::failed);
  }
  write_file_atomically(folder / "result.json", std::string(100000, '['));
  CHECK(thrown([&] { read_result(folder.path()); }) ==
        folder / "result.json: damaged: its JSON is nested deeper than 32 levels");
}

TEST_CASE("run state: from the files and the lock") {
  const TemporaryFolder folder;
  const std::string path = folder / "run";
  const auto state = [&] { return std::string(name(run_state(path))); };
  CHECK(state() == "pending");
  {
    RunFolder run(path, kSettings, false);
    CHECK(state() == "running");
    run.begin(kEnvironment);
  }
  CHECK(state() == "pending");  // only a config.json
  fs::remove_all(path);
  make_run(path);
  CHECK(state() == "interrupted");
  fs::remove(path + "/state.safetensors");
  CHECK(state() == "interrupted");
  write_failure(path, 2, "--lr: \"no\"");
  CHECK(state() == "failed");
  CHECK(read_json(path + "/failure.json") == Json{{"exit_code", 2}, {"reason", "--lr: \"no\""}});
  {
    RunFolder run(path, kSettings, true);
    CHECK(state() == "running");
  }
  CHECK(state() == "interrupted");
  write_failure(path, 1, "again");
  remove_failure(path);
  CHECK(state() == "interrupted");
  RunFolder run(path, kSettings, true);
  run.write_result({{"outcome", "diverged"}});
  CHECK(state() == "diverged");
  run.write_result({{"outcome", "flat"}});
  CHECK(state() == "done");
}
