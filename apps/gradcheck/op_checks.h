// A check of every op, on the small example of apps/op_table.h. (matrix_checks.h has more for newton_schulz and mlstm.)
#pragma once

#include "ops/gradcheck/gradient_check.h"

namespace orthoread {

/// The names of the checked ops, in the order of the table.
std::vector<std::string> checked_ops();
bool is_checked_op(const std::string& name);
/// Checks the op's gradients and its twin. The seed also gives the inputs.
GradientReport check_op(const std::string& name, uint64_t seed);

}  // namespace orthoread
