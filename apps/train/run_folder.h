// The folder of a training run, and who may write into it.
//   config.json        the settings, and where they ran
//   metrics.jsonl      a line for each step and each evaluation
//   state.safetensors  the last checkpoint
//   model.safetensors  the final weights
//   result.json        written last: its presence means that the run is done
#pragma once

#include "apps/train/train_config.h"
#include "data/files.h"
#include "data/safetensors.h"

#include <optional>

namespace orthoread {

class RunFolder {
 public:
  /// Makes the folder, or takes one that holds the same settings. An error, with nothing changed, if it holds another
  /// run, something else, the same run without `resume`, or if another process is at work in it.
  RunFolder(const std::string& path, const Json& settings, const Json& environment, bool resume);
  ~RunFolder();
  RunFolder(const RunFolder&) = delete;
  RunFolder& operator=(const RunFolder&) = delete;

  /// result.json, if the run is done.
  bool done() const { return exists("result.json"); }
  Json result() const;

  /// The last checkpoint, if there is one. Lines of metrics.jsonl that are later than it are cut off: they will be
  /// computed again.
  bool has_state() const { return exists("state.safetensors"); }
  Safetensors resume_state();
  /// Seconds that the run had taken at the last checkpoint.
  double seconds_before() const { return seconds_before_; }

  /// Adds a line to metrics.jsonl.
  void add_metrics(const Json& line);
  /// Every evaluation so far, from metrics.jsonl: lines with step, val_loss, val_accuracy.
  std::vector<Json> evaluations() const;

  void write_state(SafetensorsWriter state, double seconds);
  void write_model(const SafetensorsWriter& model) const { model.write(file("model.safetensors")); }
  void write_result(const Json& result) const;

  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  bool exists(const std::string& name) const;
  void lock();

  std::string path_;
  int folder_ = -1;  // open, and locked, as long as this lives
  std::optional<AppendFile> metrics_;
  double seconds_before_ = 0;
};

}  // namespace orthoread
