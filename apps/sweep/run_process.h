// A run of a sweep at work: the program's own `train --resume`, as a process of its own.
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
  /// Starts `train --resume --out FOLDER --threads N FLAGS`. What it says on stderr is added to FOLDER/log.txt. When
  /// this process dies, however it dies, the run is asked to save and leave.
  RunProcess(std::string folder, const std::vector<std::string>& flags, int threads);
  RunProcess(RunProcess&&) = delete;
  ~RunProcess();

  /// Has it ended? Then exit_code() is its exit code, or 128 + the signal that ended it.
  bool ended();
  int exit_code() const { return *exit_code_; }
  /// The last line that it said, without the program's name; "killed by signal 9 (Killed)" if that ended it.
  std::string last_words() const;

  /// Asks it to finish its step, save and leave.
  void ask_to_leave() const;

  /// How far it has come, by the lines it has added to metrics.jsonl; NaN where there is none yet.
  struct Reached {
    int64_t first = 0;  // the step before its first
    int64_t step = 0;
    double loss = std::numeric_limits<double>::quiet_NaN(), accuracy = loss;
    double seconds = 0;  // since it started
    /// Seconds a step; 0 before the first.
    double step_seconds() const { return step > first ? seconds / static_cast<double>(step - first) : 0; }
  };
  const Reached& follow();

 private:
  using Clock = std::chrono::steady_clock;

  std::string folder_;
  pid_t process_ = -1;
  std::optional<int> exit_code_;
  int64_t log_begin_ = 0;     // where its part of log.txt begins
  int64_t metrics_read_ = 0;  // bytes of metrics.jsonl
  Clock::time_point start_ = Clock::now();
  Reached reached_;
};

}  // namespace orthoread
