// The state of a run, read only from the files and the lock in its folder.
#pragma once

#include <string>

namespace orthoread {

enum class RunState {
  pending,      // no checkpoint
  running,      // a process holds the lock
  interrupted,  // a checkpoint, and no process holds the lock
  failed,       // a failure.json, or a result.json that cannot be read
  diverged,
  done
};
const char* name(RunState state);

/// Does not disturb a process that works in the folder. A folder that does not exist is pending.
RunState run_state(const std::string& folder);

/// failure.json: the exit code of the last attempt, and the reason in one line. A run that starts or continues removes
/// it.
void write_failure(const std::string& folder, int exit_code, const std::string& reason);
void remove_failure(const std::string& folder);

}  // namespace orthoread
