#include "apps/probe/checkpoint_files.h"

#include "core/check.h"

#include <algorithm>
#include <charconv>
#include <filesystem>

namespace orthoread {
namespace {

namespace fs = std::filesystem;

bool is_folder(const fs::path& path) {
  std::error_code no_folder;
  return fs::is_directory(path, no_folder);
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::error_code error;
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder, error)) found.push_back(entry.path());
  check(!error, "cannot read the folder {}: {}", folder.string(), error.message());
  std::sort(found.begin(), found.end());
  return found;
}

void add_files(const fs::path& folder, CheckpointFiles& found) {
  const fs::path model = folder / "model.safetensors", kept = folder / "checkpoints";
  const bool has_model = fs::exists(model), has_kept = is_folder(kept);
  const size_t before = found.files.size();
  if (has_kept) {
    std::vector<std::string> steps;
    for (const fs::path& entry : entries(kept)) {
      if (step_in_path(entry.string())) steps.push_back(entry.string());
    }
    std::stable_sort(steps.begin(), steps.end(),
                     [](const auto& a, const auto& b) { return *step_in_path(a) < *step_in_path(b); });
    found.files.insert(found.files.end(), steps.begin(), steps.end());
  }
  if (has_model) found.files.push_back(model.string());
  if (found.files.size() == before && fs::exists(folder / "config.json")) ++found.runs_without;
  if (has_model || has_kept) return;
  for (const fs::path& entry : entries(folder)) {
    if (is_folder(entry)) add_files(entry, found);
  }
}

}  // namespace

CheckpointFiles checkpoint_files(const std::string& path) {
  if (!is_folder(path)) return {{path}};
  CheckpointFiles found;
  add_files(path, found);
  check(!found.files.empty(), "{}: no run folder in it has a model.safetensors or checkpoints/STEP.safetensors", path);
  return found;
}

std::optional<int64_t> step_in_path(const std::string& path) {
  const fs::path file(path);
  if (file.extension() != ".safetensors" || file.parent_path().filename() != "checkpoints") return std::nullopt;
  const std::string stem = file.stem().string();
  int64_t step = 0;
  const auto [end, error] = std::from_chars(stem.data(), stem.data() + stem.size(), step);
  if (error != std::errc() || end != stem.data() + stem.size() || step < 0) return std::nullopt;
  return step;
}

}  // namespace orthoread
