// The settings that decide what a training run computes.
#pragma once

#include "apps/json_file.h"
#include "data/noisy_recall.h"
#include "models/recall_model.h"
#include "optim/schedule.h"

namespace orthoread {

// Larger values are typing errors: years of computing, or more memory than machines have.
constexpr int64_t kMostSteps = 1'000'000'000, kLargestBatch = kMostSteps, kMostBatches = 1'000'000;

struct TrainConfig {
  RecallSetting setting = {};
  RecallModelConfig model = {};
  std::string dtype = "float32";
  int64_t steps = 2000;
  int64_t batch_size = 16;
  double lr = 3e-3;
  Schedule schedule = Schedule::cosine;
  double weight_decay = 0.01;
  double clip = 1;
  uint64_t seed = 11;
  uint64_t data_seed = 11;
  int64_t eval_every = 200;
  int64_t val_batches = 16;
  int64_t checkpoint_every = 200;
  std::string init = {};         // a checkpoint to start from, or empty
  std::string init_sha256 = {};  // of that file

  /// Seed of the stream that gives the validation set.
  uint64_t validation_seed() const { return 10000 + data_seed; }

  /// An error that names the flag, its value and what is allowed.
  void validate() const;

  /// Starts from the weights that this file holds now: its checksum is kept. An Error unless they fit `model`.
  void set_init(const std::string& path);
  /// The bytes of that file; an Error if they have changed since.
  std::string read_init() const;

  /// The settings that a result depends on, under the names of their flags.
  Json to_json() const;
};

/// The settings that define a run: all but the path of `init`. Runs with equal identities are the same run.
Json identity(Json settings);

}  // namespace orthoread
