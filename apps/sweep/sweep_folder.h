// The run folders of a sweep, DIR/runs/NAME. Their states are read only from files and locks.
#pragma once

#include "apps/sweep/grid.h"
#include "apps/train/run_state.h"

#include <map>
#include <optional>

namespace orthoread {

class SweepFolder {
 public:
  /// Creates nothing.
  explicit SweepFolder(std::string path) : path_(std::move(path)) {}

  /// The folder of the run of that name. If there is none, an existing folder whose name ends in the same hash: another
  /// grid may have given the run another name.
  std::string folder_of(const std::string& name) const;
  std::string folder_of(const GridRun& run) const { return folder_of(run.name); }
  RunState state_of(const GridRun& run) const { return run_state(folder_of(run)); }

  /// Creates the folder of all runs. Returns a warning if its file system cannot lock, else "".
  std::string prepare() const;
  /// Creates the run's folder if it does not exist. Two sweeps that do so at the same time create one folder.
  std::string make_folder(const GridRun& run) const;

 private:
  std::string runs() const { return path_ + "/runs"; }

  std::string path_;
};

/// The number of runs in each state.
class RunCounts {
 public:
  void add(RunState state) { ++counts_[state]; }
  int64_t of(RunState state) const;
  int64_t total() const;
  /// "12 done, 2 running, 18 pending": the counts that are not 0.
  std::string text() const;
  /// {"pending": 18, …}, with the counts that are 0.
  Json to_json() const;

 private:
  std::map<RunState, int64_t> counts_;
};

/// Training steps, and the seconds they took.
struct Trained {
  int64_t steps = 0;
  double seconds = 0;
};
/// Up to the last checkpoint in a run folder; zeros if no checkpoint can be read.
Trained trained_at_checkpoint(const std::string& folder);
/// Up to the end of a run that is done, from its result.json, else up to its last checkpoint.
Trained trained(RunState state, const std::string& folder);

/// Seconds per training step, by the settings that a step's cost depends on.
class StepTimes {
 public:
  void add(const Json& settings, const Trained& so_far);
  /// Seconds per step; nullopt if no such run has been timed.
  std::optional<double> of(const Json& settings) const;
  /// Whether a step of either run takes the same time.
  static bool same_cost(const Json& a, const Json& b);

 private:
  std::map<std::string, Trained> totals_;
};

/// Ascending indices in the format of `sbatch --array`, "0-3,7"; "" if there are none.
std::string index_ranges(const std::vector<int64_t>& indices);

}  // namespace orthoread
