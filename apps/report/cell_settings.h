// Which settings tell the cells of a report apart.
#pragma once

#include "apps/json_file.h"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace orthoread {

/// The settings of a run without its seed and without what follows from the seed, which only all runs together tell:
///
/// - a data_seed that equals the seed, unless runs of other seeds, equal otherwise, have the same data_seed;
/// - the seed's number in the path of an initial checkpoint, unless that number is the same for all seeds. Paths that
///   end in the same name are one where each seed has the same weights (init_sha256): the folder may be elsewhere on
///   another machine.
class CellSettings {
 public:
  explicit CellSettings(const std::vector<Json>& of_all_runs);

  /// For the settings of one of these runs.
  Json of(Json settings) const;

 private:
  using PathAndSeed = std::pair<std::string, std::string>;

  void name_inits(const std::vector<Json>& of_all_runs);

  std::map<PathAndSeed, std::string> init_;
  std::set<std::string> fixed_data_;  // other settings and data_seed, where several seeds share them
};

}  // namespace orthoread
