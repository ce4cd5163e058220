#include "apps/train/run_folder.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <sstream>

namespace orthoread {
namespace {

namespace fs = std::filesystem;

// Metadata of a state file.
constexpr const char* kMetricsBytes = "metrics_bytes";
constexpr const char* kSeconds = "seconds";

Json parse_json(const std::string& path) {
  Json json = Json::parse(read_file(path), nullptr, false);
  check(!json.is_discarded(), "{}: not well-formed JSON; the file is damaged", path);
  return json;
}

/// Half a file that a killed process left behind (see write_file_atomically).
bool is_leftover(const fs::directory_entry& entry) {
  const std::string name = entry.path().filename();
  return name.ends_with(".tmp") && (name.starts_with("config.json.") || name.starts_with("state.safetensors.") ||
                                    name.starts_with("model.safetensors.") || name.starts_with("result.json."));
}

/// The first setting that differs, as "lr 0.003, asked for 0.01".
std::string first_difference(const Json& there, const Json& asked) {
  for (const auto& [key, value] : asked.items()) {
    const Json old = there.contains(key) ? there[key] : Json();
    if (old != value) return fmt::format("{} {}, asked for {}", key, old.dump(), value.dump());
  }
  return "other settings";
}

}  // namespace

RunFolder::RunFolder(const std::string& path, const Json& settings, const Json& environment, bool resume)
    : path_(path) {
  std::error_code error;
  fs::create_directories(path, error);
  check(!error && fs::is_directory(path), "--out: cannot make the folder {}: {}", path,
        error ? error.message() : "there is a file of that name");
  lock();
  try {
    if (!exists("config.json")) {
      const bool empty = std::all_of(fs::directory_iterator(path), fs::directory_iterator(), is_leftover);
      check(empty, "--out: {} is not empty and holds no run (there is no config.json); give a new folder", path);
      check(::access(path.c_str(), W_OK) == 0, "--out: cannot write into {}: {}", path, std::strerror(errno));
      write_file_atomically(file("config.json"),
                            Json{{"settings", settings}, {"environment", environment}}.dump(2) + "\n");
    } else {
      const Json config = parse_json(file("config.json"));
      const Json there = config.is_object() ? config.value("settings", Json()) : Json();
      check(there == settings, "--out: {} holds another run ({}); give a new folder", path,
            first_difference(there, settings));
      check(resume, "--out: {} already holds this run{}; add --resume to {}", path, done() ? ", done" : "",
            done() ? "see its result" : "continue it");
    }
  } catch (...) {
    ::close(folder_);
    throw;
  }
  for (const auto& entry : fs::directory_iterator(path)) {
    if (is_leftover(entry)) fs::remove(entry, error);
  }
  if (!done() && !has_state()) metrics_.emplace(file("metrics.jsonl"), 0);
}

RunFolder::~RunFolder() { ::close(folder_); }

bool RunFolder::exists(const std::string& name) const { return fs::exists(file(name)); }

void RunFolder::lock() {
  folder_ = ::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  check(folder_ >= 0, "--out: cannot open the folder {}: {}", path_, std::strerror(errno));
  if (::flock(folder_, LOCK_EX | LOCK_NB) == 0) return;
  ::close(folder_);
  throw Error(fmt::format("--out: another process is at work in {}; wait for it, or give another folder", path_));
}

Json RunFolder::result() const { return parse_json(file("result.json")); }

Safetensors RunFolder::resume_state() {
  Safetensors state = Safetensors::read(file("state.safetensors"));
  const auto number = [&](const char* key) {
    const auto found = state.metadata().find(key);
    check(found != state.metadata().end(), "{}: the metadata lacks {}; not a state file", state.path(), key);
    return std::strtod(found->second.c_str(), nullptr);
  };
  seconds_before_ = number(kSeconds);
  metrics_.emplace(file("metrics.jsonl"), static_cast<int64_t>(number(kMetricsBytes)));
  return state;
}

void RunFolder::add_metrics(const Json& line) { metrics_->append(line.dump() + "\n"); }

std::vector<Json> RunFolder::evaluations() const {
  std::istringstream lines(read_file(file("metrics.jsonl")));
  std::vector<Json> found;
  for (std::string line; std::getline(lines, line);) {
    Json json = Json::parse(line, nullptr, false);
    check(json.is_object(), "{}: line '{}' is not a JSON object", file("metrics.jsonl"), line);
    if (json.contains("val_loss")) found.push_back(std::move(json));
  }
  return found;
}

void RunFolder::write_state(SafetensorsWriter state, double seconds) {
  metrics_->flush_to_disk();  // the state counts on these lines
  state.set_metadata(kMetricsBytes, std::to_string(metrics_->size()));
  state.set_metadata(kSeconds, fmt::format("{}", seconds));
  state.write(file("state.safetensors"));
}

void RunFolder::write_result(const Json& result) const {
  write_file_atomically(file("result.json"), result.dump(2) + "\n");
}

}  // namespace orthoread
