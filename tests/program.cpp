#include "tests/program.h"

#include "data/files.h"

#include <doctest/doctest.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>

namespace orthoread {

const std::string kSmallTask = "--vocab-size 24 --seq-len 32 --noise-vocab-size 8 --frac-noise 0.5";
const std::string kSmallRun = kSmallTask +
                              " --dim 16 --batch-size 4 --steps 40 --lr 0.01 --read ns1 --eval-every 10"
                              " --val-batches 2 --checkpoint-every 7 --quiet";

void check_refused(const std::string& command, int exit_code, const std::string& message) {
  CAPTURE(command);
  const ProgramResult result = run_shell(command);
  CHECK(result.exit_code == exit_code);
  CHECK_MESSAGE(contains(result.err, message), result.err);
  CHECK_MESSAGE(std::count(result.err.begin(), result.err.end(), '\n') == 1, result.err);
  CHECK(result.out.empty());
}

void check_usage_error(const std::string& command, const std::string& message) {
  CAPTURE(command);
  const ProgramResult result = run_shell(command);
  CHECK(result.exit_code == 2);
  CHECK_MESSAGE(result.err == "orthoread: " + message + "\n", result.err);
  CHECK(result.out.empty());
}

void write_text(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  write_file_atomically(path, text);
}

std::string run_files(const std::string& folder) {
  return read_file(folder + "/metrics.jsonl") + read_file(folder + "/model.safetensors");
}

std::optional<std::string> replication_folder() {
  const char* folder = std::getenv("ORTHOREAD_REPLICATION");
  if (folder != nullptr) return folder;
  MESSAGE("skipped: ORTHOREAD_REPLICATION does not name the folder of the published checkpoints and runs");
  return std::nullopt;
}

ProgramResult run_shell(const std::string& command) {
  const TemporaryFolder folder;
  const std::string line = fmt::format("orthoread() {{ '{}' \"$@\"; }}; {{ {}\n}} > '{}' 2> '{}'", ORTHOREAD_PROGRAM,
                                       command, folder / "out", folder / "err");
  const int status = std::system(line.c_str());  // NOLINT(cert-env33-c): a shell is what we want
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return {code, read_file(folder / "out"), read_file(folder / "err")};
}

}  // namespace orthoread
