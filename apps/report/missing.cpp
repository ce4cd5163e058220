#include "apps/report/missing.h"

#include "apps/report/cell_settings.h"

#include <algorithm>
#include <map>

namespace orthoread {
namespace {

/// Whole numbers as "11 to 18, 20".
std::string ranges(const Json& numbers) {
  std::string text;
  for (size_t i = 0; i < numbers.size();) {
    size_t last = i;
    while (last + 1 < numbers.size() && numbers[last + 1].get<int64_t>() == numbers[last].get<int64_t>() + 1) ++last;
    text += (text.empty() ? "" : ", ") + numbers[i].dump() + (last > i ? " to " + numbers[last].dump() : "");
    i = last + 1;
  }
  return text;
}

/// Unfinished runs: their number and their names.
void add_unfinished(std::vector<std::string>& lines, const Json& comparison, size_t not_begun) {
  const Json& unfinished = comparison["unfinished"];
  const size_t left = unfinished.size() + not_begun;
  if (left == 0) return;
  std::string line =
      fmt::format("{} of {} runs are not finished (no result.json)", left, left + comparison["runs"].get<size_t>());
  if (not_begun > 0) line += fmt::format("; {} of them have not begun", not_begun);
  if (comparison["failed"] > 0) line += fmt::format("; {} of them failed", comparison["failed"].get<int64_t>());
  lines.push_back(line + ".");
  if (unfinished.empty()) return;
  constexpr size_t kMostNames = 5;
  std::vector<std::string> names;
  for (size_t i = 0; i < std::min(unfinished.size(), kMostNames); ++i) names.push_back(unfinished[i]);
  lines.push_back(fmt::format("Not finished: {}{}.", fmt::join(names, ", "),
                              unfinished.size() > kMostNames ? " and others, which comparison.json lists" : ""));
}

}  // namespace

Json describe_not_begun(const RunCollection& collection, const std::string& compare) {
  std::map<std::string, std::vector<std::string>> values;  // by setting, as JSON text
  std::vector<Json> all;
  for (const Run& run : collection.runs) all.push_back(run.settings);
  for (const PlannedRun& run : collection.not_begun) all.push_back(run.settings);
  const CellSettings cell_settings(all);
  for (const Json& settings : all) {
    const Json of_cell = cell_settings.of(settings);
    for (const auto& [key, value] : of_cell.items()) {
      std::vector<std::string>& of_key = values[key];
      if (std::find(of_key.begin(), of_key.end(), value.dump()) == of_key.end()) of_key.push_back(value.dump());
    }
  }

  Json entries = Json::array();
  std::map<std::string, size_t> places;
  for (const auto& [folder, settings] : collection.not_begun) {
    Json entry = Json::object();
    const Json of_cell = cell_settings.of(settings);
    for (const auto& [key, value] : of_cell.items())
      if (key == compare || values[key].size() > 1) entry[key] = value;
    const auto [found, is_new] = places.emplace(entry.dump(), entries.size());
    if (is_new) {
      entry.update({{"folders", Json::array()}, {"seeds", Json::array()}});
      entries.push_back(std::move(entry));
    }
    entries[found->second]["folders"].push_back(folder);
    entries[found->second]["seeds"].push_back(settings.value("seed", int64_t{0}));
  }
  for (Json& entry : entries) std::sort(entry["seeds"].begin(), entry["seeds"].end());
  return entries;
}

std::vector<std::string> missing_lines(const Grouping& grouping, const Json& comparison) {
  std::vector<std::string> lines;
  size_t not_begun = 0;
  for (const Json& entry : comparison["not_begun"]) not_begun += entry["folders"].size();
  add_unfinished(lines, comparison, not_begun);
  for (Json entry : comparison["not_begun"]) {
    const Json seeds = entry["seeds"], level = entry.value(grouping.compare, Json());
    for (const char* key : {"folders", "seeds", grouping.compare.c_str()}) entry.erase(key);
    const std::string settings = settings_text(entry);
    lines.push_back(fmt::format("Not begun: {}{}{}, {} {}.", settings, settings.empty() ? "" : ", ", text_of(level),
                                seeds.size() == 1 ? "seed" : "seeds", ranges(seeds)));
  }
  for (const Json& cell : comparison["cells"]) {
    if (cell["missing_seeds"].empty()) continue;
    lines.push_back(fmt::format("{} lacks seeds that other cells have: {}.",
                                grouping.about(cell, text_of(cell[grouping.compare])), ranges(cell["missing_seeds"])));
  }
  for (const Json& note : comparison["notes"]) lines.push_back(note);
  return lines;
}

}  // namespace orthoread
