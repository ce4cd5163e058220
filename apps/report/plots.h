// The pictures of a report.
#pragma once

#include "apps/report/cells.h"

namespace orthoread {

struct Plot {
  std::string name;   // of its file, without .svg
  std::string group;  // the label of the group that it is about, or empty
  std::string title;
  std::string caption;  // what it shows, for who does not see it
  std::string svg;
};

/// Whether draw_plots gives this name to a file.
bool is_plot(const std::string& file_name);

/// All pictures: the solved fractions first, then the escape, accuracy and loss of each group. `comparison` is
/// analyze()'s. Errors: those of plot().
std::vector<Plot> draw_plots(const Grouping& grouping, const Json& comparison);

}  // namespace orthoread
