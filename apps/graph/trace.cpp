#include "apps/graph/trace.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <tuple>

namespace orthoread {
namespace {

/// Counts the bytes, and passes every call on.
struct Counter : std::pmr::memory_resource {
  std::pmr::memory_resource* upstream = nullptr;
  std::atomic<int64_t> live = 0;
  int counting = 0;

  void* do_allocate(size_t bytes, size_t alignment) override {
    live += static_cast<int64_t>(bytes);
    return upstream->allocate(bytes, alignment);
  }
  void do_deallocate(void* p, size_t bytes, size_t alignment) override {
    live -= static_cast<int64_t>(bytes);
    upstream->deallocate(p, bytes, alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

/// Never destroyed: some arrays outlive it otherwise.
Counter& counter() {
  static auto* one = new Counter;
  return *one;
}

template <Real T>
GradientView view(const Array<T>& x) {
  constexpr int64_t kFew = 6;
  double squares = 0;
  for (int64_t i = 0; i < x.size(); ++i) squares += value_of(x.data()[i]) * value_of(x.data()[i]);
  GradientView seen{std::sqrt(squares), ""};
  for (int64_t i = 0; i < x.size() && x.size() <= kFew; ++i) {
    const bool new_row = x.rank() > 1 && i > 0 && i % x.dim(-1) == 0;
    seen.numbers += (i == 0 ? "" : new_row ? " | " : " ") + short_number(value_of(x.data()[i]));
  }
  return seen;
}

/// All outputs of a node together: the view of the only one, or the norm of all.
template <Real T>
std::optional<GradientView> view(const Grads<T>& grads) {
  std::optional<GradientView> all;
  for (const Array<T>& grad : grads) {
    if (!grad.defined()) continue;
    const GradientView one = view(grad);
    all = all ? GradientView{std::hypot(all->norm, one.norm), ""} : one;
  }
  return all;
}

/// All nodes that y depends on, oldest first.
template <Real T>
std::vector<std::shared_ptr<Node<T>>> nodes_of(const Tensor<T>& y) {
  std::map<uint64_t, std::shared_ptr<Node<T>>> found;
  std::vector<std::shared_ptr<Node<T>>> pending = {y.edge().node};
  while (!pending.empty()) {
    const std::shared_ptr<Node<T>> node = pending.back();
    pending.pop_back();
    if (!found.emplace(node->number, node).second) continue;
    for (const Edge<T>& input : node->inputs)
      if (input.node != nullptr) pending.push_back(input.node);
  }
  std::vector<std::shared_ptr<Node<T>>> nodes;
  for (auto& [number, node] : found) nodes.push_back(std::move(node));
  return nodes;
}

/// Runs backward and records it.
template <Real T>
void follow(const Tensor<T>& y, const std::map<const Node<T>*, size_t>& index, Trace& trace) {
  int64_t before_release = 0;
  const auto observer = [&](const Node<T>& node, const Grads<T>& grads) {
    const size_t at = index.at(&node);
    if (node.spent) {
      if (counter().counting > 0) trace.nodes[at].kept = before_release - counter().live;
      return;
    }
    trace.nodes[at].gradient = view(node.grads);
    Visit& visit = trace.visits.emplace_back(Visit{at, {}});
    for (size_t i = 0; i < grads.size(); ++i) {
      const auto input = index.find(node.inputs[i].node.get());
      if (input != index.end() && grads[i].defined()) visit.sent.push_back({input->second, view(grads[i])});
    }
    before_release = counter().live;
  };
  struct Unobserved {  // however backward ends
    ~Unobserved() { backward_observer<T> = nullptr; }
  } const afterwards;
  backward_observer<T> = observer;
  const auto ones = Array<T>::filled(y.shape(), T(1));
  trace.seed = view(ones);
  trace.nodes[trace.result].gradient = trace.seed;
  backward(y, ones);
}

/// Whether two nodes are alike, as in the steps of a recurrence.
bool alike(const TraceNode& a, const TraceNode& b) {
  return a.op == b.op && a.op != "leaf" && a.shapes == b.shapes && a.inputs.size() == b.inputs.size();
}

/// The same `period` nodes, `times` times, from `begin` on.
struct Repetition {
  size_t begin = 0, period = 0, times = 0;
  size_t covered() const { return period * times; }
};

/// The repetition in [begin, end) that covers most; of equal ones, that with the shortest period.
Repetition longest_repetition(const std::vector<TraceNode>& nodes, size_t begin, size_t end) {
  constexpr size_t kFewest = 4;  // times
  Repetition best;
  for (size_t period = 1; period * kFewest <= end - begin; ++period) {
    for (size_t i = begin, run = 0; i + period < end; ++i) {
      run = alike(nodes[i], nodes[i + period]) ? run + 1 : 0;
      const Repetition found{i + 1 - run, period, run / period + 1};
      const bool worth_it = found.times >= kFewest && found.covered() > 2 * period + 2;
      if (worth_it && found.covered() > best.covered()) best = found;
    }
  }
  return best;
}

void find_repetitions(const std::vector<TraceNode>& nodes, size_t begin, size_t end, std::vector<Repetition>& found) {
  const Repetition one = longest_repetition(nodes, begin, end);
  if (one.times == 0) return;
  find_repetitions(nodes, begin, one.begin, found);
  found.push_back(one);
  find_repetitions(nodes, one.begin + one.covered(), end, found);
}

/// Replaces all but the first time of each repetition by one node.
Trace folded_once(const Trace& trace) {
  std::vector<Repetition> repetitions;
  find_repetitions(trace.nodes, 0, trace.nodes.size(), repetitions);
  Trace out;
  std::vector<size_t> place(trace.nodes.size());  // the index of each node in `out`
  std::vector<bool> hidden(trace.nodes.size());
  auto next = repetitions.begin();
  for (size_t i = 0; i < trace.nodes.size(); ++i) {
    if (next != repetitions.end() && i == next->begin + next->covered()) ++next;
    const bool inside = next != repetitions.end() && i >= next->begin + next->period;
    hidden[i] = inside;
    const TraceNode& node = trace.nodes[i];
    if (!inside) {
      out.nodes.push_back(node);
      out.nodes.back().inputs.clear();
    } else if (i == next->begin + next->period) {
      out.nodes.push_back({.op = fmt::format("{} times the same", next->times - 1), .name = "", .stands_for = 0});
    }
    place[i] = out.nodes.size() - 1;
    TraceNode& shown = out.nodes.back();
    if (inside) {
      shown.stands_for += node.stands_for;
      if (node.kept) shown.kept = shown.kept.value_or(0) + *node.kept;
    }
    for (const TraceNode::Input& input : node.inputs) {
      const TraceNode::Input to{place[input.node], hidden[input.node] ? 0 : input.output};
      const bool known = std::any_of(shown.inputs.begin(), shown.inputs.end(), [&](const TraceNode::Input& other) {
        return std::tie(other.node, other.output) == std::tie(to.node, to.output);
      });
      if (to.node == place[i] || (known && (inside || hidden[input.node]))) continue;
      shown.inputs.push_back(to);
    }
  }
  out.result = place[trace.result];
  out.seed = trace.seed;
  for (const Visit& visit : trace.visits) {
    const bool goes_on = !out.visits.empty() && hidden[visit.node] && out.visits.back().node == place[visit.node];
    if (!goes_on) out.visits.push_back({place[visit.node], {}});
    for (const Visit::Sent& sent : visit.sent)
      if (place[sent.node] != place[visit.node]) out.visits.back().sent.push_back({place[sent.node], sent.gradient});
  }
  return out;
}

}  // namespace

std::string short_number(double x) {
  return std::isnan(x) ? "NaN" : fmt::format("{:.3g}", x == 0 ? 0 : x);  // no -0
}

ArrayCounter::ArrayCounter() {
  if (counter().counting++ > 0) return;
  if (counter().upstream == nullptr) counter().upstream = std::pmr::get_default_resource();
  std::pmr::set_default_resource(&counter());
}

ArrayCounter::~ArrayCounter() {
  if (--counter().counting == 0) std::pmr::set_default_resource(counter().upstream);
}

template <Real T>
Trace trace(const Tensor<T>& y, const NamedTensors<T>& names, bool run_backward) {
  check(y.needs_grad(), "graph: the result depends on no leaf, so nothing was recorded");
  Trace found;
  std::map<const Node<T>*, size_t> index;
  const std::vector<std::shared_ptr<Node<T>>> nodes = nodes_of(y);
  for (const std::shared_ptr<Node<T>>& node : nodes) {
    TraceNode one{.op = node->op, .name = "", .shapes = node->shapes};
    for (const auto& [name, tensor] : names)
      if (tensor.edge().node == node) one.name = name;
    for (const Edge<T>& input : node->inputs) {
      if (input.node != nullptr) {
        one.inputs.push_back({index.at(input.node.get()), input.output});
      } else {
        one.inputs.push_back({found.nodes.size(), 0});
        found.nodes.push_back({.op = "constant", .name = "", .needs_grad = false});
      }
    }
    index[node.get()] = found.nodes.size();
    found.nodes.push_back(std::move(one));
  }
  found.result = index.at(y.edge().node.get());
  if (!run_backward) return found;
  follow(y, index, found);
  for (const std::shared_ptr<Node<T>>& node : nodes)
    if (std::string(node->op) == "leaf") found.nodes[index[node.get()]].gradient = view(node->grads);
  return found;
}

Trace folded(const Trace& trace) {
  constexpr size_t kSmall = 24;
  Trace shown = trace;
  for (size_t before = shown.nodes.size() + 1; kSmall < shown.nodes.size() && shown.nodes.size() < before;) {
    before = shown.nodes.size();
    shown = folded_once(shown);  // next, repetitions within the remaining nodes
  }
  return shown;
}

#define INSTANTIATE(T) template Trace trace(const Tensor<T>&, const NamedTensors<T>&, bool);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace orthoread
