// A linear decoder: how much of an answer is in some features, whether or not the model reads it.
#pragma once

#include "core/array.h"

#include <cstdint>
#include <vector>

namespace orthoread {

struct DecoderSamples {
  Array<double> features;               // (n, f)
  std::vector<int64_t> labels, groups;  // n each; a group (a sequence) is wholly trained on or wholly tested on
};

struct DecoderResult {
  double accuracy;  // the share of the test samples whose label is decoded
  double lambda;
  int64_t train, test;  // samples
};

/// Ridge regression from the features to the one-hot labels, decoded by the largest. Samples of groups up to the .7
/// quantile of the groups' numbers train, the others test. Features are standardised by the training samples. lambda,
/// of .1, 1, 10 and 100, is chosen on the last fifth of the training samples, then all of them are fitted. An error
/// unless there is something to train on, to choose by and to test.
DecoderResult ridge_decoder(const DecoderSamples& samples);

}  // namespace orthoread
