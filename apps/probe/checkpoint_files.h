// The checkpoint files that a path stands for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orthoread {

struct CheckpointFiles {
  std::vector<std::string> files;
  int64_t runs_without = 0;  // run folders (they have a config.json) without a checkpoint: runs that have not ended
};

/// A file stands for itself. A run folder stands for its checkpoints/STEP.safetensors, by step, and its
/// model.safetensors. Any other folder stands for those of all run folders below it, by name. An Error if there are
/// none.
CheckpointFiles checkpoint_files(const std::string& path);

/// STEP, if the path ends in checkpoints/STEP.safetensors.
std::optional<int64_t> step_in_path(const std::string& path);

}  // namespace orthoread
