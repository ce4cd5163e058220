#include "apps/options.h"

#include "core/parallel.h"
#include "ops/mlstm_lane.h"

namespace orthoread {

template <class N>
std::optional<N> metadata_number(const std::map<std::string, std::string>& metadata, const char* key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  const std::optional<N> number = number_from<N>(found->second);
  check(number.has_value(), "checkpoint: the metadata's {} should be a number, it is '{}'", key, found->second);
  return number;
}

template std::optional<int64_t> metadata_number(const std::map<std::string, std::string>&, const char*);
template std::optional<uint64_t> metadata_number(const std::map<std::string, std::string>&, const char*);
template std::optional<double> metadata_number(const std::map<std::string, std::string>&, const char*);

namespace {

/// The instruction set of that name; an error if the processor lacks it.
InstructionSet parse_instruction_set(const std::string& text) {
  std::vector<std::string> allowed;
  for (const InstructionSet set : {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512}) {
    if (!supported(set)) continue;
    if (text == name(set)) return set;
    allowed.emplace_back(name(set));
  }
  throw Error(fmt::format("--instruction-set: {} {} allowed here, not '{}'", fmt::join(allowed, ", "),
                          allowed.size() == 1 ? "is" : "are", text));
}

}  // namespace

void CommonOptions::add_to(CLI::App& command, bool computes) {
  add_number(command, "--threads", threads, "Threads to use")->default_str("the CPUs this process may use");
  if (computes) {
    command.add_option("--instruction-set", instruction_set, "Of the kernels: baseline, avx2 or avx512")
        ->default_str("ORTHOREAD_ISA, else the best this processor has");
  }
  command.add_flag("--json", json, "Print one JSON document on stdout and nothing else");
  command.add_flag("--quiet", quiet, "No progress on stderr");
}

void CommonOptions::apply() const {
  if (threads) set_threads(*threads);
  if (instruction_set) set_instruction_set(parse_instruction_set(*instruction_set));
}

void SettingOptions::add_to(CLI::App& command) {
  const RecallSetting defaults;
  const auto group = "SETTING";
  command.add_option("--setting", setting, "Vocabulary and tokens in one word, vV_sS")
      ->default_str("v80_s512")
      ->group(group);
  add_number(command, "--vocab-size", vocab_size, "Tokens in the vocabulary")
      ->default_str(std::to_string(defaults.vocab_size))
      ->group(group);
  add_number(command, "--seq-len", seq_len, "Tokens in a sequence, even")
      ->default_str(std::to_string(defaults.seq_len))
      ->group(group);
  add_number(command, "--noise-vocab-size", noise_vocab_size, "Tokens of the vocabulary that are noise")
      ->default_str(std::to_string(defaults.noise_vocab_size))
      ->group(group);
  add_number(command, "--frac-noise", frac_noise, "Share of noise pairs, from 0 to below 1")
      ->default_str("0.8")
      ->group(group);
  command.add_flag("--single-query", single_query, "Ask for one value, at the end")->group(group);
}

RecallSetting SettingOptions::resolve(const std::map<std::string, std::string>& metadata) const {
  RecallSetting base;
  base.vocab_size = metadata_number<int64_t>(metadata, "vocab_size").value_or(base.vocab_size);
  base.seq_len = metadata_number<int64_t>(metadata, "seq_len").value_or(base.seq_len);
  base.noise_vocab_size = metadata_number<int64_t>(metadata, "noise_vocab_size").value_or(base.noise_vocab_size);
  base.frac_noise = metadata_number<double>(metadata, "frac_noise").value_or(base.frac_noise);
  const auto query = metadata.find("single_query");
  base.single_query = single_query || (query != metadata.end() && query->second == "true");
  if (setting) {
    const RecallSetting named = parse_setting(*setting);
    base.vocab_size = named.vocab_size;
    base.seq_len = named.seq_len;
  }
  base.vocab_size = vocab_size.value_or(base.vocab_size);
  base.seq_len = seq_len.value_or(base.seq_len);
  base.noise_vocab_size = noise_vocab_size.value_or(base.noise_vocab_size);
  base.frac_noise = frac_noise.value_or(base.frac_noise);
  check_setting(base);
  return base;
}

void ModelOptions::add_to(CLI::App& command) {
  const auto group = "MODEL";
  command.add_option("--read", read, "How the memory is read: raw or ns<k>, k from 0 to 10")
      ->capture_default_str()
      ->group(group);
  add_number(command, "--dim", config.dim, "Model width")->group(group);
  add_number(command, "--heads", config.heads, "Heads")->group(group);
  add_number(command, "--proj-factor", config.proj_factor, "Inner width as a multiple of the model width")
      ->group(group);
  add_number(command, "--qkv-block", config.qkv_block, "Block width of the query, key and value projections")
      ->group(group);
  add_number(command, "--conv-kernel", config.conv_kernel, "Tokens that the causal convolution sees")->group(group);
  command.add_option("--memory", memory, "fused, or composed of ops: slow, for comparison")
      ->capture_default_str()
      ->group(group);
  command.add_option("--dtype", dtype, "float32 or float64")->capture_default_str()->group(group);
}

RecallModelConfig ModelOptions::resolve(const RecallSetting& setting) const {
  RecallModelConfig resolved = config;
  resolved.vocab_size = setting.vocab_size;
  resolved.read = MemoryRead::parse(read);
  check(memory == "fused" || memory == "composed", "--memory: fused and composed are allowed, not '{}'", memory);
  resolved.composed_memory = memory == "composed";
  resolved.validate();
  return resolved;
}

void TrainingOptions::add_to(CLI::App& command) {
  const auto group = "TRAINING";
  const auto add = [&](const char* flag, auto& value, const char* help) {
    add_number(command, flag, value, help)->group(group);
  };
  add("--steps", defaults.steps, "Training steps");
  add("--batch-size", defaults.batch_size, "Sequences in a batch");
  add("--lr", defaults.lr, "Learning rate, at the start");
  command.add_option("--schedule", schedule, "Of the learning rate: cosine (to 0) or constant")
      ->capture_default_str()
      ->group(group);
  add("--weight-decay", defaults.weight_decay, "Decoupled weight decay");
  add("--clip", defaults.clip, "Global gradient norm to clip at");
  add("--seed", defaults.seed, "Seed of the initial values");
  add_number(command, "--data-seed", data_seed, "Seed of the training stream")->default_str("the seed")->group(group);
  add("--eval-every", defaults.eval_every, "Steps between evaluations");
  add("--val-batches", defaults.val_batches, "Batches of an evaluation");
  add("--checkpoint-every", defaults.checkpoint_every, "Steps between checkpoints");
}

}  // namespace orthoread
