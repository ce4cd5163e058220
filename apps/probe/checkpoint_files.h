// Which checkpoints a path stands for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace orthoread {

/// A file stands for itself, a run folder for its checkpoints/STEP.safetensors by step, where there are, and its
/// model.safetensors; any other folder for those of the run folders in it, at any depth, by name. An error where that
/// is none.
std::vector<std::string> checkpoint_files(const std::string& path);

/// STEP, of a path that ends in checkpoints/STEP.safetensors.
std::optional<int64_t> step_in_path(const std::string& path);

}  // namespace orthoread
