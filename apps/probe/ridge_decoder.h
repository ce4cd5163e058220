// A linear decoder: how much of an answer can be decoded from features, whether or not the model does so.
#pragma once

#include "core/array.h"

#include <cstdint>
#include <vector>

namespace orthoread {

struct DecoderSamples {
  Array<double> features;               // (n, f)
  std::vector<int64_t> labels, groups;  // n each; a group (a sequence) is never split
};

struct DecoderResult {
  double accuracy;  // the fraction of test samples that are decoded correctly
  double lambda;
  int64_t train, test;  // numbers of samples
};

/// Ridge regression from the features to one-hot labels; the largest output is the decoded label. Samples of groups up
/// to the .7 quantile of the group numbers are for training, the others for testing. Features are standardised over the
/// training samples. lambda is chosen from .1, 1, 10 and 100 on the last fifth of the training samples; then all of
/// them are fitted. An Error if training, choice or test would have no samples.
DecoderResult ridge_decoder(const DecoderSamples& samples);

}  // namespace orthoread
