// The runs that a report lacks.
#pragma once

#include "apps/report/cells.h"

namespace orthoread {

/// The runs of the sweeps' grids that have not begun: an entry for each combination of settings without the seed, with
/// the settings that vary over these and the finished runs, `folders` and `seeds`.
Json describe_not_begun(const RunCollection& collection, const std::string& compare);

/// Sentences on what is missing: unfinished runs, seeds that some cells lack, and notes for the reader. `comparison` is
/// analyze()'s.
std::vector<std::string> missing_lines(const Grouping& grouping, const Json& comparison);

}  // namespace orthoread
