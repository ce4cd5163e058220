// Stochastic gradient descent: for models of your own, and the simplest optimizer to read. `train` has AdamW.
#pragma once

#include "core/parameters.h"

namespace orthoread {

/// What SGD's formula has besides the learning rate; the defaults are PyTorch's.
struct SgdSettings {
  double momentum = 0;      // 0: none is kept
  double weight_decay = 0;  // added to the gradient: an L2 penalty, not AdamW's decoupled decay
};

/// PyTorch's SGD: g <- grad + weight_decay p; with momentum b <- momentum b + g (the first time b <- g) and g <- b;
/// p <- p - lr g. A parameter without a gradient is left as it is.
template <Real T>
class Sgd {
 public:
  /// For these parameters, which must outlive it.
  Sgd(Parameters<T> parameters, SgdSettings settings);
  /// One step with the gradients that the parameters have, at the learning rate lr.
  void step(double lr);

 private:
  Parameters<T> parameters_;
  SgdSettings settings_;
  std::vector<Array<T>> momentum_;
};

}  // namespace orthoread
