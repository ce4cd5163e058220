// The cost of a run.
#pragma once

#include "apps/report/runs.h"

#include <map>

namespace orthoread {

/// Counts the floating-point operations that the formulas of a run need, as `orthoread bench step` does.
class OperationCounter {
 public:
  /// The operations of this many steps; nullopt for a model that this program does not know.
  std::optional<double> operations(const Run& run, double steps);

 private:
  std::map<std::string, std::optional<double>> of_a_step_;  // by the settings that the cost depends on
};

}  // namespace orthoread
