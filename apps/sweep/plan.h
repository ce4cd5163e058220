// What a sweep is to do, for who meets its folder without the grid: DIR/planned/GRID.json, one for each grid,
//   {"grid": …, "runs": [{"name": …, "settings": {…}}, …]}
#pragma once

#include "apps/sweep/grid.h"

namespace orthoread {

struct PlannedRun {
  std::string folder;  // where it is, or will be
  Json settings;
};

/// Writes what the grids of these runs ask for; another grid of that name is replaced. Throws as write_file_atomically.
void write_plan(const std::string& sweep, const std::vector<GridRun>& runs);

/// Is it the folder of a sweep that has a plan?
bool has_plan(const std::string& sweep);
/// What all grids of a sweep ask for, as far as their files are there. Errors: a damaged file.
std::vector<PlannedRun> read_plan(const std::string& sweep);

}  // namespace orthoread
