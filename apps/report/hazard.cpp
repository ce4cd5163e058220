#include "apps/report/hazard.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

namespace orthoread {
namespace {

/// An interval between two evaluations, and whether the run escaped in it.
struct EscapeInterval {
  const Cell* cell;
  double step;  // at its end
  bool escaped;
};

std::vector<EscapeInterval> escape_intervals(const std::vector<const Cell*>& cells) {
  std::vector<EscapeInterval> intervals;
  for (const Cell* cell : cells) {
    for (const Run* run : cell->runs) {
      for (const RunEvaluation& evaluation : run->evaluations) {
        if (evaluation.step <= 1) continue;
        if (evaluation.step > run->last_seen()) break;
        intervals.push_back({cell, static_cast<double>(evaluation.step), evaluation.step == run->escape_step});
      }
    }
  }
  return intervals;
}

/// Removes the intervals with a value of a setting where no run, or every run, escapes: that coefficient is infinite,
/// and the other intervals give the likelihood of the other coefficients. Returns whether there was such a value.
bool drop_certain(std::vector<EscapeInterval>& intervals, const std::string& key, std::vector<std::string>& warnings) {
  std::map<std::string, std::pair<int64_t, int64_t>> counts;  // by value: intervals, escapes
  for (const EscapeInterval& interval : intervals) {
    auto& [all, escaped] = counts[text_of(interval.cell->settings[key])];
    ++all;
    escaped += interval.escaped ? 1 : 0;
  }
  const auto certain = [&](const EscapeInterval& interval) {
    const auto& [all, escaped] = counts[text_of(interval.cell->settings[key])];
    return escaped == 0 || escaped == all;
  };
  if (std::erase_if(intervals, certain) == 0) return false;
  for (const auto& [value, of] : counts) {
    if (of.second == 0)
      warnings.push_back(fmt::format("no run with {} {} escapes; the regression leaves these runs out.", key, value));
    if (of.second == of.first)
      warnings.push_back(fmt::format(
          "every run with {} {} escapes at its first evaluation; the regression leaves these runs out.", key, value));
  }
  return true;
}

}  // namespace

std::vector<HazardRatio> hazard_ratios(const Grouping& grouping, const std::vector<const Cell*>& cells) {
  std::vector<EscapeInterval> intervals = escape_intervals(cells);
  std::vector<Json> levels;
  for (const Json& level : grouping.levels) {
    if (std::any_of(cells.begin(), cells.end(), [&](const Cell* cell) { return cell->level == level; }))
      levels.push_back(level);
  }
  std::vector<HazardRatio> ratios;
  std::map<std::string, int64_t> escapes_of;
  for (const Json& level : levels) {
    int64_t all = 0, escaped = 0;
    for (const EscapeInterval& interval : intervals) {
      if (interval.cell->level != level) continue;
      ++all;
      escaped += interval.escaped ? 1 : 0;
    }
    escapes_of[level.dump()] = escaped;
    ratios.push_back({level, std::nullopt, all, escaped, {}});
  }
  const HazardRatio reference = ratios[0];
  ratios.erase(ratios.begin());

  std::vector<std::string> warnings;
  for (bool dropped = true; dropped;) {
    dropped = false;
    for (const std::string& key : grouping.varying) dropped = drop_certain(intervals, key, warnings) || dropped;
  }
  std::vector<std::string> none;  // warnings about levels follow below
  drop_certain(intervals, grouping.compare, none);

  // The setting and value of each column; the first two columns have none.
  std::vector<std::pair<std::string, Json>> columns = {{"", {}}, {"", {}}};
  const auto add_indicators = [&](const std::string& key) {
    std::vector<Json> values;
    for (const EscapeInterval& interval : intervals) {
      const Json& value = interval.cell->settings[key];
      if (std::find(values.begin(), values.end(), value) == values.end()) values.push_back(value);
    }
    for (const Json& value : values)
      if (value != (key == grouping.compare ? reference.level : values[0])) columns.emplace_back(key, value);
  };
  for (const std::string& key : grouping.varying) add_indicators(key);
  add_indicators(grouping.compare);

  std::vector<std::vector<double>> rows;
  std::vector<bool> outcomes;
  int64_t escapes = 0;
  for (const EscapeInterval& interval : intervals) {
    std::vector<double> row = {1, std::log(interval.step / 1000)};
    for (size_t i = 2; i < columns.size(); ++i)
      row.push_back(interval.cell->settings[columns[i].first] == columns[i].second ? 1 : 0);
    rows.push_back(std::move(row));
    outcomes.push_back(interval.escaped);
    escapes += interval.escaped ? 1 : 0;
  }
  const auto fit = rows.empty() ? std::nullopt : logistic_regression(rows, outcomes);
  for (HazardRatio& ratio : ratios) {
    ratio.warnings = warnings;
    if (ratio.intervals == 0 || reference.intervals == 0) {
      ratio.warnings = {"not computed, because one side has no interval between evaluations before an escape."};
    } else if (reference.escapes == 0) {
      ratio.warnings.push_back(fmt::format("not computed, because no run of {} escapes.", text_of(reference.level)));
    } else if (ratio.escapes == 0) {
      ratio.ratio = Ratio{0, kNoFigure, kNoFigure};
      ratio.warnings.push_back(
          fmt::format("0 and without an interval, because no run of {} escapes.", text_of(ratio.level)));
    } else if (ratio.escapes == ratio.intervals || reference.escapes == reference.intervals) {
      ratio.warnings.emplace_back("not computed, because all runs of one side escape at their first evaluation.");
    } else if (!fit) {
      ratio.warnings.emplace_back(
          "not computed, because the settings and the step alone tell which runs escape (separation): the likelihood "
          "has no maximum.");
    } else {
      const auto column = std::find(columns.begin(), columns.end(), std::pair(grouping.compare, ratio.level));
      const auto at = static_cast<size_t>(column - columns.begin());
      if (column == columns.end() || std::isnan(fit->coefficients[at])) {
        ratio.warnings.push_back(
            fmt::format("not computed, because {} always goes with the same values of other settings (collinearity).",
                        text_of(ratio.level)));
        continue;
      }
      ratio.ratio = ratio_of(fit->coefficients[at], fit->standard_errors[at]);
      constexpr size_t kEscapesAColumn = 10;
      if (static_cast<size_t>(escapes) < kEscapesAColumn * columns.size()) {
        ratio.warnings.push_back(
            fmt::format("{} escapes for {} coefficients; with fewer than {} each the interval is approximate.", escapes,
                        columns.size(), kEscapesAColumn));
      }
    }
  }
  return ratios;
}

}  // namespace orthoread
