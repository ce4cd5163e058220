// The run folders that a report is about.
#pragma once

#include "apps/sweep/plan.h"

#include <optional>
#include <string>
#include <vector>

namespace orthoread {

/// An evaluation of a run. The accuracy is NaN where the run had none that is a number.
struct RunEvaluation {
  int64_t step;
  double loss, accuracy;
};

/// A run that is done, as far as the report looks.
struct Run {
  std::string folder;
  Json settings;  // of config.json, with `setting` in place of vocab_size and seq_len
  std::string version;
  std::vector<RunEvaluation> evaluations;
  double accuracy, loss;                 // final; NaN if they are no numbers
  std::string outcome;                   // solved, mid, flat, collapsed or diverged
  std::optional<int64_t> escape_step;    // the first evaluation of at least .8
  std::optional<int64_t> collapse_step;  // the evaluation from which on the accuracy stays below .005
  int64_t steps;                         // that it ran, and of them those within the report's cut-off
  std::optional<double> seconds;         // that these steps took

  int64_t seed() const { return settings.value("seed", int64_t{0}); }

  /// The step at which it left the plateau or was last seen on it: at its collapse, or at its last evaluation.
  int64_t last_seen() const;
};

struct RunCollection {
  std::vector<Run> runs;                // sorted by folder
  std::vector<std::string> unfinished;  // folders of runs that have no result.json
  std::vector<PlannedRun> not_begun;    // what sweeps' grids ask for, in their order
  int64_t failed = 0;                   // how many of both have a failure.json
  std::vector<std::string> notes;       // what a reader should know of how they were read
};

/// Reads all run folders that these folders are or hold, at any depth: each run once, however often it is there. With
/// `until`, evaluations of later steps are left out, and the accuracy and the outcome are those of the last one that is
/// left. Errors: a folder that holds neither a run nor a sweep's plan, a damaged file, two folders of one run that
/// disagree.
RunCollection read_runs(const std::vector<std::string>& folders, std::optional<int64_t> until);

}  // namespace orthoread
