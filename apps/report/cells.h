// Runs by their settings: which settings vary, and which runs differ in nothing but the seed.
#pragma once

#include "apps/report/runs.h"

namespace orthoread {

/// Runs of equal settings but for the seed.
struct Cell {
  Json level;     // the value of what is compared
  Json settings;  // what varies, `setting`, and what is compared: name to value
  std::vector<const Run*> runs;
};

/// Cells that differ in nothing but what is compared.
struct Group {
  Json settings;      // what varies, without what is compared
  std::string label;  // "v80_s512, lr 0.003"
  std::vector<size_t> cells;
};

struct Grouping {
  std::string compare;               // the setting that is compared
  std::vector<Json> levels;          // its values, raw first, then in order
  std::vector<std::string> varying;  // the other settings that vary
  Json shared;                       // the settings that do not: name to value
  std::vector<Cell> cells;           // by group, then by level
  std::vector<Group> groups;

  size_t level_index(const Json& level) const;
  /// The settings that say which runs an entry of analyze() is about: those that vary beside what is compared, or else
  /// the task.
  std::vector<std::string> telling() const;
  /// An entry's settings and, after them, what of them it is: "v80_s512, lr 0.003, ns5".
  std::string about(const Json& entry, const std::string& what) const;
};

/// Of a run's settings those that make its cell: not the seed, nor what follows from it.
Json cell_settings(Json settings);

/// Groups the runs, which must outlive the result. The seed makes no cell of its own, nor does what follows from it: a
/// data_seed that equals it, and its number in the name of an initial checkpoint. A setting that a run's config.json
/// lacks has the default of `train`. Errors: a setting to compare that no run has.
Grouping group_runs(const std::vector<Run>& runs, const std::string& compare);

/// A setting's value, or several settings, as a person reads them: "v80_s512, lr 0.003".
std::string text_of(const Json& value);
std::string settings_text(const Json& settings);

}  // namespace orthoread
