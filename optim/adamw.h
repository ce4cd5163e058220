// AdamW: Adam with decoupled weight decay (Loshchilov and Hutter, 2019), with PyTorch's order of operations.
#pragma once

#include "core/parameters.h"

namespace orthoread {

/// The hyperparameters besides the learning rate; the defaults are PyTorch's.
struct AdamWSettings {
  double beta1 = 0.9;          // decay of m, the running mean of gradients
  double beta2 = 0.999;        // decay of v, the running mean of their squares
  double eps = 1e-8;           // keeps the denominator away from 0
  double weight_decay = 0.01;  // each step multiplies a parameter by 1 - lr weight_decay
};

/// Step t = 1, 2, …, for every parameter p with gradient g:
///   p <- p - lr weight_decay p
///   m <- beta1 m + (1 - beta1) g        v <- beta2 v + (1 - beta2) g^2
///   p <- p - lr / (1 - beta1^t) m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
/// A parameter without a gradient does not change.
template <Real T>
class AdamW {
 public:
  /// For these parameters, which must outlive it. Both moments start at 0.
  AdamW(Parameters<T> parameters, AdamWSettings settings);
  /// One step with the parameters' current gradients, at the learning rate lr.
  void step(double lr);

  /// What is needed to continue bit for bit: the number of steps and, for each parameter, m and v.
  struct State {
    int64_t steps = 0;                                    // t
    std::vector<Array<T>> first_moments, second_moments;  // m and v
  };
  /// The state, for a checkpoint.
  const State& state() const { return state_; }
  /// Continues from a state. An Error unless its shapes are those of the parameters.
  void restore(State state);

 private:
  Parameters<T> parameters_;
  AdamWSettings settings_;
  State state_;
};

}  // namespace orthoread
