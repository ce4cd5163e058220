// Pictures of a trace: Graphviz's language, files made by Graphviz, and a page that steps through backward.
#pragma once

#include "apps/graph/trace.h"

#include <map>

namespace orthoread {

/// The files page.css and page.js, by path.
extern const std::map<std::string, std::string> kPageParts;

/// In Graphviz's language. Each node shows its op, its shapes, the bytes it keeps, and dashes if it needs no gradient;
/// with `backward` also the order of visits and the norm of its gradient.
std::string to_dot(const Trace& trace, bool backward);

/// A page in a single file: the graph, and keys and buttons to step through the visits.
std::string to_html(const Trace& trace, const std::string& title);

/// Writes an .svg, .png, .dot or .html file, by the path's ending, atomically. .svg and .png need Graphviz. .html shows
/// the visits if the trace has them. Errors: another file type, Graphviz missing or failing, a path that cannot be
/// written.
void write_picture(const std::string& path, const Trace& trace, bool backward, const std::string& title);
/// An Error unless the path has one of these endings.
void check_picture(const std::string& path);

/// Runs backward(y) and draws it. Use it in place of backward(y). `names` name leaves and results.
template <Real T>
void draw_backward(const std::string& path, const Tensor<T>& y, const NamedTensors<T>& names) {
  write_picture(path, folded(trace(y, names, true)), true, path);
}

}  // namespace orthoread
