// A grid: the runs of a sweep.
//
//   {"name": "reads", "fixed": {"setting": "v80_s512"},
//    "vary": {"read": ["raw", "ns5"], "seed": {"from": 11, "to": 26}}}
//
// The runs are the Cartesian product of `vary`, numbered from 0, with the last key varying fastest. A file may hold a
// list of grids: their runs follow one another. A key is a flag of `train`, with underscores.
#pragma once

#include "apps/train/train_config.h"

#include <string>
#include <utility>
#include <vector>

namespace orthoread {

/// One run of a grid. Depends only on the grid file and on the `init` checkpoint that it names.
struct GridRun {
  int64_t index;
  std::string grid;  // its name, as a file name
  TrainConfig config;
  Json settings;                                            // those of config.json
  std::vector<std::string> flags;                           // of `train`, without --out and --resume
  std::vector<std::pair<std::string, std::string>> varied;  // the settings that the grid varies
  std::string hash;                                         // of the settings: 8 hex digits
  std::string name;                                         // readable; ends in the hash

  /// The settings that vary, such as "ns5, lr 0.003, seed 11".
  std::string label() const;
};

/// The runs of a grid file. An Error is one line that names the file and the key: an unknown key (with the nearest
/// known one), a value of the wrong type, settings that `train` would refuse.
std::vector<GridRun> read_grid(const std::string& path);

}  // namespace orthoread
