#include "apps/options.h"

#include "core/parallel.h"
#include "ops/simd/instruction_set.h"

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
  for (const InstructionSet set : kInstructionSets) {
    if (!supported(set)) continue;
    if (text == name(set)) return set;
    allowed.emplace_back(name(set));
  }
  throw Error(fmt::format("--instruction-set: {} {} allowed here, not '{}'", fmt::join(allowed, ", "),
                          allowed.size() == 1 ? "is" : "are", text));
}

}  // namespace

void check_instruction_set(const std::string& text) { parse_instruction_set(text); }

void CommonOptions::add_without_kernels_to(Command& command, const char* threads_default) {
  command.add("--threads", threads, "Number of threads").default_is(threads_default);
  command.add("--json", json, "Print one JSON document on stdout and nothing else");
  command.add("--quiet", quiet, "Show no progress on stderr");
}

void CommonOptions::add_to(Command& command, const char* threads_default) {
  add_without_kernels_to(command, threads_default);
  command.add("--instruction-set", instruction_set, "Instruction set of the kernels: baseline, avx2 or avx512")
      .default_is("ORTHOREAD_ISA, else the best this processor has");
}

void CommonOptions::apply() const {
  if (threads) set_threads(*threads);
  if (instruction_set) set_instruction_set(parse_instruction_set(*instruction_set));
}

void SettingOptions::add_to(Command& command) {
  const RecallSetting defaults;
  command.heading("SETTING");
  command.add("--setting", setting, "Vocabulary size V and sequence length S, as vV_sS").default_is("v80_s512");
  command.add("--vocab-size", vocab_size, "Vocabulary size").default_is(std::to_string(defaults.vocab_size));
  command.add("--seq-len", seq_len, "Sequence length, even").default_is(std::to_string(defaults.seq_len));
  command.add("--noise-vocab-size", noise_vocab_size, "Noise tokens in the vocabulary")
      .default_is(std::to_string(defaults.noise_vocab_size));
  command.add("--frac-noise", frac_noise, "Fraction of pairs that are noise, in [0, 1)").default_is("0.8");
  command.add("--single-query", single_query, "One query, at the end of the sequence");
  command.heading("");
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

void ModelOptions::add_to(Command& command) {
  command.heading("MODEL");
  command.add("--read", read, "Read of the memory: raw, or ns<k> with k Newton-Schulz steps, 0 to 10");
  command.add("--dim", config.dim, "Model width");
  command.add("--heads", config.heads, "Number of heads");
  command.add("--proj-factor", config.proj_factor, "Inner width over model width");
  command.add("--qkv-block", config.qkv_block, "Block size of the block-diagonal query, key and value projections");
  command.add("--conv-kernel", config.conv_kernel, "Kernel size of the causal convolution, in tokens");
  command.add("--memory", memory, "fused, or composed of single ops (slow, for comparison)");
  command.add("--dtype", dtype, "float32 or float64");
  command.heading("");
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

void TrainingOptions::add_to(Command& command) {
  command.heading("TRAINING");
  command.add("--steps", config.steps, "Training steps");
  command.add("--batch-size", config.batch_size, "Sequences in a batch");
  command.add("--lr", config.lr, "Initial learning rate");
  command.add("--schedule", schedule, "Learning rate schedule: cosine (to 0) or constant");
  command.add("--weight-decay", config.weight_decay, "Decoupled weight decay");
  command.add("--clip", config.clip, "Clip the global gradient norm to this");
  command.add("--seed", config.seed, "Seed of the initial weights");
  command.add("--data-seed", data_seed, "Seed of the training data").default_is("the seed");
  command.add("--eval-every", config.eval_every, "Steps between evaluations");
  command.add("--val-batches", config.val_batches, "Batches per evaluation");
  command.add("--checkpoint-every", config.checkpoint_every, "Steps between checkpoints");
  command.heading("");
}

}  // namespace orthoread
