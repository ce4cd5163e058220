// Formulas as text, computed with the ops: "softmax(x @ w) * y", "b = a + a; c = b + b".
#pragma once

#include "core/tensor.h"

#include <map>
#include <string>
#include <vector>

namespace orthoread {

/// Statements separated by semicolons: assignments and, last, the expression whose value is wanted; a last assignment
/// counts as its value.
///
///   + - * / @ (the matrix product) and parentheses, with Python's precedence
///   numbers, which are constants
///   names: of a value assigned before, else of a parameter
///   ops by name, tensors before numbers: layer_norm(x, w), sum(x, 1), newton_schulz(x, 5); softmax is exp(log_softmax)
class Expression {
 public:
  /// An Error that shows the place if the text is no formula.
  explicit Expression(const std::string& text);

  /// Computes the value. `parameter` gives the tensor of a name when it is first needed. `assigned` is called with each
  /// assigned name and value.
  Tensor<double> value(
      const std::function<Tensor<double>(const std::string& name)>& parameter,
      const std::function<void(const std::string& name, const Tensor<double>& value)>& assigned = {}) const;

  struct Term;

 private:
  std::vector<std::pair<std::string, std::shared_ptr<Term>>> statements_;  // the name may be empty
};

/// Shapes for all parameters of the expression: the given ones and, for the others, the first of some small shapes with
/// which everything fits. An Error if none fit, or if a given name does not occur.
std::map<std::string, Shape> fitting_shapes(const Expression& expression, const std::map<std::string, Shape>& given);

/// The ops that an expression can call.
std::vector<std::string> expression_ops();

}  // namespace orthoread
