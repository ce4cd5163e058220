#include "apps/report/cells.h"

#include "apps/report/cell_settings.h"

#include <algorithm>
#include <cctype>
#include <map>

namespace orthoread {
namespace {

bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

/// The end of the digits that start at `at`.
size_t digits_end(const std::string& text, size_t at) {
  while (at < text.size() && is_digit(text[at])) ++at;
  return at;
}

/// Natural order: ns5 before ns10.
bool natural_less(const std::string& a, const std::string& b) {
  size_t i = 0, j = 0;
  while (i < a.size() && j < b.size()) {
    if (is_digit(a[i]) && is_digit(b[j])) {
      const size_t i_end = digits_end(a, i), j_end = digits_end(b, j);
      const std::string x = a.substr(i, i_end - i), y = b.substr(j, j_end - j);
      if (x.size() != y.size()) return x.size() < y.size();
      if (x != y) return x < y;
      i = i_end;
      j = j_end;
      continue;
    }
    if (a[i] != b[j]) return a[i] < b[j];
    ++i;
    ++j;
  }
  return a.size() - i < b.size() - j;
}

bool value_less(const Json& a, const Json& b) {
  if (a.is_number() && b.is_number()) return a.get<double>() < b.get<double>();
  const bool a_raw = a == "raw", b_raw = b == "raw";
  if (a_raw != b_raw) return a_raw;
  return natural_less(text_of(a), text_of(b));
}

/// The distinct values, sorted.
std::vector<Json> distinct(std::vector<Json> values) {
  std::sort(values.begin(), values.end(), value_less);
  values.erase(std::unique(values.begin(), values.end()), values.end());
  return values;
}

}  // namespace

std::string text_of(const Json& value) {
  return value.is_string() ? (value.get_ref<const std::string&>().empty() ? "none" : value.get<std::string>())
         : value.is_null() ? "none"
                           : value.dump();
}

std::string settings_text(const Json& settings) {
  std::string text;
  for (const auto& [key, value] : settings.items())
    text += fmt::format("{}{}{}", text.empty() ? "" : ", ", key == "setting" ? "" : key + " ", text_of(value));
  return text;
}

size_t Grouping::level_index(const Json& level) const {
  return static_cast<size_t>(std::find(levels.begin(), levels.end(), level) - levels.begin());
}

std::vector<std::string> Grouping::telling() const {
  if (varying.empty() && compare != "setting" && shared.contains("setting")) return {"setting"};
  return varying;
}

std::string Grouping::about(const Json& entry, const std::string& what) const {
  Json settings = Json::object();
  for (const std::string& key : telling()) settings[key] = entry[key];
  return settings.empty() ? what : settings_text(settings) + ", " + what;
}

Grouping group_runs(const std::vector<Run>& runs, const std::string& compare) {
  Grouping grouping;
  grouping.compare = compare;
  std::vector<Json> settings;
  std::vector<std::string> keys;
  for (const Run& run : runs) settings.push_back(run.settings);
  const CellSettings cell_settings(settings);
  for (Json& of_run : settings) {
    of_run = cell_settings.of(of_run);
    for (const auto& [key, value] : of_run.items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  }
  check(runs.empty() || std::find(keys.begin(), keys.end(), compare) != keys.end(),
        "--compare: the runs have no setting '{}'; {} are allowed", compare, fmt::join(keys, ", "));

  const Json defaults = TrainConfig().to_json();
  for (const std::string& key : keys) {
    std::vector<Json> values;
    for (Json& of_run : settings) {
      if (!of_run.contains(key)) of_run[key] = key == "data_seed" ? Json() : defaults.value(key, Json());
      values.push_back(of_run[key]);
    }
    values = distinct(std::move(values));
    if (key == compare) {
      grouping.levels = values;
    } else if (values.size() > 1) {
      grouping.varying.push_back(key);
    } else {
      grouping.shared[key] = values[0];
    }
  }

  std::map<std::vector<std::string>, size_t> places;
  for (size_t i = 0; i < runs.size(); ++i) {
    Cell cell = {settings[i][compare], Json::object(), {}};
    if (settings[i].contains("setting")) cell.settings["setting"] = settings[i]["setting"];
    for (const std::string& key : grouping.varying) cell.settings[key] = settings[i][key];
    cell.settings[compare] = cell.level;
    std::vector<std::string> place;
    for (const auto& [key, value] : cell.settings.items()) place.push_back(value.dump());
    const auto [found, is_new] = places.emplace(place, grouping.cells.size());
    if (is_new) grouping.cells.push_back(std::move(cell));
    grouping.cells[found->second].runs.push_back(&runs[i]);
  }
  std::sort(grouping.cells.begin(), grouping.cells.end(), [&](const Cell& a, const Cell& b) {
    for (const auto& [key, value] : a.settings.items()) {
      if (key == compare || value == b.settings[key]) continue;
      return value_less(value, b.settings[key]);
    }
    return value_less(a.level, b.level);
  });
  for (size_t i = 0; i < grouping.cells.size(); ++i) {
    Cell& cell = grouping.cells[i];
    std::sort(cell.runs.begin(), cell.runs.end(), [](const Run* a, const Run* b) { return a->seed() < b->seed(); });
    Json others = cell.settings;
    others.erase(compare);
    if (grouping.groups.empty() || grouping.groups.back().settings != others) {
      Group group = {others, "", {}};
      group.label = others.empty() ? "all runs" : settings_text(others);
      grouping.groups.push_back(std::move(group));
    }
    grouping.groups.back().cells.push_back(i);
  }
  return grouping;
}

}  // namespace orthoread
