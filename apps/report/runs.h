// The runs of a report.
#pragma once

#include "apps/sweep/plan.h"

#include <optional>
#include <string>
#include <vector>

namespace orthoread {

/// An evaluation of a run. The accuracy is NaN if the file has no number.
struct RunEvaluation {
  int64_t step;
  double loss, accuracy;
};

/// A finished run, as the report needs it.
struct Run {
  std::string folder;
  Json settings;  // those of config.json, with `setting` for vocab_size and seq_len
  std::string version;
  std::vector<RunEvaluation> evaluations;
  double accuracy, loss;                 // final; NaN if the file has no number
  std::string outcome;                   // solved, mid, flat, collapsed or diverged
  std::optional<int64_t> escape_step;    // the first evaluation with accuracy >= .8
  std::optional<int64_t> collapse_step;  // the evaluation after which accuracy stays below .005
  int64_t steps;                         // steps run, up to the report's cut-off
  std::optional<double> seconds;         // of these steps

  int64_t seed() const { return settings.value("seed", int64_t{0}); }

  /// The step at which it escaped or was last seen on the plateau: at its collapse or its last evaluation.
  int64_t last_seen() const;
};

struct RunCollection {
  std::vector<Run> runs;                // sorted by folder
  std::vector<std::string> unfinished;  // folders of runs that have no result.json
  std::vector<PlannedRun> not_begun;    // planned by sweeps, in their order
  int64_t failed = 0;                   // how many of these two have a failure.json
  std::vector<std::string> notes;       // remarks for the reader of the report
};

/// Reads all run folders at or below these folders, each run once even if it is found twice. With `until`, later
/// evaluations are ignored, and accuracy and outcome are those of the last remaining one. Errors: a folder without a
/// run or a sweep's plan, a damaged file, two folders of one run that disagree.
RunCollection read_runs(const std::vector<std::string>& folders, std::optional<int64_t> until);

}  // namespace orthoread
