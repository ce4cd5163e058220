// Measures the memory of a checkpoint.
#pragma once

#include "apps/probe/queries.h"
#include "apps/probe/ridge_decoder.h"
#include "apps/train/trainer.h"

namespace orthoread {

struct ProbeConfig {
  RecallSetting setting;
  RecallModelConfig model;  // with the read it was trained with
  std::string dtype;        // float32 or float64; the decoder is always float64
  MemoryRead read;          // compared with the raw read
  uint64_t data_seed;       // of the run: see probe_checkpoint
  int64_t step;             // of the run, at the checkpoint
  int64_t batches, batch_size, positions;
};

/// Means over the singular values of many matrices.
struct Spectrum {
  double effective_rank = 0, first_share = 0, log10_condition = 0;
  std::vector<double> singular_values;  // divided by their sum, largest first

  /// Adds `weight` times the figures of a matrix with these singular values.
  void add(const std::vector<double>& values, double weight);
};

/// The spectra after this many tokens, over all sequences of a batch and all heads.
struct PositionSpectra {
  int64_t tokens;
  Spectrum memory;          // C
  Spectrum orthogonalized;  // NS_k(C)
  Spectrum keys;            // 1/tokens sum u u^T, u = k / max(|k|, 1e-6)
};

struct ReadPair {
  double raw, orthogonalized;
};

/// The accuracy of the queries in a range, for each read.
struct RangeAccuracy {
  QueryRange range;
  int64_t queries = 0;
  ReadPair accuracy = {0, 0};
};

struct CheckpointProbe {
  std::vector<PositionSpectra> positions;  // evenly spaced, up to the last token
  ReadPair accuracy, loss;                 // of the same weights with each read, as in `eval`
  std::vector<RangeAccuracy> by_age, by_times_seen;
  DecoderResult decoder;  // from the memory at the query, read with the stored key
  DecoderResult control;  // read with the key of another pair of the sequence
  double gradient_cosine, query_key_gradient_cosine;
};

/// An error if the checkpoint cannot be probed so: a part of it is missing or has another shape, or a number is not
/// finite.
void check_checkpoint(const Safetensors& file, const ProbeConfig& config);

/// The measures of a checkpoint that check_checkpoint accepts. The sequences are `batches` of `batch_size` of the run's
/// validation set, the stream 10000 + data seed. The first batch gives the spectra, the first six the decoder, and all
/// of them the accuracies. The cosine is between the gradients of the training loss, with the trained read, on two
/// successive batches of the stream 1000000 (data seed + 1) + step: over all parameters, and over the query and key
/// projections alone.
CheckpointProbe probe_checkpoint(const Safetensors& file, const ProbeConfig& config);

}  // namespace orthoread
