// Model weights in safetensors files, under the names of the published checkpoints.
#pragma once

#include "core/parameters.h"
#include "data/safetensors.h"
#include "models/recall_model.h"

namespace orthoread {

/// Copies the file's arrays into the parameters. An Error if one is missing, has another shape, or is no parameter.
template <Real T>
void load_parameters(const Safetensors& file, const Parameters<T>& parameters);

template <Real T>
void add_parameters(SafetensorsWriter& writer, const Parameters<T>& parameters);

/// The model's sizes, from the shapes in the file, and its read, from trained_read in the metadata.
RecallModelConfig checkpoint_config(const Safetensors& file);

}  // namespace orthoread
