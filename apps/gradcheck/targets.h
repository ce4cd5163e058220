// The targets of `orthoread gradcheck`, by name.
#pragma once

#include "ops/gradcheck/gradient_check.h"

namespace orthoread {

/// A row of the table: a few checks of the same kind.
struct CheckGroup {
  std::string target, name;
  std::vector<std::function<GradientReport()>> checks;
};

/// All checks of a target, in rows.
std::vector<CheckGroup> check_groups(const std::string& target, uint64_t seed);

/// The names of all targets, in the order of the table.
std::vector<std::string> check_targets();

}  // namespace orthoread
