#include "apps/graph/picture.h"

#include "apps/graph/layout.h"
#include "apps/json_file.h"
#include "data/files.h"

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

namespace orthoread {
namespace {

constexpr double kWidth = 156, kHeight = 74;  // of a node on the page

/// "b (add)"; the name alone for a leaf.
std::string title(const TraceNode& node) {
  if (node.name.empty()) return node.op;
  return node.op == "leaf" ? node.name : fmt::format("{} ({})", node.name, node.op);
}

/// Shortens a text to fit a box. A title keeps its end, which says more than its beginning.
std::string ending_of(const std::string& title) {
  constexpr size_t kFits = 18;
  return title.size() <= kFits ? title : "…" + title.substr(title.size() - kFits + 1);
}
std::string beginning_of(const std::string& text) {
  constexpr size_t kFits = 25;
  return text.size() <= kFits ? text : text.substr(0, kFits - 1) + "…";
}

/// "[2, 3]", or "4 of [2, 3]" for many outputs.
std::string shapes(const TraceNode& node) {
  if (node.shapes.empty()) return "";
  if (node.shapes.size() == 1 && node.shapes[0].empty()) return "one number";
  const bool equal = std::all_of(node.shapes.begin(), node.shapes.end(), [&](auto& s) { return s == node.shapes[0]; });
  if (node.shapes.size() == 1) return fmt::format("{}", node.shapes[0]);
  if (equal) return fmt::format("{} of {}", node.shapes.size(), node.shapes[0]);
  return fmt::format("{}", fmt::join(node.shapes, ", "));
}

std::string bytes(int64_t n) {
  constexpr int64_t kKilo = 1 << 10, kMega = 1 << 20;
  if (n < 10 * kKilo) return fmt::format("{} bytes", n);
  return n < 10 * kMega ? fmt::format("{} KiB", n / kKilo) : fmt::format("{} MiB", n / kMega);
}

/// What a node keeps or stands for, in a few words; "" if nothing.
std::string keeps(const TraceNode& node) {
  std::string kept = node.kept && *node.kept > 0 ? "keeps " + bytes(*node.kept) : "";
  if (node.stands_for == 1) return kept;
  return fmt::format("{} nodes{}", node.stands_for, kept.empty() ? "" : ", " + kept);
}

std::string amount(const GradientView& gradient) {
  return gradient.numbers.empty() ? "norm " + short_number(gradient.norm) : gradient.numbers;
}

std::string escaped_for_html(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '&')
      out += "&amp;";
    else if (c == '"')
      out += "&quot;";
    else
      out += c;
  }
  return out;
}

/// For a string of Graphviz.
std::string escaped_for_dot(const std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out;
}

/// One edge for each pair of nodes, however many outputs are used.
std::vector<GraphEdge> edges_of(const Trace& trace) {
  std::vector<GraphEdge> edges;
  for (size_t to = 0; to < trace.nodes.size(); ++to) {
    for (const TraceNode::Input& input : trace.nodes[to].inputs) {
      const bool known = std::any_of(edges.begin(), edges.end(),
                                     [&](const GraphEdge& e) { return e.from == input.node && e.to == to; });
      if (!known) edges.push_back({input.node, to});
    }
  }
  return edges;
}

/// How often a node uses the only output of another; 1 if that has several outputs.
int64_t times_used(const Trace& trace, const GraphEdge& edge) {
  if (trace.nodes[edge.from].shapes.size() != 1) return 1;
  const std::vector<TraceNode::Input>& inputs = trace.nodes[edge.to].inputs;
  return std::count_if(inputs.begin(), inputs.end(),
                       [&](const TraceNode::Input& input) { return input.node == edge.from; });
}

Json json(const GradientView& gradient) {  // JSON has no infinity
  const double norm = gradient.norm;
  return {{"norm", std::isfinite(norm) ? Json(norm) : Json(short_number(norm))}, {"numbers", gradient.numbers}};
}

