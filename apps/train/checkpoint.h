// Models in safetensors files, under the published names.
#pragma once

#include "core/parameters.h"
#include "data/safetensors.h"
#include "models/recall_model.h"

namespace orthoread {

/// Copies the file's numbers into the parameters: each must be there with its shape, and nothing else may be.
template <Real T>
void load_parameters(const Safetensors& file, const Parameters<T>& parameters);

template <Real T>
void add_parameters(SafetensorsWriter& writer, const Parameters<T>& parameters);

/// The sizes of the model that a checkpoint holds, from its shapes, and its read, from the metadata's trained_read.
RecallModelConfig checkpoint_config(const Safetensors& file);

}  // namespace orthoread
