#include "apps/train/run_state.h"

#include "apps/train/run_folder.h"
#include "data/folder_lock.h"

#include <array>
#include <filesystem>

namespace orthoread {
namespace {

constexpr const char* kFailure = "/failure.json";

bool exists(const std::string& path) {
  std::error_code none;
  return std::filesystem::exists(path, none);
}

}  // namespace

const char* name(RunState state) {
  constexpr std::array names = {"pending", "running", "interrupted", "failed", "diverged", "done"};
  return names.at(static_cast<size_t>(state));
}

RunState run_state(const std::string& folder) {
  if (exists(folder + "/" + kResult)) {  // written last: a process that still holds the lock is about to exit
    try {
      return recorded_outcome(read_result(folder)) == "diverged" ? RunState::diverged : RunState::done;
    } catch (const Error&) {
      return RunState::failed;
    }
  }
  if (is_locked(folder)) return RunState::running;
  if (exists(folder + kFailure)) return RunState::failed;
  const bool checkpoint = exists(folder + "/" + kState) || exists(folder + "/" + kPreviousState);
  return checkpoint ? RunState::interrupted : RunState::pending;
}

void write_failure(const std::string& folder, int exit_code, const std::string& reason) {
  write_file_atomically(folder + kFailure, Json{{"exit_code", exit_code}, {"reason", reason}}.dump(2) + "\n");
}

void remove_failure(const std::string& folder) {
  std::error_code none;
  std::filesystem::remove(folder + kFailure, none);
}

}  // namespace orthoread
