// A grid: which runs a sweep is made of.
//
//   {"name": "reads", "fixed": {"setting": "v80_s512"}, "vary": {"read": ["raw", "ns5"], "seed": {"from": 11, "to":
//   26}}}
//
// The runs are the product of what varies, the last key varying fastest, numbered from 0. A file may hold a list of
// grids: their runs in order. A key is a flag of `train`, with underscores.
#pragma once

#include "apps/train/train_config.h"

#include <string>
#include <utility>
#include <vector>

namespace orthoread {

/// One run of a grid. Depends on the grid file (and the `init` checkpoint that it names) alone.
struct GridRun {
  int64_t index;
  std::string grid;  // its name, as a file may have it
  TrainConfig config;
  Json settings;                                            // what config.json will hold
  std::vector<std::string> flags;                           // of `train`, without --out and --resume
  std::vector<std::pair<std::string, std::string>> varied;  // key and value of what the grid varies
  std::string hash;                                         // of the settings: 8 hex digits
  std::string name;                                         // readable, and ends in the hash

  /// What varies, for a person: "ns5, lr 0.003, seed 11".
  std::string label() const;
};

/// The runs of a grid file. Errors, in one line, name the file and the key: an unknown key (and the one that was
/// meant), a value of the wrong type, settings that `train` would refuse.
std::vector<GridRun> read_grid(const std::string& path);

}  // namespace orthoread
