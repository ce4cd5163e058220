// Groups runs by their settings. A cell holds the runs that differ only in the seed.
#pragma once

#include "apps/report/runs.h"

namespace orthoread {

/// Runs that differ only in the seed.
struct Cell {
  Json level;     // the value of the compared setting
  Json settings;  // the varying settings, `setting` and the compared setting, by name
  std::vector<const Run*> runs;
};

/// Cells that differ only in the compared setting.
struct Group {
  Json settings;      // the varying settings, without the compared one
  std::string label;  // "v80_s512, lr 0.003"
  std::vector<size_t> cells;
};

struct Grouping {
  std::string compare;               // the compared setting
  std::vector<Json> levels;          // its values, raw first, then in order
  std::vector<std::string> varying;  // the other settings that vary
  Json shared = Json::object();      // the settings that do not vary, by name
  std::vector<Cell> cells;           // by group, then by level
  std::vector<Group> groups;

  size_t level_index(const Json& level) const;
  /// The settings that tell which runs an entry of analyze() is about: the varying ones without the compared one; if
  /// there are none, the task.
  std::vector<std::string> telling() const;
  /// The settings of an entry, then `what`: "v80_s512, lr 0.003, ns5".
  std::string about(const Json& entry, const std::string& what) const;
};

/// Groups the runs, which must outlive the result. Settings that follow from the seed do not separate cells
/// (cell_settings.h). A setting that is missing in a config.json has the default of `train`. An Error if no run has the
/// setting `compare`.
Grouping group_runs(const std::vector<Run>& runs, const std::string& compare);

/// One value, or several settings, as text: "v80_s512, lr 0.003".
std::string text_of(const Json& value);
std::string settings_text(const Json& settings);

}  // namespace orthoread
