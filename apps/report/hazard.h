// How much more readily runs escape with one level of what is compared than with another.
#pragma once

#include "apps/report/cells.h"
#include "apps/report/statistics.h"

namespace orthoread {

/// The ratio for a level against the first one; nothing of it where a warning says why.
struct HazardRatio {
  Json level;
  std::optional<Ratio> ratio;
  int64_t intervals, escapes;
  std::vector<std::string> warnings;
};

/// Logistic regression over the intervals between evaluations of these cells' runs, up to the escape, the collapse or
/// the end, on log(step / 1000), an indicator for each further value of every other setting that varies, and one for
/// each level but the first.
std::vector<HazardRatio> hazard_ratios(const Grouping& grouping, const std::vector<const Cell*>& cells);

}  // namespace orthoread
