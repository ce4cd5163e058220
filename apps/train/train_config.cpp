#include "apps/train/train_config.h"

#include "apps/console.h"
#include "apps/train/checkpoint.h"
#include "data/checksum.h"
#include "data/files.h"
#include "data/safetensors.h"

#include <filesystem>

namespace orthoread {

void TrainConfig::validate() const {
  const auto at_least_one = [](const char* flag, int64_t value, int64_t most) {
    check(value >= 1 && value <= most, "--{}: a whole number from 1 to {} is allowed, not {}", flag, most, value);
  };
  const auto positive = [](const char* flag, double value) {
    check(value > 0 && std::isfinite(value), "--{}: a number above 0 is allowed, not {}", flag, value);
  };
  check(dtype == "float32" || dtype == "float64", "--dtype: float32 and float64 are allowed, not '{}'", dtype);
  at_least_one("steps", steps, kMostSteps);
  at_least_one("batch-size", batch_size, kLargestBatch);
  at_least_one("eval-every", eval_every, kMostSteps);
  at_least_one("val-batches", val_batches, kMostBatches);
  at_least_one("checkpoint-every", checkpoint_every, kMostSteps);
  positive("lr", lr);
  positive("clip", clip);
  check(weight_decay >= 0 && std::isfinite(weight_decay), "--weight-decay: a number from 0 is allowed, not {}",
        weight_decay);
  constexpr uint64_t kLargestSeed = uint64_t{1} << 62;
  check(seed <= kLargestSeed, "--seed: from 0 to {} is allowed, not {}", kLargestSeed, seed);
  check(data_seed <= kLargestSeed, "--data-seed: from 0 to {} is allowed, not {}", kLargestSeed, data_seed);
}

void TrainConfig::set_init(const std::string& path) {
  std::string bytes = read_file(path);
  init_sha256 = sha256(bytes);
  RecallModel<float> it_starts(model, RandomStream(seed));
  load_parameters(Safetensors::parse(std::move(bytes), path), it_starts.parameters());
  init = std::filesystem::absolute(path).lexically_normal().string();
}

std::string TrainConfig::read_init() const {
  std::string bytes = read_file(init);
  check(sha256(bytes) == init_sha256, "--init: {} has changed since this run was asked for", init);
  return bytes;
}

Json TrainConfig::to_json() const {
  return {{"vocab_size", setting.vocab_size},
          {"seq_len", setting.seq_len},
          {"noise_vocab_size", setting.noise_vocab_size},
          {"frac_noise", setting.frac_noise},
          {"single_query", setting.single_query},
          {"read", model.read.name()},
          {"memory", model.composed_memory ? "composed" : "fused"},
          {"dim", model.dim},
          {"heads", model.heads},
          {"proj_factor", model.proj_factor},
          {"qkv_block", model.qkv_block},
          {"conv_kernel", model.conv_kernel},
          {"dtype", dtype},
          {"steps", steps},
          {"batch_size", batch_size},
          {"lr", lr},
          {"schedule", name(schedule)},
          {"weight_decay", weight_decay},
          {"clip", clip},
          {"seed", seed},
          {"data_seed", data_seed},
          {"eval_every", eval_every},
          {"val_batches", val_batches},
          {"init", printable(init)},
          {"init_sha256", init_sha256}};
}

Json identity(Json settings) {
  settings.erase("init");
  return settings;
}

}  // namespace orthoread
