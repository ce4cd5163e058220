// Pictures of a trace: Graphviz's language, files that Graphviz makes of it, and a page that steps through backward.
#pragma once

#include "apps/graph/trace.h"

#include <map>

namespace orthoread {

/// The parts of the page that are files of their own, by path: page.css and page.js.
extern const std::map<std::string, std::string> kPageParts;

/// In Graphviz's language: for each node its op, its shapes, who needs no gradient (dashed) and what it keeps; with
/// `backward` also the order of the visits and each gradient's norm.
std::string to_dot(const Trace& trace, bool backward);

/// One page that needs nothing else: the graph, and a step for each visit, to be gone through with keys and buttons.
std::string to_html(const Trace& trace, const std::string& title);

/// An .svg, .png, .dot or .html file, by the path's ending: whole or not at all. The first two need Graphviz. An .html
/// shows the visits if the trace has them. Errors: another kind of file, Graphviz missing or failing, a path that
/// cannot be written.
void write_picture(const std::string& path, const Trace& trace, bool backward, const std::string& title);
/// An error unless the path ends like one of these.
void check_picture(const std::string& path);

/// Runs backward(y), and draws what it did: in place of that call. Names are those of leaves and of results.
template <Real T>
void draw_backward(const std::string& path, const Tensor<T>& y, const NamedTensors<T>& names) {
  write_picture(path, folded(trace(y, names, true)), true, path);
}

}  // namespace orthoread
