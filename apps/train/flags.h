// The flags of `train`, and the settings they define.
#pragma once

#include "apps/options.h"

namespace orthoread {

/// The flags of `train` that decide what a run computes: all but those for output.
struct RunFlags {
  SettingOptions setting;
  ModelOptions model;
  TrainingOptions training;
  std::optional<std::string> init;
  bool keep_checkpoints = false;

  void add_to(Command& command);
  /// Every setting, resolved and checked. Errors name the flag, its value and what is allowed.
  TrainConfig config() const;
};

}  // namespace orthoread
