#include "apps/report/runs.h"

#include "apps/json_file.h"
#include "apps/report/statistics.h"
#include "apps/train/outcome.h"
#include "data/files.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <set>

namespace orthoread {
namespace {

namespace fs = std::filesystem;

/// Replaces NaN and Infinity by null: Python writes them for diverged runs, but JSON does not allow them.
std::string with_null_for_nan(const std::string& text) {
  std::string result;
  bool in_string = false;
  for (size_t i = 0; i < text.size();) {
    size_t taken = in_string && text[i] == '\\' ? 2 : 1;
    std::string_view as = std::string_view(text).substr(i, taken);
    if (as == "\"") in_string = !in_string;
    for (const std::string_view word : {"NaN", "-Infinity", "Infinity"}) {
      if (in_string || text.compare(i, word.size(), word) != 0) continue;
      taken = word.size();
      as = "null";
      break;
    }
    result += as;
    i += taken;
  }
  return result;
}

/// Parses a JSON object. `where` names the file, and perhaps the line, in errors.
Json parse_object(const std::string& text, const std::string& where) {
  Json json = parse_json(with_null_for_nan(text), where);
  check(json.is_object(), "{}: damaged: it must be one JSON object", where);
  return json;
}

double number(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return kNoFigure;
  check(found->is_number(), "{}: {} must be a number or null, it is {}", where, key, found->dump());
  return found->get<double>();
}

int64_t whole_number(const Json& object, const char* key, const std::string& where) {
  const auto found = object.find(key);
  check(found != object.end() && found->is_number_integer(), "{}: {} must be a whole number, it is {}", where, key,
        found == object.end() ? "missing" : found->dump());
  return found->get<int64_t>();
}

/// The settings with `setting` in place of vocabulary size and sequence length.
Json named_settings(Json settings) {
  if (!settings.contains("vocab_size") || !settings.contains("seq_len")) return settings;
  const auto text = [&](const char* key) { return settings[key].dump(); };
  const std::string setting = fmt::format("v{}_s{}", text("vocab_size"), text("seq_len"));
  settings.erase("vocab_size");
  settings.erase("seq_len");
  Json named = {{"setting", setting}};
  named.update(settings);
  return named;
}

/// The evaluations in metrics.jsonl. The lines of steps, which are many, are not parsed.
std::vector<RunEvaluation> read_evaluations(const std::string& path) {
  std::vector<RunEvaluation> evaluations;
  if (!fs::exists(path)) return evaluations;
  const std::string text = read_file(path);
  int64_t count = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    ++count;
    const std::string where = fmt::format("{}, line {}", path, count);
    check(line.starts_with('{') && line.ends_with('}'), "{}: damaged: it must be one JSON object", where);
    if (line.find("\"val_accuracy\"") == line.npos) continue;
    const Json json = parse_object(std::string(line), where);
    const RunEvaluation evaluation = {whole_number(json, "step", where), number(json, "val_loss", where),
                                      number(json, "val_accuracy", where)};
    check(evaluations.empty() || evaluations.back().step < evaluation.step,
          "{}: damaged: steps must rise, step {} follows step {}", where, evaluation.step,
          evaluations.empty() ? 0 : evaluations.back().step);
    evaluations.push_back(evaluation);
  }
  return evaluations;
}

void find_escape_and_collapse(Run& run) {
  for (const RunEvaluation& evaluation : run.evaluations) {
    if (has_escaped(evaluation.accuracy) && !run.escape_step) run.escape_step = evaluation.step;
    if (std::isnan(evaluation.accuracy)) continue;
    if (!has_collapsed(evaluation.accuracy)) {
      run.collapse_step.reset();
    } else if (!run.collapse_step) {
      run.collapse_step = evaluation.step;
    }
  }
}

/// Removes everything after a step.
void cut(Run& run, int64_t until) {
  if (until >= run.steps) return;
  std::erase_if(run.evaluations, [&](const RunEvaluation& evaluation) { return evaluation.step > until; });
  if (run.evaluations.empty()) return;
  const RunEvaluation& last = run.evaluations.back();
  run.accuracy = last.accuracy;
  run.loss = last.loss;
  run.outcome = outcome_of(last.accuracy);
  if (run.seconds) *run.seconds *= static_cast<double>(until) / static_cast<double>(run.steps);
  run.steps = until;
}

Run read_run(const std::string& folder, const Json& config) {
  const std::string result_path = folder + "/result.json";
  const Json result = parse_object(read_file(result_path), result_path);
  Run run;
  run.folder = folder;
  if (config["settings"].contains("seed")) whole_number(config["settings"], "seed", folder + "/config.json");
  run.settings = named_settings(config["settings"]);
  const Json environment = config.value("environment", Json::object());
  if (environment.is_object() && environment.contains("version") && environment["version"].is_string())
    run.version = environment["version"];
  run.evaluations = read_evaluations(folder + "/metrics.jsonl");
  run.accuracy = number(result, "final_val_accuracy", result_path);
  run.loss = number(result, "final_val_loss", result_path);
  const Json outcome = result.value("outcome", Json());
  run.outcome = outcome == "diverged" ? "diverged" : outcome_of(run.accuracy);
  const double seconds = number(result, "seconds", result_path);
  if (!std::isnan(seconds)) run.seconds = seconds;
  double steps = number(result, "steps_run", result_path);
  if (std::isnan(steps)) steps = number(run.settings, "steps", folder + "/config.json");
  if (std::isnan(steps) && !run.evaluations.empty()) steps = static_cast<double>(run.evaluations.back().step);
  run.steps = std::isnan(steps) ? 0 : static_cast<int64_t>(steps);
  return run;
}

bool same(double a, double b) { return a == b || (std::isnan(a) && std::isnan(b)); }

/// Whether two folders hold the same results. One of them may lack the evaluations.
bool agree(const Run& a, const Run& b) {
  if (!same(a.accuracy, b.accuracy) || !same(a.loss, b.loss) || a.outcome != b.outcome) return false;
  if (a.evaluations.empty() || b.evaluations.empty()) return true;
  return std::equal(a.evaluations.begin(), a.evaluations.end(), b.evaluations.begin(), b.evaluations.end(),
                    [](const RunEvaluation& x, const RunEvaluation& y) {
                      return x.step == y.step && same(x.loss, y.loss) && same(x.accuracy, y.accuracy);
                    });
}

/// The identity of a run, whatever the order of its settings. A file of initial weights counts by its checksum, if that
/// is known.
std::string run_key(const Json& named_settings) {
  nlohmann::json key = named_settings;
  if (key.contains("init_sha256") && key["init_sha256"] != nlohmann::json("")) key.erase("init");
  return key.dump();
}

struct Found {
  std::vector<std::string> runs, sweeps;  // folders that hold a config.json, and a plan; sorted
};

/// The runs and sweeps at or below a folder.
Found find_runs(const std::string& folder) {
  std::error_code error;
  check(fs::is_directory(folder, error),
        "report: {} is not a folder; allowed are run folders, sweeps, and folders that contain them", folder);
  Found found;
  const auto look = [&](const std::string& path) {
    if (fs::exists(path + "/config.json")) found.runs.push_back(path);
    if (has_plan(path)) found.sweeps.push_back(path);
  };
  look(folder);
  try {
    for (const auto& entry : fs::recursive_directory_iterator(folder)) {
      if (entry.is_directory()) look(entry.path());
    }
  } catch (const fs::filesystem_error& failure) {
    throw Error(fmt::format("report: cannot read {}: {}", failure.path1().string(), failure.code().message()));
  }
  check(!found.runs.empty() || !found.sweeps.empty(),
        "report: {} contains no run folder (with a config.json) and no sweep, at any depth", folder);
  std::sort(found.runs.begin(), found.runs.end());
  std::sort(found.sweeps.begin(), found.sweeps.end());
  return found;
}

}  // namespace

