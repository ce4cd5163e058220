#include "apps/train/flags.h"

namespace orthoread {

void RunFlags::add_to(Command& command) {
  command.add("--init", init, "Checkpoint to start from, instead of random weights");
  command.add("--keep-checkpoints", keep_checkpoints,
              "Keep the weights at every checkpoint as checkpoints/STEP.safetensors");
  setting.add_to(command);
  model.add_to(command);
  training.add_to(command);
}

TrainConfig RunFlags::config() const {
  TrainConfig config = training.config;
  config.setting = setting.resolve();
  config.model = model.resolve(config.setting);
  config.dtype = model.dtype;
  config.schedule = parse_schedule(training.schedule);
  config.data_seed = training.data_seed.value_or(config.seed);
  config.validate();
  if (init) config.set_init(*init);
  return config;
}

}  // namespace orthoread
