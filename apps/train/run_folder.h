// The folder of a training run, and the lock on it.
//   config.json                  the settings and the environment
//   metrics.jsonl                a line for each step and each evaluation
//   state.safetensors            the last checkpoint
//   state.previous.safetensors   the one before it
//   checkpoints/STEP.safetensors the weights at each checkpoint, if they are kept
//   model.safetensors            the final weights
//   result.json                  written last: its presence means that the run is done
//   lock                         locked while a process works on the run
// `sweep` adds log.txt and failure.json (run_state.h).
//
// Order of writing: config.json after the first step, then the checkpoint of step 0, then metrics. A
// checkpoint holds its own checksum, and the length and checksum of metrics.jsonl so far. It is written after these
// metrics are on disk, by rename, and the one before it becomes state.previous. So a complete checkpoint survives any
// crash, and later steps are computed again.
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

/// Reads result.json of a folder. An Error if it cannot be read or is not the result of a run.
Json read_result(const std::string& folder);
/// The outcome in a result.json; "" if it has none.
std::string recorded_outcome(const Json& result);

class RunFolder {
 public:
  /// Creates the folder, or takes one that is empty, holds the same settings, or holds a run that has computed nothing
  /// yet; and locks it. An Error, with nothing changed, if it holds another run, other files, the same run without
  /// `resume`, or if another process works in it.
  RunFolder(const std::string& path, const Json& settings, bool resume);
  /// If the run has not begun, the folder is left as it was found.
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  /// A warning, if the file system cannot lock; else empty.
  const std::string& warning() const { return lock_->warning(); }

  /// result.json, if the run is done.
  bool done() const { return exists(kResult); }
  Json result() const { return read_result(path_); }

  /// Whether a checkpoint has been written, by this process or an earlier one.
  bool begun() const { return begun_; }
  /// Writes config.json. Next come write_state and then the metrics.
  void begin(const Json& environment);

  /// For a run that has begun. Passes the last checkpoint to `restore`, which returns its number of steps, and removes
  /// later lines of metrics.jsonl, since those steps are computed again. First checks the checksums of checkpoint and
  /// metrics, each line, and the number of lines. If a check fails, uses the previous checkpoint and returns a line
  /// that says so. An Error if that one fails, too.
  std::string resume(const std::function<int64_t(const Safetensors&)>& restore);
  /// The run's seconds up to the last checkpoint.
  double seconds_before() const { return seconds_before_; }

  /// The "instruction_set", "blas" or "version" of the last checkpoint, named as in config.json's environment.
  std::string computed_with(const std::string& what) const;
  /// Records that from `step` on the run uses another one. All changes, {step, what, from, to} each, are saved with the
  /// checkpoints.
  void record_change(int64_t step, const std::string& what, const std::string& to);
  const Json& changes() const { return changes_; }

  /// Appends a line to metrics.jsonl.
  void add_metrics(const Json& line);
  /// All evaluations so far: the lines of metrics.jsonl with step, val_loss, val_accuracy.
  const std::vector<Json>& evaluations() const { return evaluations_; }

  void write_state(SafetensorsWriter state, double seconds);
  void keep_weights(int64_t step, const SafetensorsWriter& model) const;
  void write_model(const SafetensorsWriter& model) const { model.write(file("model.safetensors")); }
  void write_result(const Json& result) const;

  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  bool exists(const std::string& name) const;
  Json config() const;
  void refuse_other_files() const;
  void refuse_another_run(bool resume);
  void remove_leftovers() const;
  void leave_as_found() const;
  void resume_from(const std::string& name, const std::string& metrics,
                   const std::function<int64_t(const Safetensors&)>& restore);
  void count_line(const std::string& line);

  std::string path_;
  Json settings_, environment_;
  std::vector<std::string> created_;  // folders, outermost first
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
