// The flags that several commands share.
#pragma once

#include "apps/train/train_config.h"

#include <CLI/CLI.hpp>

#include <charconv>
#include <limits>
#include <map>
#include <optional>
#include <type_traits>

namespace orthoread {

/// The whole of `text` as a number; nothing if it is none or does not fit into N.
template <class N>
std::optional<N> number_from(std::string_view text) {
  N value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Adds a flag with a number, or a std::optional of one. Text that is none or does not fit is refused. (CLI11 itself
/// would clamp it, and read -1 as 2^64 - 1 and 010 as 8.)
template <class Value>
CLI::Option* add_number(CLI::App& command, const std::string& flag, Value& value, const std::string& help) {
  constexpr bool optional = requires { value.has_value(); };
  using N = typename std::conditional_t<optional, Value, std::optional<Value>>::value_type;
  const auto read = [flag, &value](const CLI::results_t& texts) {
    const std::optional<N> number = number_from<N>(texts.back());
    check(number.has_value(), "{}: a {}number {} to {} is allowed, not '{}'", flag,
          std::is_integral_v<N> ? "whole " : "", std::is_unsigned_v<N> ? "from 0" : "up", std::numeric_limits<N>::max(),
          texts.back());
    value = *number;
    return true;
  };
  CLI::Option* option = command.add_option(flag, read, help)->type_name(std::is_integral_v<N> ? "INT" : "FLOAT");
  if constexpr (!optional) option->default_str(fmt::format("{}", value));
  return option;
}

/// Every command has these; those that compute have --instruction-set, too.
struct CommonOptions {
  std::optional<int> threads;
  std::optional<std::string> instruction_set;
  bool json = false;
  bool quiet = false;

  void add_to(CLI::App& command, bool computes = true);
  /// Applies --threads and --instruction-set.
  void apply() const;
};

/// A number of a checkpoint's metadata, if it is there; an error if it is no number.
template <class N>
std::optional<N> metadata_number(const std::map<std::string, std::string>& metadata, const char* key);

/// SETTING: what the task is.
struct SettingOptions {
  std::optional<std::string> setting;
  std::optional<int64_t> vocab_size, seq_len, noise_vocab_size;
  std::optional<double> frac_noise;
  bool single_query = false;

  void add_to(CLI::App& command);
  /// Flags first, then what a checkpoint's metadata says, then the defaults. Checked.
  RecallSetting resolve(const std::map<std::string, std::string>& metadata = {}) const;
};

/// MODEL: sizes and the read.
struct ModelOptions {
  std::string read = "ns5";
  RecallModelConfig config;
  std::string dtype = "float32", memory = "fused";

  void add_to(CLI::App& command);
  RecallModelConfig resolve(const RecallSetting& setting) const;
};

/// TRAINING.
struct TrainingOptions {
  TrainConfig defaults;
  std::string schedule = "cosine";
  std::optional<uint64_t> data_seed;

  void add_to(CLI::App& command);
};

}  // namespace orthoread
