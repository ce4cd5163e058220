#include "apps/commands.h"
#include "apps/console.h"
#include "apps/options.h"
#include "apps/train/checkpoint.h"
#include "apps/train/trainer.h"

namespace orthoread {
namespace {

struct EvalFlags {
  CommonOptions common;
  SettingOptions setting;
  std::string checkpoint;
  std::optional<std::string> read;
  uint64_t data_seed = 10011;
  int64_t batches = 16, batch_size = 16;
  bool stream = false;
};

template <Real T>
Evaluation evaluate_file(const Safetensors& file, const RecallModelConfig& config,
                         const std::vector<RecallBatch>& batches, Feed feed) {
  RecallModel<T> model(config, RandomStream(0));
  load_parameters(file, model.parameters());
  return evaluate(model, batches, feed);
}

int run_eval(const EvalFlags& flags) {
  flags.common.apply();
  const auto in_range = [](const char* flag, int64_t value, int64_t most) {
    check(value >= 1 && value <= most, "{}: a whole number from 1 to {} is allowed, not {}", flag, most, value);
  };
  in_range("--batches", flags.batches, kMostBatches);
  in_range("--batch-size", flags.batch_size, kLargestBatch);
  const Safetensors file = Safetensors::read(flags.checkpoint);
  RecallModelConfig config = checkpoint_config(file);
  if (flags.read) config.read = MemoryRead::parse(*flags.read);
  const RecallSetting setting = flags.setting.resolve(file.metadata());
  check(setting.vocab_size == config.vocab_size, "--vocab-size: the checkpoint has {} tokens, the task {}",
        config.vocab_size, setting.vocab_size);
  const auto batches = validation_batches(setting, flags.data_seed, flags.batches, flags.batch_size);
  const bool single = file.dtype("embedding.weight") == "F32";
  const Feed feed = flags.stream ? Feed::streamed : Feed::whole;
  const auto [loss, accuracy] =
      single ? evaluate_file<float>(file, config, batches, feed) : evaluate_file<double>(file, config, batches, feed);
  if (flags.common.json) {
    print_out(
        "{}\n",
        Json{{"val_loss", loss}, {"val_accuracy", accuracy}, {"read", config.read.name()}, {"batches", flags.batches}}
            .dump());
  } else {
    print_out("accuracy {:.4f}\nloss     {:.4f}\nread     {}\n", accuracy, loss, config.read.name());
  }
  return kDone;
}

}  // namespace

void add_eval_command(Command& program) {
  auto flags = std::make_shared<EvalFlags>();
  Command command = program.add_command("eval", "Measure a checkpoint's recall on a validation stream");
  command.add("--checkpoint", flags->checkpoint, "A safetensors file with the published names").required();
  command.add("--read", flags->read, "raw or ns<k>, k from 0 to 10").default_is("what the checkpoint was trained with");
  command.add("--data-seed", flags->data_seed,
              "Seed of the data; for a run's own validation set, 10000 + its data seed");
  command.add("--batches", flags->batches, "Number of batches");
  command.add("--batch-size", flags->batch_size, "Sequences in a batch");
  command.add("--stream", flags->stream, "Read one token at a time, with a state of constant size");
  flags->setting.add_to(command);
  flags->common.add_to(command);
  command.footer(
      "SETTING flags that are not given come from the checkpoint's metadata, if it has them.\n"
      "Example:\n  orthoread eval --checkpoint run/model.safetensors --read raw --data-seed 10011");
  command.runs([flags] { return run_eval(*flags); });
}

}  // namespace orthoread
