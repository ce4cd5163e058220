// From scores (logits) to log probabilities and the loss.
#pragma once

#include "core/tensor.h"

namespace orthoread {

/// The target that cross_entropy and accuracy leave out.
constexpr int64_t kIgnored = -100;

/// log(exp(x_i) / sum_j exp(x_j)) along the last axis, without overflow.
/// Shapes: x (..., V) -> the same
/// Derivative: dx = dy - exp(y) sum(dy), along the last axis.
/// Use: in a model of your own, for log probabilities; exp of it is the softmax. The loss is cross_entropy.
template <Real T>
Tensor<T> log_softmax(const Tensor<T>& x);

/// The mean over all targets but the ignored ones of -log_softmax(logits)[target]. Targets are from 0 to V - 1, or
/// kIgnored. With no target left the mean of nothing is NaN, as in PyTorch.
/// Shapes: logits (..., V), targets (...) -> {}
/// Derivative: dlogits = dy (softmax(logits) - 1 at the target) / n, n being the targets that count; else 0.
/// Use: as the loss of every model that names one of V things. Give it logits, not probabilities.
template <Real T>
Tensor<T> cross_entropy(const Tensor<T>& logits, const Array<int64_t>& targets);

/// The share of targets, the ignored ones left out, whose logit is the largest of its row (the first one of equals).
/// NaN with no target left.
template <Real T>
double accuracy(const Array<T>& logits, const Array<int64_t>& targets);

}  // namespace orthoread
