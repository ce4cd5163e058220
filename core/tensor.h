// Tensor: an Array and where it came from. This file and tensor.cpp are the whole engine.
//
// While a forward pass runs, every op calls record(), which makes a node: the op's name, an edge to each input, and a
// function from the gradient of the output (dy) to the gradients of the inputs. backward() walks that graph once.
//
// The order of the walk. A node is made after its inputs, so its number is larger than theirs, and visiting nodes
// newest first meets every user of a value before the value itself: when a node's turn comes, its dy is complete. Plain
// recursion would walk every path, 2^n of them for n lines such as b = a + a. On 100,000 tokens it would overflow the
// stack; so would destroying such a chain, hence ~Node. docs/tour/04-backward.md runs this and other wrong engines.
#pragma once

#include "core/array.h"

#include <functional>

namespace orthoread {

/// One gradient for each input of an op, in order. A gradient that is not wanted may be left undefined.
template <Real T>
using Grads = std::vector<Array<T>>;

/// Which inputs of an op need a gradient, by position.
using Want = std::vector<bool>;

/// From the gradient of an op's output to the gradients of its inputs.
template <Real T>
using Backward = std::function<Grads<T>(const Array<T>& dy, const Want& want)>;

/// The same for an op with several outputs; dys[i] is undefined if nothing used output i.
template <Real T>
using BackwardMany = std::function<Grads<T>(const std::vector<Array<T>>& dys, const Want& want)>;

template <Real T>
struct Node;

/// One output of a node; no node means a constant.
template <Real T>
struct Edge {
  std::shared_ptr<Node<T>> node;  // that made it
  size_t output = 0;              // which of its results
};

/// A node keeps no values: only what an op's backward function has captured stays alive, until the function has run. It
/// captures Arrays, never Tensors: an edge hidden in a closure would bring the recursive destructor back.
template <Real T>
struct Node {
  const char* op;                    // its name
  uint64_t number;                   // creation order
  std::vector<Edge<T>> inputs;       // in the op's order
  BackwardMany<T> backward;          // empty for a leaf
  std::vector<Shape> shapes;         // of the outputs
  std::vector<Array<T>> grads = {};  // of the outputs; a leaf keeps its gradient, others lose it once it was used
  bool spent = false;                // backward has passed through and released it

  ~Node();
};

/// If it is set, backward calls it twice for each node that it visits on this thread: with the gradients of the inputs,
/// to look at or to change, and with none as soon as the node has released what it kept (`spent`).
template <Real T>
inline thread_local std::function<void(const Node<T>& node, Grads<T>& grads)> backward_observer;

/// While one of these lives, this thread's ops record no history. Only record() asks for it.
class NoGrad {
 public:
  NoGrad() : before_(active_) { active_ = true; }
  ~NoGrad() { active_ = before_; }
  NoGrad(const NoGrad&) = delete;
  static bool active() { return active_; }  // whether one lives

 private:
  bool before_;
  static inline thread_local bool active_ = false;
};

/// An Array and where it came from.
template <Real T>
class Tensor {
 public:
  /// A constant, unless an edge says where the value came from.
  Tensor(Array<T> value, Edge<T> edge = {}) : value_(std::move(value)), edge_(std::move(edge)) {}
  /// A parameter: backward adds to its gradient, as in PyTorch, until it is set again.
  static Tensor leaf(Array<T> value);

  const Array<T>& value() const { return value_; }           // the numbers
  const Shape& shape() const { return value_.shape(); }      // of the value
  int64_t dim(int axis) const { return value_.dim(axis); }   // of the value, along an axis
  const Edge<T>& edge() const { return edge_; }              // where it came from
  bool needs_grad() const { return edge_.node != nullptr; }  // false of a constant

  /// A leaf's gradient; undefined if no backward pass has reached it.
  const Array<T>& grad() const { return leaf_node("grad").grads[0]; }
  /// Replaces a leaf's gradient: by none, to begin a new sum, or by a clipped one.
  void set_grad(Array<T> grad) { leaf_node("set_grad").grads[0] = std::move(grad); }
  /// A leaf's numbers, to write: what an optimizer does. Copies of this Tensor keep the old numbers.
  T* edit() {
    leaf_node("edit");
    return value_.edit();
  }

 private:
  Node<T>& leaf_node(const char* what) const;  // an error if this is no leaf

  Array<T> value_;
  Edge<T> edge_;
};

/// The output of an op with its history: a constant if no input needs a gradient or NoGrad is active.
template <Real T>
Tensor<T> record(const char* op, Array<T> y, const std::vector<Tensor<T>>& inputs, Backward<T> backward);

/// The same for an op with several outputs, whose backward is called once, with all of their gradients.
template <Real T>
std::vector<Tensor<T>> record_many(const char* op, std::vector<Array<T>> ys, const std::vector<Tensor<T>>& inputs,
                                   BackwardMany<T> backward);

/// Adds the gradient of sum(y * cotangent) to that of every leaf that y depends on, and releases the graph: a second
/// pass through any part of it is an error. The cotangent of a loss, which is one number, is 1 and may be left out.
template <Real T>
void backward(const Tensor<T>& y, Array<T> cotangent = {});

}  // namespace orthoread
