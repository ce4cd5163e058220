// The progress of a sweep, on stderr: on a terminal, a block of lines that is redrawn; else a line for each run that
// starts or ends.
#pragma once

#include "apps/sweep/sweep_folder.h"

namespace orthoread {

class SweepView {
 public:
  explicit SweepView(bool quiet);
  ~SweepView() { clear(); }
  SweepView(const SweepView&) = delete;
  SweepView& operator=(const SweepView&) = delete;

  /// A running job: its varying settings and its progress.
  struct Job {
    std::string label;
    int64_t step, steps;
    double loss, accuracy, step_seconds;  // NaN, or 0 seconds, if not known yet
  };
  /// Redraws the block, at most a few times a second. `seconds_left` is negative if not known yet.
  void update(const RunCounts& counts, const std::vector<Job>& jobs, double seconds_left);
  /// Prints a line, unless quiet.
  void note(const std::string& line);
  /// Prints a line, even if quiet: for errors.
  void warn(const std::string& line);
  bool live() const { return live_; }

 private:
  void clear();

  bool quiet_, live_, colour_;
  int drawn_ = 0;  // lines of the block above the cursor
  double last_ = 0;
};

}  // namespace orthoread