/// The data for the page's script.
Json json(const Trace& trace, const std::vector<GraphEdge>& edges) {
  Json document = {
      {"result", trace.result}, {"nodes", Json::array()}, {"edges", Json::array()}, {"visits", Json::array()}};
  int64_t kept = 0;
  bool counted = false;
  for (const TraceNode& node : trace.nodes) {
    Json inputs = Json::array();
    for (const TraceNode::Input& input : node.inputs) inputs.push_back(input.node);
    document["nodes"].push_back({{"op", node.op},
                                 {"name", node.name},
                                 {"inputs", inputs},
                                 {"needs_grad", node.needs_grad},
                                 {"folded", node.stands_for},
                                 {"kept", node.kept ? Json(*node.kept) : Json(nullptr)},
                                 {"gradient", node.gradient ? json(*node.gradient) : Json(nullptr)}});
    counted = counted || node.kept;
    kept += node.kept.value_or(0);
  }
  document["counted"] = counted;
  document["kept"] = kept;
  for (const GraphEdge& edge : edges) document["edges"].push_back({{"from", edge.from}, {"to", edge.to}});
  for (const Visit& visit : trace.visits) {
    Json sent = Json::array();
    for (const Visit::Sent& one : visit.sent) sent.push_back({{"node", one.node}, {"gradient", json(one.gradient)}});
    document["visits"].push_back({{"node", visit.node}, {"sent", sent}});
  }
  document["seed"] = json(trace.seed);
  return document;
}

/// A smooth curve through the points, vertical at each of them.
std::string curve(const std::vector<Point>& path) {
  std::string d = fmt::format("M{:.1f} {:.1f}", path[0].x, path[0].y);
  for (size_t i = 1; i < path.size(); ++i) {
    const double middle = (path[i - 1].y + path[i].y) / 2;
    d += fmt::format("C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}", path[i - 1].x, middle, path[i].x, middle, path[i].x,
                     path[i].y);
  }
  return d;
}

std::string svg(const Trace& trace, const Layout& layout) {
  std::string out =
      fmt::format("<svg width=\"{0:.0f}\" height=\"{1:.0f}\" viewBox=\"0 0 {0:.0f} {1:.0f}\" aria-hidden=\"true\">\n",
                  layout.width, layout.height);
  for (size_t k = 0; k < layout.edges.size(); ++k) {
    const std::vector<Point>& path = layout.edges[k].path;
    out += fmt::format("<path id=\"e{}\" class=\"edge\" d=\"{}\"/>\n", k, curve(path));
    const int64_t times = times_used(trace, layout.edges[k]);
    if (times < 2) continue;
    const bool leftwards = path[1].x < path[0].x;
    out += fmt::format("<text class=\"times\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{} times</text>\n",
                       (path[0].x + path[1].x) / 2 + (leftwards ? -7 : 7), (path[0].y + path[1].y) / 2 + 4,
                       leftwards ? "end" : "start", times);
  }
  for (size_t i = 0; i < trace.nodes.size(); ++i) {
    const TraceNode& node = trace.nodes[i];
    const auto [x, y] = layout.nodes[i];
    const auto text = [&, x = x, y = y](double down, const char* kind, const std::string& content) {
      return fmt::format("<text class=\"{}\" x=\"{:.1f}\" y=\"{:.1f}\">{}</text>", kind, x, y + down,
                         escaped_for_html(content));
    };
    out += fmt::format(
        "<g id=\"n{}\" class=\"node{}\"><rect x=\"{:.1f}\" y=\"{:.1f}\" width=\"{}\" height=\"{}\" rx=\"8\"/>", i,
        node.needs_grad ? "" : " constant", x - kWidth / 2, y - kHeight / 2, kWidth, kHeight);
    out += text(-18, "op", ending_of(title(node))) + text(-2, "small", beginning_of(shapes(node))) +
           text(13, "small", keeps(node));
    out +=
        fmt::format("<text id=\"g{}\" class=\"small gradient\" x=\"{:.1f}\" y=\"{:.1f}\"></text></g>\n", i, x, y + 29);
  }
  return out + "</svg>\n";
}

