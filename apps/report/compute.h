// What a run costs.
#pragma once

#include "apps/report/runs.h"

#include <map>

namespace orthoread {

/// Counts the floating-point operations that the mathematics of a run needs, as `orthoread bench step` does.
class OperationCounter {
 public:
  /// Of this many steps of the run. Nothing for a model that this program does not know.
  std::optional<double> operations(const Run& run, double steps);

 private:
  std::map<std::string, std::optional<double>> of_a_step_;  // by the settings that it depends on
};

}  // namespace orthoread
