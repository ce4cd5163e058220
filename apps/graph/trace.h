// The recorded graph and the course of backward, as plain data that can be drawn.
#pragma once

#include "core/tensor.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace orthoread {

/// A gradient for display: its norm and, if there are few, its numbers.
struct GradientView {
  double norm = 0;
  std::string numbers;  // "1 2 | 3 4", or empty
};

/// Three digits; infinity and NaN by name.
std::string short_number(double x);

struct TraceNode {
  /// An input: one output of another node.
  struct Input {
    size_t node, output;
  };

  std::string op;    // "leaf", "constant" or the op's name
  std::string name;  // of a named leaf
  std::vector<Shape> shapes = {};
  std::vector<Input> inputs = {};
  bool needs_grad = true;
  std::optional<int64_t> kept = {};  // bytes kept only for its backward, if counted
  /// The gradient that backward summed for it; nullopt if it was not visited.
  std::optional<GradientView> gradient = {};
  int64_t stands_for = 1;  // number of nodes that this one represents
};

/// The visit of a node: what it sent to each of its inputs.
struct Visit {
  struct Sent {
    size_t node;
    GradientView gradient;
  };
  size_t node;
  std::vector<Sent> sent;
};

/// Nodes in the order of creation, inputs before users; visits in the order of backward.
struct Trace {
  std::vector<TraceNode> nodes;
  size_t result = 0;
  GradientView seed = {};  // the result's gradient, with which backward starts
  std::vector<Visit> visits = {};
};

/// Counts the bytes of all arrays while it exists, so that a trace can tell what each node keeps.
class ArrayCounter {
 public:
  ArrayCounter();
  ~ArrayCounter();
  ArrayCounter(const ArrayCounter&) = delete;
};

template <Real T>
using NamedTensors = std::vector<std::pair<std::string, Tensor<T>>>;

/// The graph of y. With `run_backward`, also runs and records backward(y) (of the sum of y, if it has several numbers),
/// which releases the graph. `names` name leaves and results.
template <Real T>
Trace trace(const Tensor<T>& y, const NamedTensors<T>& names, bool run_backward);

/// The trace with repetitions folded, such as the tokens of a recurrence: the first of n equal parts remains, and one
/// node represents the others. Small graphs do not change.
Trace folded(const Trace& trace);

}  // namespace orthoread