/// All nodes as a table, for readers who do not use the picture.
std::string table(const Trace& trace) {
  std::string rows;
  for (size_t i = 0; i < trace.nodes.size(); ++i) {
    const TraceNode& node = trace.nodes[i];
    std::vector<std::string> inputs;
    for (const TraceNode::Input& input : node.inputs)
      inputs.push_back(
          fmt::format("{} (node {})",
                      trace.nodes[input.node].name.empty() ? trace.nodes[input.node].op : trace.nodes[input.node].name,
                      input.node));
    rows += fmt::format("<tr><th scope=\"row\">{}</th><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td>{}</tr>\n",
                        i, escaped_for_html(title(node)), shapes(node),
                        escaped_for_html(fmt::format("{}", fmt::join(inputs, ", "))), node.needs_grad ? "yes" : "no",
                        keeps(node), trace.visits.empty() ? "" : fmt::format("<td id=\"t{}\"></td>", i));
  }
  return fmt::format(
      "<table><thead><tr><th scope=\"col\">node</th><th scope=\"col\">op</th><th scope=\"col\">shape</th><th "
      "scope=\"col\">inputs</th><th scope=\"col\">needs a gradient</th><th scope=\"col\">kept for backward</th>{}"
      "</tr></thead>\n<tbody>\n{}</tbody></table>\n",
      trace.visits.empty() ? "" : "<th scope=\"col\">gradient at this step</th>", rows);
}

void run_graphviz(const std::string& path, const std::string& kind, const std::string& dot) {
  namespace fs = std::filesystem;
  struct Folder {  // a temporary folder, so that write errors concern the requested file
    std::string path = fs::temp_directory_path() / "orthoread-graph-XXXXXX";
    Folder() { check(mkdtemp(path.data()) != nullptr, "graph: cannot make the folder {}", path); }
    ~Folder() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
  } const folder;
  const std::string stem = folder.path + "/graph";
  write_file_atomically(stem + ".dot", dot);
  std::string quoted = "'";
  for (const char c : stem) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  const std::string command = fmt::format("dot -T{0} -o {1}.out' {1}.dot' 2> {1}.log'", kind, quoted);
  constexpr int kNotFound = 127;                    // what a shell returns for a command that is missing
  const int status = std::system(command.c_str());  // NOLINT(cert-env33-c)
  check(!(WIFEXITED(status) && WEXITSTATUS(status) == kNotFound),
        "graph: .{} needs Graphviz, which is not installed (Debian: apt-get install graphviz); .dot and .html do not",
        kind);
  check(status == 0, "graph: Graphviz says: {}", read_file(stem + ".log").substr(0, 200));
  write_file_atomically(path, read_file(stem + ".out"));
}

std::string ending(const std::string& path) { return std::filesystem::path(path).extension().string(); }

}  // namespace

std::string to_dot(const Trace& trace, bool backward) {
  std::string out =
      "digraph {\n  node [shape=box, style=rounded, fontname=\"sans-serif\", fontsize=11]\n  edge "
      "[color=\"#667085\", fontname=\"sans-serif\", fontsize=10]\n";
  std::vector<size_t> order(trace.nodes.size(), 0);
  for (size_t k = trace.visits.size(); k-- > 0;) order[trace.visits[k].node] = k + 1;
  for (size_t i = 0; i < trace.nodes.size(); ++i) {
    const TraceNode& node = trace.nodes[i];
    std::string label = escaped_for_dot(title(node));
    for (const std::string& line : {shapes(node), keeps(node)})
      if (!line.empty()) label += "\\n" + line;
    if (backward && node.needs_grad) {
      if (order[i] > 0) label += fmt::format("\\nvisit {}", order[i]);
      const bool folded = node.stands_for > 1;
      if (!folded) label += "\\ngradient: " + (node.gradient ? amount(*node.gradient) : "none yet");
    }
    out += fmt::format("  n{} [label=\"{}\"{}]\n", i, label, node.needs_grad ? "" : ", style=dashed");
  }
  for (const GraphEdge& edge : edges_of(trace)) {
    const int64_t times = times_used(trace, edge);
    out += fmt::format("  n{} -> n{}{}\n", edge.from, edge.to,
                       times > 1 ? fmt::format(" [label=\"{} times\"]", times) : "");
  }
  return out + "}\n";
}

