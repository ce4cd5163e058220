#include "apps/sweep/sweep_folder.h"

#include "apps/options.h"
#include "apps/train/run_folder.h"
#include "data/folder_lock.h"
#include "data/safetensors.h"

#include <filesystem>
#include <numeric>
#include <set>

namespace orthoread {
namespace {

namespace fs = std::filesystem;

// Settings that do not change the cost of a step.
const std::set<std::string> kFreeOfCost = {"seed",  "data_seed",  "lr",          "schedule", "weight_decay", "clip",
                                           "steps", "eval_every", "val_batches", "init",     "init_sha256"};

// The order in which states are listed.
constexpr RunState kListed[] = {RunState::done,   RunState::running,  RunState::interrupted,
                                RunState::failed, RunState::diverged, RunState::pending};

std::string cost_key(const Json& settings) {
  Json key = settings;
  for (const std::string& name : kFreeOfCost) key.erase(name);
  return key.dump();
}

}  // namespace

std::string SweepFolder::folder_of(const std::string& name) const {
  std::error_code error;
  std::string folder = runs() + "/" + name;
  if (fs::is_directory(folder, error)) return folder;
  const std::string hash = name.substr(std::min(name.rfind('-'), name.size()));
  for (const auto& entry : fs::directory_iterator(runs(), error)) {
    if (!hash.empty() && entry.path().filename().string().ends_with(hash)) return entry.path();
  }
  return folder;
}

std::string SweepFolder::prepare() const {
  make_folders(runs());
  return FolderLock(runs(), FolderLock::Wait::yes).warning();
}

std::string SweepFolder::make_folder(const GridRun& run) const {
  make_folders(runs());
  const FolderLock lock(runs(), FolderLock::Wait::yes);  // so that a run with two names does not get two folders
  std::string folder = folder_of(run);
  make_folders(folder);
  return folder;
}

int64_t RunCounts::of(RunState state) const {
  const auto found = counts_.find(state);
  return found == counts_.end() ? 0 : found->second;
}

int64_t RunCounts::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), int64_t{0},
                         [](int64_t sum, const auto& count) { return sum + count.second; });
}

std::string RunCounts::text() const {
  std::string text;
  for (const RunState state : kListed)
    if (of(state) > 0) text += fmt::format("{}{} {}", text.empty() ? "" : ", ", of(state), name(state));
  return text.empty() ? "no runs" : text;
}

Json RunCounts::to_json() const {
  Json json = Json::object();
  for (const RunState state : kListed) json[name(state)] = of(state);
  return json;
}

Trained trained_at_checkpoint(const std::string& folder) {
  try {
    const Safetensors state = Safetensors::read(folder + "/" + kState);
    return {state.get<int64_t>("steps", Shape{}).item(),
            metadata_number<double>(state.metadata(), "seconds").value_or(0)};
  } catch (const Error&) {
    return {};
  }
}

Trained trained(RunState state, const std::string& folder) {
  if (state != RunState::done) return trained_at_checkpoint(folder);
  const Json result = read_result(folder);
  return {result.value("steps_run", int64_t{0}), result.value("seconds", 0.0)};
}

void StepTimes::add(const Json& settings, const Trained& so_far) {
  if (so_far.steps == 0) return;
  Trained& total = totals_[cost_key(settings)];
  total.steps += so_far.steps;
  total.seconds += so_far.seconds;
}

std::optional<double> StepTimes::of(const Json& settings) const {
  const auto found = totals_.find(cost_key(settings));
  if (found == totals_.end()) return std::nullopt;
  return found->second.seconds / static_cast<double>(found->second.steps);
}

bool StepTimes::same_cost(const Json& a, const Json& b) { return cost_key(a) == cost_key(b); }

std::string index_ranges(const std::vector<int64_t>& indices) {
  std::string text;
  for (size_t i = 0; i < indices.size();) {
    size_t last = i;
    while (last + 1 < indices.size() && indices[last + 1] == indices[last] + 1) ++last;
    if (i > 0) text += ',';
    text += last > i ? fmt::format("{}-{}", indices[i], indices[last]) : std::to_string(indices[i]);
    i = last + 1;
  }
  return text;
}

}  // namespace orthoread
