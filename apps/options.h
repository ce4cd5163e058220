// The flags that several commands share.
#pragma once

#include "apps/command_line.h"
#include "apps/train/train_config.h"

#include <map>
#include <optional>

namespace orthoread {

/// Flags of every command.
struct CommonOptions {
  std::optional<int> threads;
  std::optional<std::string> instruction_set;
  bool json = false;
  bool quiet = false;

  void add_to(Command& command, const char* threads_default = "the CPUs this process may use");
  /// Without --instruction-set, for a command that runs no kernels.
  void add_without_kernels_to(Command& command, const char* threads_default = "the CPUs this process may use");
  /// Applies --threads and --instruction-set.
  void apply() const;
};

/// An error if this is no instruction set, or one that this processor lacks.
void check_instruction_set(const std::string& text);

/// A number from a checkpoint's metadata; nullopt if the key is missing, an Error if it is not a number.
template <class N>
std::optional<N> metadata_number(const std::map<std::string, std::string>& metadata, const char* key);

/// SETTING: the task.
struct SettingOptions {
  std::optional<std::string> setting;
  std::optional<int64_t> vocab_size, seq_len, noise_vocab_size;
  std::optional<double> frac_noise;
  bool single_query = false;

  void add_to(Command& command);
  /// Each value from its flag, else from the checkpoint's metadata, else the default. Checked.
  RecallSetting resolve(const std::map<std::string, std::string>& metadata = {}) const;
};

/// MODEL: sizes and the read.
struct ModelOptions {
  std::string read = "ns5";
  RecallModelConfig config;
  std::string dtype = "float32", memory = "fused";

  void add_to(Command& command);
  RecallModelConfig resolve(const RecallSetting& setting) const;
};

/// TRAINING.
struct TrainingOptions {
  TrainConfig config;
  std::string schedule = "cosine";
  std::optional<uint64_t> data_seed;

  void add_to(Command& command);
};

}  // namespace orthoread
