#include "apps/sweep/plan.h"

#include "apps/json_file.h"
#include "apps/sweep/sweep_folder.h"
#include "data/files.h"

#include <algorithm>
#include <filesystem>
#include <set>

namespace orthoread {
namespace {

namespace fs = std::filesystem;

std::string folder_of(const std::string& sweep) { return sweep + "/planned"; }

bool holds(const std::string& path, const std::string& bytes) { return fs::exists(path) && read_file(path) == bytes; }

}  // namespace

void write_plan(const std::string& sweep, const std::vector<GridRun>& runs) {
  std::map<std::string, Json> plans;
  for (const GridRun& run : runs) plans[run.grid].push_back({{"name", run.name}, {"settings", run.settings}});
  make_folders(folder_of(sweep));
  for (const auto& [grid, list] : plans) {
    const std::string path = fmt::format("{}/{}.json", folder_of(sweep), grid),
                      plan = Json{{"grid", grid}, {"runs", list}}.dump(1) + "\n";
    if (!holds(path, plan)) write_file_atomically(path, plan);  // every task of a job array does this
  }
}

bool has_plan(const std::string& sweep) {
  std::error_code none;
  return fs::is_directory(folder_of(sweep), none);
}

std::vector<PlannedRun> read_plan(const std::string& sweep) {
  std::vector<PlannedRun> planned;
  const SweepFolder folder(sweep);
  std::set<std::string> files;
  for (const auto& entry : fs::directory_iterator(folder_of(sweep))) files.insert(entry.path());
  for (const std::string& path : files) {
    if (!path.ends_with(".json")) continue;
    const Json plan = read_json(path);
    const auto is_run = [](const Json& run) {
      return run.is_object() && run.contains("name") && run["name"].is_string() && run.contains("settings") &&
             run["settings"].is_object();
    };
    check(plan.is_object() && plan.contains("runs") && plan["runs"].is_array() &&
              std::all_of(plan["runs"].begin(), plan["runs"].end(), is_run),
          "{}: damaged: not the plan of a sweep, which holds runs with name and settings", path);
    for (const Json& run : plan["runs"]) planned.push_back({folder.folder_of(run["name"]), run["settings"]});
  }
  return planned;
}

}  // namespace orthoread
