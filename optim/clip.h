// Gradient clipping by global norm.
#pragma once

#include "core/parameters.h"

namespace orthoread {

/// Scales all gradients by min(1, max_norm / (norm + 1e-6)), where norm is that of all gradients as one vector, and
/// returns norm (PyTorch's clip_grad_norm_). Parameters without a gradient are skipped.
template <Real T>
double clip_grad_norm(const Parameters<T>& parameters, double max_norm);

}  // namespace orthoread
