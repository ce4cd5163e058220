#include "apps/commands.h"
#include "apps/console.h"
#include "apps/options.h"
#include "data/safetensors.h"

namespace orthoread {
namespace {

struct DataFlags {
  CommonOptions common;
  SettingOptions setting;
  std::string out;
  int64_t instances = 16;
  std::string split = "train";
  uint64_t data_seed = 11;
};

int make_data(const DataFlags& flags) {
  flags.common.apply();
  const RecallSetting setting = flags.setting.resolve();
  constexpr int64_t kMost = 1 << 24;
  check(1 <= flags.instances && flags.instances <= kMost, "--instances: from 1 to {} is allowed, not {}", kMost,
        flags.instances);
  check(flags.split == "train" || flags.split == "eval", "--split: train and eval are allowed, not '{}'", flags.split);
  NoisyRecall stream(setting, flags.data_seed);
  const RecallBatch batch = stream.next_batch(flags.instances, flags.split == "train" ? Split::kTrain : Split::kEval);
  SafetensorsWriter writer;
  writer.add("inputs", batch.inputs);
  writer.add("targets", batch.targets);
  const Json metadata = {{"task", "noisy-in-context-recall"},
                         {"split", flags.split},
                         {"data_seed", std::to_string(flags.data_seed)},
                         {"vocab_size", std::to_string(setting.vocab_size)},
                         {"seq_len", std::to_string(setting.seq_len)},
                         {"noise_vocab_size", std::to_string(setting.noise_vocab_size)},
                         {"frac_noise", fmt::format("{}", setting.frac_noise)},
                         {"single_query", setting.single_query ? "true" : "false"}};
  for (const auto& [key, value] : metadata.items()) writer.set_metadata(key, value);
  writer.write(flags.out);
  if (flags.common.json) {
    print_out("{}\n",
              Json{{"file", printable(flags.out)}, {"instances", batch.inputs.dim(0)}, {"tokens", batch.inputs.dim(1)}}
                  .dump());
  } else if (!flags.common.quiet) {
    print_out("{}: {} instances of {} tokens\n", printable(flags.out), batch.inputs.dim(0), batch.inputs.dim(1));
  }
  return kDone;
}

}  // namespace

void add_data_command(Command& program) {
  auto flags = std::make_shared<DataFlags>();
  Command command = program.add_command("data", "Write instances of the task to a safetensors file");
  command.add("--out", flags->out, "The file to write, with the int64 arrays inputs and targets").required();
  command.add("--instances", flags->instances, "Number of sequences");
  command.add("--split", flags->split, "Targets: train (every next token) or eval (the answers to queries)");
  command.add("--data-seed", flags->data_seed, "Seed of the data (NumPy's default_rng)");
  flags->setting.add_to(command);
  flags->common.add_without_kernels_to(command);
  command.footer("Example:\n  orthoread data --out recall.safetensors --instances 64 --split eval --setting v80_s512");
  command.runs([flags] { return make_data(*flags); });
}

}  // namespace orthoread
