// What the engine recorded and what backward did with it, as plain data that can be drawn.
#pragma once

#include "core/tensor.h"

#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace orthoread {

/// A gradient, for a person: its norm and, if there are few, its numbers.
struct GradientView {
  double norm = 0;
  std::string numbers;  // "1 2 | 3 4", or empty
};

/// Three digits; infinity and NaN by name.
std::string short_number(double x);

struct TraceNode {
  /// What an input is: one output of another node.
  struct Input {
    size_t node, output;
  };

  std::string op;    // "leaf", "constant" or the op's name
  std::string name;  // of a leaf that has one
  std::vector<Shape> shapes = {};
  std::vector<Input> inputs = {};
  bool needs_grad = true;
  std::optional<int64_t> kept = {};  // bytes that stayed alive for its backward alone, where they were counted
  /// What backward brought it, all told; none if it never came by.
  std::optional<GradientView> gradient = {};
  int64_t stands_for = 1;  // nodes, where repeated ones are folded into one
};

/// A node's turn: what it sent to each of its inputs.
struct Visit {
  struct Sent {
    size_t node;
    GradientView gradient;
  };
  size_t node;
  std::vector<Sent> sent;
};

/// Nodes in the order of their making, so that inputs come before users; visits in the order of backward.
struct Trace {
  std::vector<TraceNode> nodes;
  size_t result = 0;
  GradientView seed = {};  // the result's gradient, which backward begins with
  std::vector<Visit> visits = {};
};

/// Counts the bytes of all arrays made while it lives. With one of them a trace knows what each node kept.
class ArrayCounter {
 public:
  ArrayCounter();
  ~ArrayCounter();
  ArrayCounter(const ArrayCounter&) = delete;
};

template <Real T>
using NamedTensors = std::vector<std::pair<std::string, Tensor<T>>>;

/// The graph of y. With `run_backward`, backward(y) is run (for a y of several numbers: of their sum) and followed,
/// which releases the graph. Names are those of leaves and of results.
template <Real T>
Trace trace(const Tensor<T>& y, const NamedTensors<T>& names, bool run_backward);

/// The trace with what repeats itself in the order of making, as the tokens of a recurrence do, folded: of n times the
/// same the first is left, and one node stands for the others. Small graphs stay as they are.
Trace folded(const Trace& trace);

}  // namespace orthoread
