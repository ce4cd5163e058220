// A check of every op that the library has, at a small example. (The memory's ops, newton_schulz and mlstm, have more:
// matrix_checks.h.)
#pragma once

#include "ops/gradcheck/gradient_check.h"

namespace orthoread {

struct OpCheck {
  std::string name;  // the op's
  std::vector<Input> inputs;
  Functions f;
  std::optional<Functions> twin = {};  // the same composed of other ops, where the op is fused
};

/// In the order of the ops' headers.
const std::vector<OpCheck>& op_checks();
bool is_checked_op(const std::string& name);
/// The gradients of that op, and its twin; the seed is that of the inputs, too.
GradientReport check_op(const std::string& name, uint64_t seed);

}  // namespace orthoread
