// Runs a sweep: as many runs at once as it may, each as a process of its own.
#pragma once

#include "apps/sweep/run_process.h"
#include "apps/sweep/sweep_folder.h"
#include "apps/sweep/view.h"

#include <memory>
#include <optional>

namespace orthoread {

struct SweepOptions {
  int jobs = 1, threads = 1;
  bool retry_failed = false;
  int64_t max_failures = std::numeric_limits<int64_t>::max();  // with so many failed runs nothing new is started
  std::optional<double> time_limit = {};                       // seconds
};

/// Does `runs`, and returns the program's exit code: done; failed, where a run failed or diverged; interrupted, where a
/// signal, the time limit or --max-failures left something to do. Runs that another process holds are waited for.
/// SIGINT, SIGTERM and SIGUSR1 have all runs save and leave; a second one changes nothing.
int sweep(const SweepFolder& folder, const std::vector<GridRun>& runs, const SweepOptions& options, SweepView& view);

/// The seconds that the runs still need with `jobs` of them at once; nothing where no run of a kind was measured.
std::optional<double> seconds_left(const SweepFolder& folder, const std::vector<GridRun>& runs, int jobs);

}  // namespace orthoread
