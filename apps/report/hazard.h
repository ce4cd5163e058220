// Hazard ratios: how many times as readily runs escape with one value of the compared setting as with another.
#pragma once

#include "apps/report/cells.h"
#include "apps/report/statistics.h"

namespace orthoread {

/// The ratio of a level to the first one; nullopt where a warning says why.
struct HazardRatio {
  Json level;
  std::optional<Ratio> ratio;
  int64_t intervals, escapes;
  std::vector<std::string> warnings;
};

/// Logistic regression over the intervals between evaluations, up to the escape, the collapse or the end of each run.
/// Columns: log(step / 1000), an indicator for each further value of every other varying setting, and one for each
/// level but the first.
std::vector<HazardRatio> hazard_ratios(const Grouping& grouping, const std::vector<const Cell*>& cells);

}  // namespace orthoread