std::string to_html(const Trace& trace, const std::string& title_text) {
  const std::vector<GraphEdge> edges = edges_of(trace);
  const Layout layout = lay_out(trace.nodes.size(), edges, kWidth, kHeight);
  std::string data = json(trace, layout.edges).dump();
  for (size_t at = 0; (at = data.find('<', at)) != data.npos;) data.replace(at, 1, "\\u003c");
  std::string visits;
  for (const Visit& visit : trace.visits)
    visits +=
        fmt::format("<li><button type=\"button\">{}</button></li>\n", escaped_for_html(title(trace.nodes[visit.node])));
  const std::string panel =
      trace.visits.empty()
          ? ""
          : "<section id=\"panel\" aria-label=\"Backward, step by step\">\n<p id=\"say\" aria-live=\"polite\"></p>\n"
            "<nav aria-label=\"Steps\"><button id=\"first\" type=\"button\">Start</button><button id=\"back\" "
            "type=\"button\">&larr; Back</button><button id=\"next\" type=\"button\">Next &rarr;</button><button "
            "id=\"end\" "
            "type=\"button\">End</button></nav>\n<p id=\"bytes\"></p>\n</section>\n";
  return fmt::format(
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" "
      "content=\"width=device-width, initial-scale=1\">\n<title>{0}</title>\n<style>\n{1}</style>\n</head>\n<body>\n"
      "<header><h1>{0}</h1>\n<p>{2}</p></header>\n<main>\n<div id=\"graph\" tabindex=\"0\" role=\"group\" "
      "aria-label=\"Picture of the graph; the table below says the "
      "same\">\n{3}</div>\n{4}</main>\n<details{5}><summary>All nodes as "
      "a table</summary><div class=\"table\">\n{6}</div></details>\n{7}<script>\nconst graph = "
      "{8};\n{9}</script>\n</body>\n"
      "</html>\n",
      escaped_for_html(title_text), kPageParts.at("apps/graph/page.css"),
      trace.visits.empty()
          ? "Inputs above, the result below. Dashed: needs no gradient."
          : "Inputs above, the result below; backward goes upwards, newest node first. Step with the "
            "buttons or the arrow keys. Red: the node that is visited; green: where it sends gradients; "
            "faded: visited before.",
      svg(trace, layout), panel, trace.visits.empty() ? " open" : "", table(trace),
      visits.empty() ? "" : "<details><summary>All visits</summary><ol id=\"visits\">\n" + visits + "</ol></details>\n",
      data, kPageParts.at("apps/graph/page.js"));
}

void check_picture(const std::string& path) {
  const std::string end = ending(path);
  check(end == ".svg" || end == ".png" || end == ".dot" || end == ".html",
        "graph: .svg, .png, .dot and .html can be written, not '{}'", path);
}

void write_picture(const std::string& path, const Trace& trace, bool backward, const std::string& title_text) {
  check_picture(path);
  const std::string end = ending(path);
  if (end == ".html") {
    write_file_atomically(path, to_html(trace, title_text));
  } else if (end == ".dot") {
    write_file_atomically(path, to_dot(trace, backward));
  } else {
    run_graphviz(path, end.substr(1), to_dot(trace, backward));
  }
}

}  // namespace orthoread
