// Everything that decides what a training run computes.
#pragma once

#include "data/noisy_recall.h"
#include "models/recall_model.h"
#include "optim/schedule.h"

#include <nlohmann/json.hpp>

namespace orthoread {

using Json = nlohmann::ordered_json;

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
  std::string init = {};  // a checkpoint to start from, or empty

  /// The validation set is the stream with this seed.
  uint64_t validation_seed() const { return 10000 + data_seed; }

  /// An error that names the flag, its value and what is allowed.
  void validate() const;

  /// The settings that a result depends on, under the names of their flags: two runs with equal ones are the same run.
  Json to_json() const;
};

}  // namespace orthoread
