// A process that executes a run of a sweep: `train --resume` of this program.
#pragma once

#include "data/files.h"

#include <sys/types.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace orthoread {

class RunProcess {
 public:
  /// Starts `train --resume --out FOLDER --threads N FLAGS`, with stderr appended to FOLDER/log.txt. If this process
  /// dies for any reason, the run receives SIGTERM: it saves and exits.
  RunProcess(std::string folder, const std::vector<std::string>& flags, int threads);
  RunProcess(RunProcess&&) = delete;
  ~RunProcess();

  /// Whether it has ended. Then exit_code() is its exit code, or 128 + the signal that ended it.
  bool ended();
  int exit_code() const { return *exit_code_; }
  /// The last line of its stderr, without the program's name; or "killed by signal 9 (Killed)".
  std::string last_words() const;

  /// Sends SIGTERM: it finishes its step, saves and exits.
  void ask_to_leave() const;

  /// The progress so far, from new lines of metrics.jsonl; NaN if not known yet.
  struct Reached {
    int64_t first = 0;  // the step before its first step
    int64_t step = 0;
    double loss = std::numeric_limits<double>::quiet_NaN(), accuracy = loss;
    double seconds = 0;  // since it started
    /// Seconds per step; 0 before the first step.
    double step_seconds() const { return step > first ? seconds / static_cast<double>(step - first) : 0; }
  };
  const Reached& follow();

 private:
  using Clock = std::chrono::steady_clock;

  std::string folder_;
  pid_t process_ = -1;
  std::optional<int> exit_code_;
  int64_t log_begin_ = 0;     // the offset of its part of log.txt
  int64_t metrics_read_ = 0;  // bytes read of metrics.jsonl
  Clock::time_point start_ = Clock::now();
  Reached reached_;
};

}  // namespace orthoread
