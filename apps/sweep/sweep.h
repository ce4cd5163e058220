// Executes a sweep: several runs at once, each in its own process.
#pragma once

#include "apps/sweep/run_process.h"
#include "apps/sweep/sweep_folder.h"
#include "apps/sweep/view.h"

#include <memory>
#include <optional>

namespace orthoread {

struct SweepOptions {
  int jobs = 1, threads = 1;
  std::optional<std::string> instruction_set = {};  // of runs that begin, if their grid names none
  bool retry_failed = false;
  int64_t max_failures = std::numeric_limits<int64_t>::max();  // after this many failures no run starts
  std::optional<double> time_limit = {};                       // seconds
};

/// Executes `runs` and returns the exit code: done; failed, if a run failed or diverged; interrupted, if a signal or
/// the time limit left runs to do. Waits for runs that another process holds. On a signal of
/// leave_signals.h all runs save and exit; further signals have no effect.
int sweep(const SweepFolder& folder, const std::vector<GridRun>& runs, const SweepOptions& options, SweepView& view);

/// Seconds until all runs are done, with `jobs` at once; nullopt if some kind of run has not been timed.
std::optional<double> seconds_left(const SweepFolder& folder, const std::vector<GridRun>& runs, int jobs);

}  // namespace orthoread