int64_t Run::last_seen() const {
  return escape_step           ? *escape_step
         : collapse_step       ? *collapse_step
         : evaluations.empty() ? 0
                               : evaluations.back().step;
}

RunCollection read_runs(const std::vector<std::string>& folders, std::optional<int64_t> until) {
  RunCollection collection;
  std::set<fs::path> seen;
  std::map<std::string, size_t> by_settings;  // where in `runs`
  std::map<std::string, std::string> unfinished;
  std::vector<PlannedRun> planned;
  int64_t twice = 0;
  for (const std::string& given : folders) {
    const Found found_there = find_runs(given);
    for (const std::string& sweep : found_there.sweeps) {
      const std::vector<PlannedRun> of_sweep = read_plan(sweep);
      planned.insert(planned.end(), of_sweep.begin(), of_sweep.end());
    }
    for (const std::string& folder : found_there.runs) {
      if (!seen.insert(fs::canonical(folder)).second) continue;
      const std::string config_path = folder + "/config.json";
      const Json config = parse_object(read_file(config_path), config_path);
      check(config.contains("settings") && config["settings"].is_object(),
            "{}: it must have an object \"settings\", as the config.json of a run", config_path);
      const std::string key = run_key(named_settings(config["settings"]));
      if (!fs::exists(folder + "/result.json")) {
        unfinished.emplace(key, folder);
        continue;
      }
      Run run = read_run(folder, config);
      const auto [found, is_new] = by_settings.emplace(key, collection.runs.size());
      if (is_new) {
        collection.runs.push_back(std::move(run));
        continue;
      }
      Run& other = collection.runs[found->second];
      check(agree(other, run), "report: {} and {} are the same run with different results; give one of them alone",
            other.folder, run.folder);
      ++twice;
      if (other.evaluations.empty()) other = std::move(run);
    }
  }
  for (const auto& [key, folder] : unfinished) {
    if (by_settings.contains(key)) continue;
    collection.unfinished.push_back(folder);
    collection.failed += fs::exists(folder + "/failure.json") ? 1 : 0;
  }
  std::set<std::string> counted;
  for (PlannedRun& run : planned) {
    run.settings = named_settings(std::move(run.settings));
    const std::string key = run_key(run.settings);
    if (by_settings.contains(key) || unfinished.contains(key) || !counted.insert(key).second) continue;
    collection.failed += fs::exists(run.folder + "/failure.json") ? 1 : 0;
    collection.not_begun.push_back(std::move(run));
  }

  if (twice > 0)
    collection.notes.push_back(fmt::format("Folders that are copies of another run: {}. Each run counts once.", twice));
  int64_t without = 0;
  const auto left_out = [&](const Run& run) { return until && run.steps > *until; };  // after cut()
  for (Run& run : collection.runs) {
    const bool none = run.evaluations.empty();
    if (until) cut(run, *until);
    if (none && !left_out(run)) ++without;
    find_escape_and_collapse(run);
  }
  const auto too_late = static_cast<int64_t>(std::erase_if(collection.runs, left_out));
  if (without > 0) {
    collection.notes.push_back(fmt::format(
        "Runs without evaluations in metrics.jsonl: {}. They are in the counts of outcomes, but not in figures "
        "that depend on steps.",
        without));
  }
  if (too_late > 0) {
    collection.notes.push_back(
        fmt::format("Runs left out, with no evaluation up to step {}: {}.", until.value_or(0), too_late));
  }
  std::sort(collection.runs.begin(), collection.runs.end(),
            [](const Run& a, const Run& b) { return a.folder < b.folder; });
  std::sort(collection.unfinished.begin(), collection.unfinished.end());
  return collection;
}

}  // namespace orthoread
