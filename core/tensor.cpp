#include "core/tensor.h"
#include "core/parallel.h"

#include <atomic>
#include <map>

namespace orthoread {
namespace {

std::atomic<uint64_t> nodes_made = 0;

/// to += from. The first gradient is kept as it is (its buffer shared, not copied), later ones are added to a copy.
template <Real T>
void accumulate(Array<T>& to, const Array<T>& from) {
  if (!to.defined()) {
    to = from;
    return;
  }
  T* sum = to.edit();
  parallel_for(to.size(), 1 << 15, [sum, more = from.data()](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) sum[i] += more[i];
  });
}

/// Nodes that have received a gradient, by number: the last one is the newest.
template <Real T>
using Pending = std::map<uint64_t, std::shared_ptr<Node<T>>>;

/// Calls a node's backward function, hands the gradients to the node's inputs, and releases what the node held.
template <Real T>
void visit(Node<T>& node, Pending<T>& pending) {
  Want want(node.inputs.size());
  for (size_t i = 0; i < want.size(); ++i) want[i] = node.inputs[i].node != nullptr;
  Grads<T> grads = node.backward(node.grads, want), none;
  if (backward_observer<T>) backward_observer<T>(node, grads);
  node.spent = true;
  node.backward = nullptr;
  if (backward_observer<T>) backward_observer<T>(node, none);
  check(grads.size() == want.size(), "backward of {}: {} gradients for {} inputs", node.op, grads.size(), want.size());
  for (size_t i = 0; i < grads.size(); ++i) {
    if (!want[i] || !grads[i].defined()) continue;
    const auto& [input, output] = node.inputs[i];
    check_shape(grads[i].shape() == input->shapes[output],
                "backward of {}: the gradient of input {} must have the input's shape {}, it has {}", node.op, i,
                input->shapes[output], grads[i].shape());
    accumulate(input->grads[output], grads[i]);
    pending.emplace(input->number, input);
  }
  node.inputs.clear();
  node.grads.assign(node.grads.size(), Array<T>());
}

}  // namespace

template <Real T>
Node<T>::~Node() {  // takes the chain of inputs apart with a list of its own instead of the call stack
  std::vector<Edge<T>> pending = std::move(inputs);
  while (!pending.empty()) {
    const Edge<T> edge = std::move(pending.back());
    pending.pop_back();
    if (edge.node.use_count() != 1) continue;  // a constant, or somebody else still needs it
    for (Edge<T>& input : edge.node->inputs) pending.push_back(std::move(input));
  }
}

template <Real T>
Tensor<T> Tensor<T>::leaf(Array<T> value) {
  auto node = std::make_shared<Node<T>>(Node<T>{"leaf", nodes_made++, {}, nullptr, {value.shape()}, Grads<T>(1)});
  return {std::move(value), {std::move(node), 0}};
}

template <Real T>
Node<T>& Tensor<T>::leaf_node(const char* what) const {
  check(needs_grad(), "{}: this is a constant; make a parameter with Tensor::leaf", what);
  const bool leaf = !edge_.node->backward && !edge_.node->spent;
  check(leaf, "{}: this is a result of {}; only leaves have a gradient and can be written", what, edge_.node->op);
  return *edge_.node;
}

template <Real T>
std::vector<Tensor<T>> record_many(const char* op, std::vector<Array<T>> ys, const std::vector<Tensor<T>>& inputs,
                                   BackwardMany<T> backward) {
  const auto has_history = [](const Tensor<T>& x) { return x.needs_grad(); };
  std::shared_ptr<Node<T>> node;
  if (!NoGrad::active() && std::any_of(inputs.begin(), inputs.end(), has_history)) {
    node = std::make_shared<Node<T>>(Node<T>{op, nodes_made++, {}, std::move(backward), {}, Grads<T>(ys.size())});
    for (const Tensor<T>& x : inputs) node->inputs.push_back(x.edge());
    for (const Array<T>& y : ys) node->shapes.push_back(y.shape());
  }
  std::vector<Tensor<T>> outputs;
  for (size_t i = 0; i < ys.size(); ++i) outputs.emplace_back(std::move(ys[i]), Edge<T>{node, i});
  return outputs;
}

template <Real T>
Tensor<T> record(const char* op, Array<T> y, const std::vector<Tensor<T>>& inputs, Backward<T> backward) {
  const auto many = [backward = std::move(backward)](const std::vector<Array<T>>& dys, const Want& want) {
    return backward(dys[0], want);
  };
  return record_many<T>(op, {std::move(y)}, inputs, many)[0];
}

template <Real T>
void backward(const Tensor<T>& y, Array<T> cotangent) {
  check(y.needs_grad(), "backward: the result depends on no leaf (made by Tensor::leaf, used without NoGrad)");
  if (!cotangent.defined()) {
    check_shape(y.value().size() == 1, "backward: the loss must be one number, not {}; take its mean or sum",
                y.shape());
    cotangent = Array<T>::filled(y.shape(), T(1));
  }
  check_shape(cotangent.shape() == y.shape(), "backward: the cotangent must have the result's shape {}, it has {}",
              y.shape(), cotangent.shape());
  const auto& [root, output] = y.edge();
  Pending<T> pending = {{root->number, root}};
  accumulate(root->grads[output], cotangent);
  while (!pending.empty()) {
    const std::shared_ptr<Node<T>> newest = pending.extract(std::prev(pending.end())).mapped();
    check(!newest->spent, "backward: a graph serves one pass, and {} was in an earlier one; run the forward pass again",
          newest->op);
    if (newest->backward) visit(*newest, pending);  // a leaf only keeps its gradient
  }
}

#define ORTHOREAD_INSTANTIATE(T)                                                                                 \
  template struct Node<T>;                                                                                       \
  template class Tensor<T>;                                                                                      \
  template Tensor<T> record(const char*, Array<T>, const std::vector<Tensor<T>>&, Backward<T>);                  \
  template std::vector<Tensor<T>> record_many(const char*, std::vector<Array<T>>, const std::vector<Tensor<T>>&, \
                                              BackwardMany<T>);                                                  \
  template void backward(const Tensor<T>&, Array<T>);
ORTHOREAD_INSTANTIATE(float)
ORTHOREAD_INSTANTIATE(double)
ORTHOREAD_INSTANTIATE(Dual)

}  // namespace orthoread
