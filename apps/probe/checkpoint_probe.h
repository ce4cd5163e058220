// What a checkpoint's memory looks like, measured.
#pragma once

#include "apps/probe/queries.h"
#include "apps/probe/ridge_decoder.h"
#include "apps/train/trainer.h"

namespace orthoread {

struct ProbeConfig {
  RecallSetting setting;
  RecallModelConfig model;  // with the read that the checkpoint was trained with
  std::string dtype;        // float32 or float64, in which all but the decoder is computed
  MemoryRead read;          // the one that the raw read is compared with
  uint64_t data_seed;       // of the run: see each probe
  int64_t step;             // of the run at which the checkpoint was taken
  int64_t batches, batch_size, positions;
};

/// Of the singular values of many matrices, the mean of each figure.
struct Spectrum {
  double effective_rank = 0, first_share = 0, log10_condition = 0;
  std::vector<double> singular_values;  // over their sum, largest first

  /// Adds `weight` times the figures of a matrix with these singular values.
  void add(const std::vector<double>& values, double weight);
};

/// After so many tokens, over all sequences of a batch and all heads.
struct PositionSpectra {
  int64_t tokens;
  Spectrum memory;          // C
  Spectrum orthogonalized;  // NS_k(C)
  Spectrum keys;            // 1/tokens sum u u^T, u = k / max(|k|, 1e-6)
};

struct ReadPair {
  double raw, orthogonalized;
};

/// The accuracy of the queries in a range, with each read.
struct RangeAccuracy {
  QueryRange range;
  int64_t queries = 0;
  ReadPair accuracy = {0, 0};
};

struct CheckpointProbe {
  std::vector<PositionSpectra> positions;  // evenly spaced, the last token's last
  ReadPair accuracy, loss;                 // of the same weights with each read, as `eval` measures it
  std::vector<RangeAccuracy> by_age, by_times_seen;
  DecoderResult decoder;  // from the memory at the query, asked with the key that was stored
  DecoderResult control;  // asked with that of another pair of the sequence
  double gradient_cosine, query_key_gradient_cosine;
};

/// Sequences are those of the run's validation set, the stream 10000 + data seed: `batches` of `batch_size`. The first
/// batch gives the spectra, the first six the decoder, all of them the accuracies. The cosine is that between the
/// gradients of the training loss, with the read trained with, on two batches drawn one after the other from the stream
/// 1000000 (data seed + 1) + step: of all parameters, and of the query's and key's projections alone.
CheckpointProbe probe_checkpoint(const Safetensors& file, const ProbeConfig& config);

}  // namespace orthoread
