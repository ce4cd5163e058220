// A line for each op of the library: how a formula that a person types calls it, and a small example, which the
// gradient checker tries.
#pragma once

#include "ops/gradcheck/gradient_check.h"

namespace orthoread {

using Numbers = std::vector<double>;

/// An op as a formula calls it: with `tensors` of them (-1: one or more), then `least` to `most` numbers.
struct OpCall {
  int tensors, least, most;
  /// Empty of an op that gives several tensors, which no formula can hold.
  std::function<Tensor<double>(const std::vector<Tensor<double>>& x, const Numbers& c)> compute;
};

/// What the gradient checker tries.
struct OpExample {
  std::vector<Input> inputs;
  Functions f;                         // the op, called with these, and with numbers where it takes some
  std::optional<Functions> twin = {};  // the same composed of other ops, where the op is fused
};

struct OpEntry {
  std::string name;
  OpCall call;
  std::optional<OpExample> example = {};  // apps/gradcheck/matrix_checks.h has checks of the ops without
};

/// In the order of the ops' headers.
const std::vector<OpEntry>& op_table();

}  // namespace orthoread
