// What has become of a run: read from its folder's files and its lock, nowhere else.
#pragma once

#include <string>

namespace orthoread {

enum class RunState {
  pending,      // nothing to go on from
  running,      // somebody is at work in the folder
  interrupted,  // a checkpoint, nobody at work
  failed,       // there is a failure.json, or a result.json that cannot be read
  diverged,
  done
};
const char* name(RunState state);

/// Disturbs nobody who is at work there. A folder that does not exist is pending.
RunState run_state(const std::string& folder);

/// failure.json: with which exit code the last attempt ended, and why, in one line. A run that begins, or goes on,
/// removes it.
void write_failure(const std::string& folder, int exit_code, const std::string& reason);
void remove_failure(const std::string& folder);

}  // namespace orthoread
