// The runs of a sweep, for readers of its folder who lack the grid: one file DIR/planned/GRID.json for each grid,
//   {"grid": …, "runs": [{"name": …, "settings": {…}}, …]}
#pragma once

#include "apps/sweep/grid.h"

namespace orthoread {

struct PlannedRun {
  std::string folder;  // existing or not
  Json settings;
};

/// Writes the plan of each grid, replacing one of the same name. Throws as write_file_atomically does.
void write_plan(const std::string& sweep, const std::vector<GridRun>& runs);

/// Whether the folder is that of a sweep with a plan.
bool has_plan(const std::string& sweep);
/// The planned runs of all grids of a sweep. An Error if a file is damaged.
std::vector<PlannedRun> read_plan(const std::string& sweep);

}  // namespace orthoread
