// Stochastic gradient descent, for your own models, and the simplest optimizer to read. `train` uses AdamW.
#pragma once

#include "core/parameters.h"

namespace orthoread {

/// The hyperparameters besides the learning rate; the defaults are PyTorch's.
struct SgdSettings {
  double momentum = 0;      // 0: no momentum
  double weight_decay = 0;  // added to the gradient: an L2 penalty, not AdamW's decoupled decay
};

/// PyTorch's SGD: g <- grad + weight_decay p; with momentum, b <- momentum b + g (first b <- g) and g <- b;
/// p <- p - lr g. A parameter without a gradient does not change.
template <Real T>
class Sgd {
 public:
  /// For these parameters, which must outlive it.
  Sgd(Parameters<T> parameters, SgdSettings settings);
  /// One step with the parameters' current gradients, at the learning rate lr.
  void step(double lr);

 private:
  Parameters<T> parameters_;
  SgdSettings settings_;
  std::vector<Array<T>> momentum_;
};

}  // namespace orthoread
