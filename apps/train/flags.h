// The flags of `train`, and the settings that they stand for.
#pragma once

#include "apps/options.h"

namespace orthoread {

/// What decides what a run computes: all flags of `train` but where it is written and what is shown.
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
