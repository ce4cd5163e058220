// What a report does not know yet.
#pragma once

#include "apps/report/cells.h"

namespace orthoread {

/// The runs that the sweeps' grids ask for and that have not begun, an entry for each combination of settings without
/// the seed: what varies over these and the runs that are done, `folders` and `seeds`.
Json describe_not_begun(const RunCollection& collection, const std::string& compare);

/// What is missing, in sentences: runs that are not done, seeds that some cells lack, and what a reader should know.
/// `comparison` is analyze()'s.
std::vector<std::string> missing_lines(const Grouping& grouping, const Json& comparison);

}  // namespace orthoread
