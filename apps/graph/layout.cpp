#include "apps/graph/layout.h"

#include <algorithm>
#include <numeric>

namespace orthoread {
namespace {

/// A node, or the point where a long edge crosses a layer.
struct Slot {
  size_t layer;
  double width, x = 0;
  std::vector<size_t> above = {}, below = {};
};

/// The mean position of the neighbours in one direction; x itself if there are none.
double wish(const std::vector<Slot>& slots, const std::vector<size_t>& neighbours, double x) {
  if (neighbours.empty()) return x;
  double sum = 0;
  for (const size_t i : neighbours) sum += slots[i].x;
  return sum / static_cast<double>(neighbours.size());
}

/// Places the slots of a layer near their wished positions, in this order and without overlap: once packed from the
/// left, once from the right, then the mean of both, which has no overlap either.
void place(std::vector<Slot>& slots, const std::vector<size_t>& order, const std::vector<double>& wishes) {
  const size_t n = order.size();
  std::vector<double> left(n), right(n);
  const auto apart = [&](size_t i) { return (slots[order[i]].width + slots[order[i + 1]].width) / 2; };
  for (size_t i = 0; i < n; ++i) left[i] = i == 0 ? wishes[i] : std::max(wishes[i], left[i - 1] + apart(i - 1));
  for (size_t i = n; i-- > 0;) right[i] = i + 1 == n ? wishes[i] : std::min(wishes[i], right[i + 1] - apart(i));
  for (size_t i = 0; i < n; ++i) slots[order[i]].x = (left[i] + right[i]) / 2;
}

}  // namespace

Layout lay_out(size_t nodes, const std::vector<GraphEdge>& edges, double node_width, double node_height) {
  constexpr double kGap = 20, kLayerGap = 44, kPassing = 24, kMargin = 12;
  std::vector<size_t> layer(nodes, 0);
  std::vector<bool> has_input(nodes, false);
  for (size_t node = 0; node < nodes; ++node)
    for (const GraphEdge& edge : edges)
      if (edge.to == node) layer[node] = std::max(layer[node], layer[edge.from] + 1), has_input[node] = true;
  for (size_t node = nodes; node-- > 0;) {  // a node without inputs goes just above its first user
    size_t first = 0;
    for (const GraphEdge& edge : edges)
      if (edge.from == node) first = first == 0 ? layer[edge.to] : std::min(first, layer[edge.to]);
    if (!has_input[node] && first > 0) layer[node] = first - 1;
  }
  std::vector<Slot> slots;
  for (size_t node = 0; node < nodes; ++node) slots.push_back({layer[node], node_width + kGap});
  std::vector<std::vector<size_t>> through;  // the slots of each edge
  for (const GraphEdge& edge : edges) {
    std::vector<size_t>& path = through.emplace_back(std::vector<size_t>{edge.from});
    for (size_t at = layer[edge.from] + 1; at < layer[edge.to]; ++at) {
      path.push_back(slots.size());
      slots.push_back({at, kPassing});
    }
    path.push_back(edge.to);
    for (size_t i = 0; i + 1 < path.size(); ++i) {
      slots[path[i]].below.push_back(path[i + 1]);
      slots[path[i + 1]].above.push_back(path[i]);
    }
  }
  std::vector<std::vector<size_t>> layers(1 + *std::max_element(layer.begin(), layer.end()));
  for (size_t i = 0; i < slots.size(); ++i) layers[slots[i].layer].push_back(i);
  for (std::vector<size_t>& row : layers) {
    double x = 0;
    for (const size_t i : row) slots[i].x = x += slots[i].width;
  }
  // First orders by the neighbours' means, downwards and upwards in turn; then only moves the positions.
  constexpr int kOrdering = 12, kPlacing = 8;
  for (int sweep = 0; sweep < kOrdering + kPlacing; ++sweep) {
    const bool down = sweep % 2 == 0;
    for (size_t k = 0; k < layers.size(); ++k) {
      std::vector<size_t>& row = layers[down ? k : layers.size() - 1 - k];
      const auto wished = [&](size_t i) { return wish(slots, down ? slots[i].above : slots[i].below, slots[i].x); };
      if (sweep < kOrdering)
        std::stable_sort(row.begin(), row.end(), [&](size_t a, size_t b) { return wished(a) < wished(b); });
      std::vector<double> wishes;
      for (const size_t i : row) wishes.push_back(wished(i));
      place(slots, row, wishes);
    }
  }
  double least = slots[0].x, most = least;
  for (const Slot& slot : slots) {
    least = std::min(least, slot.x - slot.width / 2);
    most = std::max(most, slot.x + slot.width / 2);
  }
  Layout out{.nodes = {}, .edges = edges};
  const auto centre = [&](size_t i) {
    return Point{kMargin + slots[i].x - least,
                 kMargin + node_height / 2 + static_cast<double>(slots[i].layer) * (node_height + kLayerGap)};
  };
  for (size_t node = 0; node < nodes; ++node) out.nodes.push_back(centre(node));
  for (size_t e = 0; e < edges.size(); ++e) {
    for (size_t i = 0; i < through[e].size(); ++i) {
      const Point at = centre(through[e][i]);
      if (i > 0) out.edges[e].path.push_back({at.x, at.y - node_height / 2});
      if (i + 1 < through[e].size()) out.edges[e].path.push_back({at.x, at.y + node_height / 2});
    }
  }
  out.width = most - least + 2 * kMargin;
  out.height = 2 * kMargin + static_cast<double>(layers.size()) * (node_height + kLayerGap) - kLayerGap;
  return out;
}

}  // namespace orthoread
