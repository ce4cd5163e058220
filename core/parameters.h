// The named parameters of a model.
#pragma once

#include "core/tensor.h"

#include <string>

namespace orthoread {

/// A leaf of a model and the name that checkpoints know it by. Points into the model, which must outlive it.
template <Real T>
struct Parameter {
  std::string name;   // in checkpoints
  Tensor<T>* tensor;  // the leaf, in the model
};

template <Real T>
using Parameters = std::vector<Parameter<T>>;  // all of a model

/// How many numbers the parameters hold.
template <Real T>
int64_t count(const Parameters<T>& parameters) {
  int64_t n = 0;
  for (const auto& [name, tensor] : parameters) n += tensor->value().size();
  return n;
}

/// Sets every gradient to none, before the next pass.
template <Real T>
void clear_grads(const Parameters<T>& parameters) {
  for (const auto& [name, tensor] : parameters) tensor->set_grad({});
}

}  // namespace orthoread
