// A check of every op that the library has, at the small example of apps/op_table.h. (The memory's ops, newton_schulz
// and mlstm, have more: matrix_checks.h.)
#pragma once

#include "ops/gradcheck/gradient_check.h"

namespace orthoread {

/// Their names, in the order of the table.
std::vector<std::string> checked_ops();
bool is_checked_op(const std::string& name);
/// The gradients of that op, and its twin; the seed is that of the inputs, too.
GradientReport check_op(const std::string& name, uint64_t seed);

}  // namespace orthoread
