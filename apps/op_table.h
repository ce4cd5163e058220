// A line for each op: how expressions (apps/graph/expression.h) call it, and a small example for the gradient checker.
#pragma once

#include "ops/gradcheck/gradient_check.h"

namespace orthoread {

using Numbers = std::vector<double>;

/// How an expression calls an op: with `tensors` tensors (-1: one or more), then `least` to `most` numbers.
struct OpCall {
  int tensors, least, most;
  /// Empty for an op with several results, which expressions do not have.
  std::function<Tensor<double>(const std::vector<Tensor<double>>& x, const Numbers& c)> compute;
};

/// An example for the gradient checker.
struct OpExample {
  std::vector<Input> inputs;
  Functions f;                         // calls the op with these inputs
  std::optional<Functions> twin = {};  // of a fused op: the same function composed of other ops
};

struct OpEntry {
  std::string name;
  OpCall call;
  std::optional<OpExample> example = {};  // ops without one: apps/gradcheck/matrix_checks.h
};

/// In the order of the ops' headers.
const std::vector<OpEntry>& op_table();

}  // namespace orthoread
