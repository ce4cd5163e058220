// What a person sees of a sweep: on a terminal a block of lines that is drawn over itself, else a line for each run
// that starts or ends. All of it on stderr.
#pragma once

#include "apps/sweep/sweep_folder.h"

namespace orthoread {

class SweepView {
 public:
  explicit SweepView(bool quiet);
  ~SweepView() { clear(); }
  SweepView(const SweepView&) = delete;
  SweepView& operator=(const SweepView&) = delete;

  /// One running job: what varies, and how far it has come.
  struct Job {
    std::string label;
    int64_t step, steps;
    double loss, accuracy, step_seconds;  // NaN, or 0 seconds, where not known yet
  };
  /// Draws the block anew, at most a few times a second. `seconds_left` below 0: not known yet.
  void update(const RunCounts& counts, const std::vector<Job>& jobs, double seconds_left);
  /// A line that stays, unless quiet.
  void note(const std::string& line);
  /// A line that stays, even if quiet: what went wrong.
  void warn(const std::string& line);
  bool live() const { return live_; }

 private:
  void clear();

  bool quiet_, live_, colour_;
  int drawn_ = 0;  // lines of the block that stand above the cursor
  double last_ = 0;
};

}  // namespace orthoread
