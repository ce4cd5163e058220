// Where the runs of a sweep lie, and how far each has come: DIR/runs/NAME, read from the files and the locks alone.
#pragma once

#include "apps/sweep/grid.h"
#include "apps/train/run_state.h"

#include <map>
#include <optional>

namespace orthoread {

class SweepFolder {
 public:
  /// Changes nothing.
  explicit SweepFolder(std::string path) : path_(std::move(path)) {}

  /// The folder of the run of that name: its own, or the one whose name ends in the same hash, which another grid has
  /// named after what it varied.
  std::string folder_of(const std::string& name) const;
  std::string folder_of(const GridRun& run) const { return folder_of(run.name); }
  RunState state_of(const GridRun& run) const { return run_state(folder_of(run)); }

  /// Makes the folder of all runs. One line if its file system cannot lock; else empty.
  std::string prepare() const;
  /// Makes the run's folder, if it is not there yet. Two sweeps that ask at once make one folder.
  std::string make_folder(const GridRun& run) const;

 private:
  std::string runs() const { return path_ + "/runs"; }

  std::string path_;
};

/// How many runs are in each state.
class RunCounts {
 public:
  void add(RunState state) { ++counts_[state]; }
  int64_t of(RunState state) const;
  int64_t total() const;
  /// "12 done, 2 running, 18 pending", without what is 0.
  std::string text() const;
  /// {"pending": 18, …}, with what is 0.
  Json to_json() const;

 private:
  std::map<RunState, int64_t> counts_;
};

/// The step of the checkpoint in a run folder; 0 if there is none that can be read.
int64_t checkpoint_step(const std::string& folder);

/// How long a training step takes, by what a step's cost depends on: sizes, read, task and type.
class StepTimes {
 public:
  void add(const Json& settings, double seconds, int64_t steps);
  /// Adds what the result of a finished run says.
  void add_result(const Json& settings, const std::string& folder);
  /// Seconds a step, or nothing where no such run was measured.
  std::optional<double> of(const Json& settings) const;
  /// Do the steps of two runs cost the same?
  static bool same_cost(const Json& a, const Json& b);

 private:
  struct Total {
    double seconds = 0;
    int64_t steps = 0;
  };
  std::map<std::string, Total> totals_;
};

/// Indices as `sbatch --array` takes them, "0-3,7"; "" for none. They ascend.
std::string index_ranges(const std::vector<int64_t>& indices);

}  // namespace orthoread
