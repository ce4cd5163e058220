#include "apps/train/checkpoint.h"

#include <algorithm>
#include <set>

namespace orthoread {

template <Real T>
void load_parameters(const Safetensors& file, const Parameters<T>& parameters) {
  std::vector<Array<T>> values;  // all of them, before the first parameter changes
  std::set<std::string> expected;
  for (const auto& [name, tensor] : parameters) {
    values.push_back(file.get<T>(name, tensor->shape()));
    expected.insert(name);
  }
  for (const std::string& name : file.names()) {
    check(expected.contains(name), "{}: holds {}, which the model does not have", file.path(), name);
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    std::copy_n(values[i].data(), values[i].size(), parameters[i].tensor->edit());
  }
}

template <Real T>
void add_parameters(SafetensorsWriter& writer, const Parameters<T>& parameters) {
  for (const auto& [name, tensor] : parameters) writer.add(name, tensor->value());
}

RecallModelConfig checkpoint_config(const Safetensors& file) {
  const auto size = [&](const char* name, size_t rank, size_t axis) {
    const Shape& shape = file.shape(name);
    check(shape.size() == rank, "{}: {} must have {} axes, its shape is {}", file.path(), name, rank, shape);
    return shape[axis];
  };
  RecallModelConfig config;
  config.vocab_size = size("embedding.weight", 2, 0);
  config.dim = size("embedding.weight", 2, 1);
  config.heads = size("layer.mlstm_cell.igate.bias", 1, 0);
  config.qkv_block = size("layer.q_proj.weight", 3, 1);
  config.conv_kernel = size("layer.conv1d.conv.weight", 3, 2);
  const int64_t inner = size("layer.learnable_skip", 1, 0);
  config.proj_factor = static_cast<double>(inner) / static_cast<double>(std::max<int64_t>(1, config.dim));
  check(inner % 64 == 0, "{}: the inner width must be a multiple of 64, layer.learnable_skip has {}", file.path(),
        inner);
  const auto read = file.metadata().find("trained_read");
  if (read != file.metadata().end()) config.read = MemoryRead::parse(read->second);
  config.validate();
  return config;
}

template void load_parameters(const Safetensors&, const Parameters<float>&);
template void load_parameters(const Safetensors&, const Parameters<double>&);
template void add_parameters(SafetensorsWriter&, const Parameters<float>&);
template void add_parameters(SafetensorsWriter&, const Parameters<double>&);

}  // namespace orthoread
