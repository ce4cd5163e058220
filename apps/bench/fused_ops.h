// Each fused op of the model beside the ops that it replaces, for `orthoread bench ops`.
#pragma once

#include "apps/bench/measure.h"
#include "models/recall_model.h"

#include <functional>
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

/// Runs both forms of everything that a block computes beside its memory, on `batch` sequences of `tokens`, in turn,
/// `repeats` times after a warm-up. An Error if they do not give the same numbers. After each op done(how many are
/// done, of how many, its name) is called.
template <Real T>
std::vector<OpTiming> time_fused_ops(const RecallModelConfig& model, int64_t batch, int64_t tokens, int64_t repeats,
                                     const std::function<void(int64_t, int64_t, const std::string&)>& done);

}  // namespace orthoread
