// The plots of a report.
#pragma once

#include "apps/report/cells.h"

namespace orthoread {

struct Plot {
  std::string name;   // its file's name without .svg
  std::string group;  // the label of the group that it shows, or empty
  std::string title;
  std::string caption;  // what it shows, also for readers who cannot see it
  std::string svg;
};

/// Whether draw_plots may give this name to a file.
bool is_plot(const std::string& file_name);

/// All plots: first the solved fractions, then escape, accuracy and loss of each group. `comparison` is analyze()'s.
/// Errors: those of plot().
std::vector<Plot> draw_plots(const Grouping& grouping, const Json& comparison);

}  // namespace orthoread
