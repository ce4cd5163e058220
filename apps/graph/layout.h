// Layered layout of a graph, inputs above their users (Sugiyama, Tagawa and Toda, 1981).
#pragma once

#include <cstddef>
#include <vector>

namespace orthoread {

struct Point {
  double x = 0, y = 0;
};

struct GraphEdge {
  size_t from, to;               // nodes, from < to
  std::vector<Point> path = {};  // from the bottom of `from` to the top of `to`
};

struct Layout {
  std::vector<Point> nodes;  // centres
  std::vector<GraphEdge> edges;
  double width = 0, height = 0;
};

/// For nodes of equal size. `edges` lead from lower to higher numbers.
Layout lay_out(size_t nodes, const std::vector<GraphEdge>& edges, double node_width, double node_height);

}  // namespace orthoread
