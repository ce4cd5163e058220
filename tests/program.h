// Runs the program in a shell.
#pragma once

#include "tests/support.h"
#include "tests/temporary_folder.h"

#include <optional>
#include <string>
#include <vector>

namespace orthoread {

struct ProgramResult {
  int exit_code;  // or 128 + the number of the signal that ended it
  std::string out, err;
};

/// Runs a shell command line, in which "orthoread" is the program under test.
ProgramResult run_shell(const std::string& command);

/// Writes a file, and makes the folders that it is to be in.
void write_text(const std::string& path, const std::string& text);

/// The folder of the replication's published checkpoints and runs. Where it is not at hand, a line says that the test
/// is skipped.
std::optional<std::string> replication_folder();

/// Checks the exit code, that stderr is one line that contains the text, and that stdout is empty.
void check_refused(const std::string& command, int exit_code, const std::string& message);

/// Checks that the exit code is 2, that stderr is "orthoread: ", this message and a line break, and that stdout is
/// empty.
void check_usage_error(const std::string& command, const std::string& message);

/// The metrics and the weights of a run.
std::string run_files(const std::string& folder);

// Flags for a run of about a second: 40 steps of a small model.
extern const std::string kSmallTask, kSmallRun;

}  // namespace orthoread
