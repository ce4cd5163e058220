// Stop 4, the other half: wrong engines, kept runnable.
#include <fmt/format.h>

#include <set>
#include <utility>
#include <vector>

// Every node is the sum of its inputs: what backward sends to each input is the node's own gradient.
struct Node {
  std::vector<Node*> inputs;
  double grad = 0;
  bool visited = false;
};
int64_t visits = 0;

void by_age(Node& result, bool newest_first, bool add) {
  std::set<Node*> pending = {&result};  // sorted by address: in one vector, by age
  result.grad = 1;
  while (!pending.empty()) {
    Node* node = newest_first ? *pending.rbegin() : *pending.begin();
    pending.erase(node), ++visits;
    for (Node* input : node->inputs) {
      input->grad = add ? input->grad + node->grad : node->grad;
      pending.insert(input);
    }
  }
}

void recursion(Node& node, double dy) {  // right, but it walks every path
  node.grad += dy, ++visits;
  for (Node* input : node.inputs) recursion(*input, dy);
}
void stopping(Node& node, double dy) {  // the repair that suggests itself
  node.grad += dy;
  if (std::exchange(node.visited, true)) return;
  ++visits;
  for (Node* input : node.inputs) stopping(*input, dy);
}

template <class Engine>
void show(const char* name, Engine engine) {
  std::vector<Node> one(3), two(4), many(21);  // a, b, c; a, b, c, d; and twenty doublings
  for (auto* nodes : {&one, &two, &many})
    for (size_t i = 1; i < nodes->size(); ++i) (*nodes)[i].inputs.assign(2, &(*nodes)[i - 1]);
  two[3].inputs = {&two[2], &two[1]};  // d = c + b
  engine(one[2]), engine(two[3]), visits = 0, engine(many[20]);
  fmt::print("{:<28}{:>7}{:>7}{:>10}\n", name, one[0].grad, two[0].grad, visits);
}

int main() {
  fmt::print("{:<28}{:>7}{:>7}{:>10}\n{:<28}{:>7}{:>7}{:>10}\n", "engine", "dc/da", "dd/da", "visits", "on paper", 4, 6,
             21);
  show("newest first", [](Node& y) { by_age(y, true, true); });
  show("recursion", [](Node& y) { recursion(y, 1); });
  show("recursion that stops early", [](Node& y) { stopping(y, 1); });
  show("newest first, = for +=", [](Node& y) { by_age(y, true, false); });
  show("oldest first", [](Node& y) { by_age(y, false, true); });
}
