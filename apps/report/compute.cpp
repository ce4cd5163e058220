#include "apps/report/compute.h"

#include "apps/bench/memory.h"

namespace orthoread {
namespace {

std::optional<double> operations_of_a_step(const Json& settings) {
  try {
    RecallSetting task = parse_setting(settings.at("setting").get<std::string>());
    task.single_query = settings.value("single_query", task.single_query);
    RecallModelConfig model;
    model.vocab_size = task.vocab_size;
    model.dim = settings.value("dim", model.dim);
    model.heads = settings.value("heads", model.heads);
    model.proj_factor = settings.value("proj_factor", model.proj_factor);
    model.qkv_block = settings.value("qkv_block", model.qkv_block);
    model.conv_kernel = settings.value("conv_kernel", model.conv_kernel);
    model.read = MemoryRead::parse(settings.at("read").get<std::string>());
    model.validate();
    return step_flops<float>(model, task.tokens(), settings.value("batch_size", TrainConfig().batch_size));
  } catch (const std::exception&) {  // settings that say too little, or sizes that this program does not have
    return std::nullopt;
  }
}

}  // namespace

std::optional<double> OperationCounter::operations(const Run& run, double steps) {
  Json settings;
  for (const char* key :
       {"setting", "single_query", "dim", "heads", "proj_factor", "qkv_block", "conv_kernel", "read", "batch_size"})
    if (run.settings.contains(key)) settings[key] = run.settings[key];
  const auto [found, is_new] = of_a_step_.try_emplace(settings.dump());
  if (is_new) found->second = operations_of_a_step(settings);
  return found->second ? std::optional(steps * *found->second) : std::nullopt;
}

}  // namespace orthoread
