#include "apps/train/run_folder.h"

#include "apps/train/run_state.h"
#include "apps/train/train_config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <sstream>

namespace orthoread {
namespace {

namespace fs = std::filesystem;

constexpr const char* kConfig = "config.json";
constexpr const char* kMetrics = "metrics.jsonl";
constexpr const char* kModel = "model.safetensors";
constexpr const char* kCheckpoints = "checkpoints";

// Metadata of a checkpoint.
constexpr const char* kMetricsBytes = "metrics_bytes";
constexpr const char* kMetricsChecksum = "metrics_sha256";
constexpr const char* kSeconds = "seconds";
constexpr const char* kChanges = "arithmetic_changes";

/// A partial file that a killed process left behind (see write_file_atomically).
bool is_leftover(const std::string& name) {
  const auto begins = [&](const char* file) { return name.starts_with(std::string(file) + "."); };
  return name.ends_with(".tmp") &&
         (begins(kConfig) || begins(kState) || begins(kModel) || begins(kResult) || begins("failure.json"));
}

/// Whether the folder of a run that has not begun may hold this file.
bool may_come_first(const std::string& name) {
  return name == "lock" || name == "log.txt" || name == "failure.json" || is_leftover(name);
}

/// The first setting that differs, as "lr 0.003, asked for 0.01".
std::string first_difference(const Json& there, const Json& asked) {
  for (const auto& [key, value] : asked.items()) {
    if (!there.contains(key)) return fmt::format("of another version, without {}", key);
    if (there[key] != value) return fmt::format("{} {}, asked for {}", key, there[key].dump(), value.dump());
  }
  return "other settings";
}

const std::string& metadata(const Safetensors& state, const char* key) {
  const auto found = state.metadata().find(key);
  check(found != state.metadata().end(), "{}: the metadata lacks {}; not a checkpoint of this version", state.path(),
        key);
  return found->second;
}

template <class N>
N number_in(const Safetensors& state, const char* key) {
  const std::string& text = metadata(state, key);
  N number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  check(error == std::errc() && end == text.data() + text.size() && number >= 0,
        "{}: the metadata's {} must be a number from 0, it is '{}'", state.path(), key, text);
  return number;
}

}  // namespace

std::string recorded_outcome(const Json& result) {
  const Json outcome = result.is_object() ? result.value("outcome", Json()) : Json();
  return outcome.is_string() ? outcome.get<std::string>() : "";
}

Json read_result(const std::string& folder) {
  const std::string path = folder + "/" + kResult;
  Json result = read_json(path);
  check(!recorded_outcome(result).empty(), "{}: damaged: not the result of a run, which is an object with an outcome",
        path);
  return result;
}

RunFolder::RunFolder(const std::string& path, const Json& settings, bool resume) : path_(path), settings_(settings) {
  try {
    created_ = make_folders(path);
  } catch (const Error& error) {
    throw Error(fmt::format("--out: {}", error.what()));
  }
  try {
    refuse_other_files();
    lock_.emplace(path);
    const std::array computed = {kState, kPreviousState, kMetrics, kModel, kResult};
    begun_ = exists(kConfig) && std::any_of(computed.begin(), computed.end(), [&](const char* name) {
               std::error_code none;
               const auto size = fs::file_size(file(name), none);
               return !none && size > 0;
             });
    if (begun_) refuse_another_run(resume);
    remove_leftovers();
  } catch (...) {
    leave_as_found();
    throw;
  }
}

RunFolder::~RunFolder() { leave_as_found(); }

bool RunFolder::exists(const std::string& name) const {
  std::error_code none;
  return fs::exists(file(name), none);
}

Json RunFolder::config() const {
  Json config = read_json(file(kConfig));
  const auto has = [&](const char* key) { return config.contains(key) && config[key].is_object(); };
  check(config.is_object() && has("settings") && has("environment"),
        "{}: damaged: not the config.json of a run, which holds settings and environment", file(kConfig));
  return config;
}

/// An Error if the folder holds anything but a run. Creates nothing then, not even the lock file.
void RunFolder::refuse_other_files() const {
  const int refused = ::access(path_.c_str(), W_OK | X_OK) == 0 ? 0 : errno;
  check(refused == 0, "--out: cannot write into {}: {}", path_, std::strerror(refused));
  std::error_code error;
  fs::directory_iterator entries(path_, error);
  check(!error, "--out: cannot read the folder {}: {}", path_, error.message());
  if (exists(kConfig)) {
    config();
    return;
  }
  const bool empty = std::all_of(entries, fs::directory_iterator(), [](const fs::directory_entry& entry) {
    return may_come_first(entry.path().filename());
  });
  check(empty, "--out: {} is not empty and holds no run (there is no config.json); give a new folder", path_);
}

void RunFolder::refuse_another_run(bool resume) {
  const Json there = identity(config()["settings"]), asked = identity(settings_);
  check(there == asked, "--out: {} holds another run ({}); give a new folder", path_, first_difference(there, asked));
  check(resume, "--out: {} already holds this run{}; add --resume to {}", path_, done() ? ", done" : "",
        done() ? "see its result" : "continue it");
  environment_ = config()["environment"];
}

void RunFolder::remove_leftovers() const {
  std::error_code none;
  for (const std::string& folder : {path_, file(kCheckpoints)}) {
    for (const auto& entry : fs::directory_iterator(folder, none)) {
      const std::string name = entry.path().filename();
      if (is_leftover(name) || (folder != path_ && name.ends_with(".tmp"))) fs::remove(entry, none);
    }
  }
  remove_failure(path_);
}

void RunFolder::leave_as_found() const {
  if (begun_ || exists(kConfig)) return;
  if (lock_) lock_->remove_file();
  for (auto folder = created_.rbegin(); folder != created_.rend(); ++folder) ::rmdir(folder->c_str());
}

void RunFolder::begin(const Json& environment) {
  environment_ = environment;
  write_file_atomically(file(kConfig), Json{{"settings", settings_}, {"environment", environment}}.dump(2) + "\n");
  metrics_.emplace(file(kMetrics), 0);
  begun_ = true;
}

std::string RunFolder::resume(const std::function<int64_t(const Safetensors&)>& restore) {
  const std::string metrics = exists(kMetrics) ? read_file(file(kMetrics)) : "";
  std::string wrong;
  for (const char* name : {kState, kPreviousState}) {
    try {
      resume_from(name, metrics, restore);
    } catch (const Error& error) {
      wrong += (wrong.empty() ? "" : "; ") + std::string(error.what());
      continue;
    }
    if (wrong.empty()) return "";
    rename_file(file(kPreviousState), file(kState));
    return fmt::format("{}; continues from the previous checkpoint, of step {}", wrong, metrics_steps_);
  }
  throw Error(fmt::format("--resume: no checkpoint to continue from: {}", wrong));
}

void RunFolder::resume_from(const std::string& name, const std::string& metrics,
                            const std::function<int64_t(const Safetensors&)>& restore) {
  const Safetensors state = Safetensors::read_checked(file(name));
  const auto bytes = number_in<size_t>(state, kMetricsBytes);
  check(bytes <= metrics.size(), "{}: damaged: {} needs {} bytes of it, only {} are there", file(kMetrics), name, bytes,
        metrics.size());
  const std::string kept = metrics.substr(0, bytes);
  metrics_checksum_ = Sha256();
  metrics_checksum_.update(kept);
  check(metrics_checksum_.hex() == metadata(state, kMetricsChecksum),
        "{}: damaged: the lines up to {} do not match their checksum", file(kMetrics), name);
  metrics_steps_ = 0;
  evaluations_.clear();
  std::istringstream lines(kept);
  for (std::string line; std::getline(lines, line);) count_line(line);
  changes_ = parse_json(metadata(state, kChanges), file(name));
  seconds_before_ = number_in<double>(state, kSeconds);
  const int64_t steps = restore(state);
  check(steps == metrics_steps_, "{}: damaged: {} steps, but {} has {} up to it", file(name), steps, kMetrics,
        metrics_steps_);
  metrics_.emplace(file(kMetrics), static_cast<int64_t>(bytes));
}

/// A line is a step or an evaluation; steps are numbered from 1 without gaps.
void RunFolder::count_line(const std::string& line) {
  const std::string where = fmt::format("{}, after step {}", file(kMetrics), metrics_steps_);
  Json json = parse_json(line, where);
  const auto has = [&](const char* key) {
    return json.contains(key) && (json[key].is_number() || json[key].is_null());
  };
  check(json.is_object() && has("step") && (has("loss") || (has("val_loss") && has("val_accuracy"))),
        "{}: damaged: a line is neither a step nor an evaluation", where);
  if (has("loss")) check(json["step"] == ++metrics_steps_, "{}: damaged: the next line is not of the next step", where);
  if (has("val_loss")) evaluations_.push_back(std::move(json));
}

void RunFolder::add_metrics(const Json& line) {
  const std::string text = line.dump();
  metrics_->append(text + "\n");
  metrics_checksum_.update(text + "\n");
  count_line(text);
}

std::string RunFolder::computed_with(const std::string& what) const {
  for (auto change = changes_.rbegin(); change != changes_.rend(); ++change) {
    if (change->at("what") == what) return change->at("to");
  }
  const auto recorded = environment_.find(what);
  return recorded != environment_.end() && recorded->is_string() ? recorded->get<std::string>() : "unknown";
}

void RunFolder::record_change(int64_t step, const std::string& what, const std::string& to) {
  changes_.push_back({{"step", step}, {"what", what}, {"from", computed_with(what)}, {"to", to}});
}

void RunFolder::write_state(SafetensorsWriter state, double seconds) {
  metrics_->flush_to_disk();  // the state records their checksum
  state.set_metadata(kMetricsBytes, std::to_string(metrics_->size()));
  state.set_metadata(kMetricsChecksum, metrics_checksum_.hex());
  state.set_metadata(kSeconds, fmt::format("{}", seconds));
  state.set_metadata(kChanges, changes_.dump());
  write_file_atomically(file(kState), state.checked_bytes(), kPreviousState);
}

void RunFolder::keep_weights(int64_t step, const SafetensorsWriter& model) const {
  make_folders(file(kCheckpoints));
  model.write(fmt::format("{}/{}.safetensors", file(kCheckpoints), step));
}

void RunFolder::write_result(const Json& result) const { write_file_atomically(file(kResult), result.dump(2) + "\n"); }

}  // namespace orthoread
