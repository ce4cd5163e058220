// The folder of a training run, and who may write into it.
//   config.json                  the settings, and where they ran
//   metrics.jsonl                a line for each step and each evaluation
//   state.safetensors            the last checkpoint
//   state.previous.safetensors   the one before it
//   checkpoints/STEP.safetensors the weights at each checkpoint, if they are kept
//   model.safetensors            the final weights
//   result.json                  written last: its presence means that the run is done
//   lock                         locked while a process is at work
// and from others log.txt and failure.json (run_state.h).
//
// Order of writing: config.json once the first step could be made, then the checkpoint before it, then metrics. A
// checkpoint holds a checksum of itself, and the length and the checksum of metrics.jsonl up to it; it reaches the disk
// after these metrics, by rename, once the one before it is state.previous, too. So whatever a crash leaves
// there is a whole checkpoint, and what comes later is computed again.
#pragma once

#include "apps/json_file.h"
#include "data/checksum.h"
#include "data/files.h"
#include "data/folder_lock.h"
#include "data/safetensors.h"

#include <functional>
#include <optional>

namespace orthoread {

inline constexpr const char* kState = "state.safetensors";
inline constexpr const char* kPreviousState = "state.previous.safetensors";
inline constexpr const char* kResult = "result.json";

/// result.json of a folder; an Error if it cannot be read or is not the result of a run.
Json read_result(const std::string& folder);
/// The outcome that a result.json holds; "" if it holds none.
std::string recorded_outcome(const Json& result);

class RunFolder {
 public:
  /// Makes the folder, or takes one that is empty or holds the same settings, and locks it. An error, with nothing
  /// changed, if it holds another run, something else, the same run without `resume`, or if another process is at work
  /// in it. Where nothing has been computed yet, any settings will do.
  RunFolder(const std::string& path, const Json& settings, bool resume);
  /// If the run has not begun, the folder is left as it was found.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  /// One line if the file system cannot lock; else empty.
  const std::string& warning() const { return lock_->warning(); }

  /// result.json, if the run is done.
  bool done() const { return exists(kResult); }
  Json result() const { return read_result(path_); }

  /// Whether a checkpoint was written, now or before.
  bool begun() const { return begun_; }
  /// Writes config.json. What follows is write_state, then metrics.
  void begin(const Json& environment);

  /// Of a run that had begun: gives its last checkpoint to `restore`, which returns the steps that were done then, and
  /// cuts off later lines of metrics.jsonl: they will be computed again. Before that everything is verified: the
  /// checksums of checkpoint and metrics, every line, their number. If something is wrong, with the checkpoint before
  /// it, and the line that is returned says so; an Error if that is no better.
  std::string resume(const std::function<int64_t(const Safetensors&)>& restore);
  /// Seconds that the run had taken at the last checkpoint.
  double seconds_before() const { return seconds_before_; }

  /// What the last checkpoint was computed with: "instruction_set" or "blas", as in config.json's environment.
  std::string computed_with(const std::string& what) const;
  /// From `step` on it is computed with something else. The changes, {step, what, from, to} each, are kept with the
  /// checkpoints.
  void record_change(int64_t step, const std::string& what, const std::string& to);
  const Json& changes() const { return changes_; }

  /// Adds a line to metrics.jsonl.
  void add_metrics(const Json& line);
  /// Every evaluation so far: lines of metrics.jsonl with step, val_loss, val_accuracy.
  const std::vector<Json>& evaluations() const { return evaluations_; }

  void write_state(SafetensorsWriter state, double seconds);
  void keep_weights(int64_t step, const SafetensorsWriter& model) const;
  void write_model(const SafetensorsWriter& model) const { model.write(file("model.safetensors")); }
  void write_result(const Json& result) const;

  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  bool exists(const std::string& name) const;
  Json config() const;
  void refuse_strangers() const;
  void refuse_another_run(bool resume);
  void remove_leftovers() const;
  void leave_as_found() const;
  void take_up(const std::string& name, const std::string& metrics,
               const std::function<int64_t(const Safetensors&)>& restore);
  void count_line(const std::string& line);

  std::string path_;
  Json settings_, environment_;
  std::vector<std::string> made_;  // folders, outermost first
  std::optional<FolderLock> lock_;
  bool begun_ = false;
  std::optional<AppendFile> metrics_;
  Sha256 metrics_checksum_;
  int64_t metrics_steps_ = 0;
  std::vector<Json> evaluations_;
  Json changes_ = Json::array();
  double seconds_before_ = 0;
};

}  // namespace orthoread
