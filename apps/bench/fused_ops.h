// Each fused op of the model beside the ops that it replaces, for `orthoread bench ops`.
#pragma once

#include "apps/bench/measure.h"
#include "models/recall_model.h"

#include <string>
#include <vector>

namespace orthoread {

/// A computation in two forms that give the same numbers up to rounding, and the time of a forward and a backward of
/// each.
struct OpTiming {
  std::string name;      // of the op that the model has
  std::string replaces;  // the other form
  Timing fused, composed;
};

/// Runs both forms of everything that a block computes beside its memory, for `rows` tokens in sequences of `tokens`,
/// in turn, `repeats` times after a warm-up. `done` is called after each op.
template <Real T>
std::vector<OpTiming> time_fused_ops(const RecallModelConfig& model, int64_t batch, int64_t tokens, int64_t repeats,
                                     const std::function<void(const OpTiming&)>& done);

}  // namespace orthoread
