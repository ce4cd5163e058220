// The recall model: one mLSTM block between an embedding and a linear head.
#pragma once

#include "core/parameters.h"
#include "core/random.h"
#include "ops/mlstm.h"

namespace orthoread {

/// The hyperparameters of a recall model; the defaults are the article's.
struct RecallModelConfig {
  int64_t vocab_size = 80;              // V
  int64_t dim = 94;                     // D
  int64_t heads = 4;                    // H
  double proj_factor = 2;               // I / D, before I is rounded up to a multiple of 64
  int64_t qkv_block = 4;                // b, block size of the query, key and value projections
  int64_t conv_kernel = 4;              // K, kernel size of the causal convolution
  MemoryRead read = MemoryRead::ns(5);  // the read of the memory
  bool composed_memory = false;         // composed of single ops instead of fused: slow, for comparison

  /// I, the width inside the block.
  int64_t inner() const;
  /// An Error that names the setting, unless all sizes are compatible.
  void validate() const;
};

/// The state of a batch of sequences between calls of step(); empty before the first tokens. Its size is constant.
template <Real T>
struct RecallState {
  MlstmState<T> memory;  // C, n and m of each head
  Array<T> window;       // (B, K - 1, I), the last inputs of the convolution
};

/// Parameters have the names and shapes of the published checkpoints (xlstm's layer), with V, D, I, H, K, b as above.
template <Real T>
class RecallModel {
 public:
  /// Initial weights as published: see the definition.
  RecallModel(const RecallModelConfig& config, RandomStream random);

  /// tokens (B, S) -> logits (B, S, V). With a mask, the memory is read only at the tokens it selects, and the other
  /// logits are undefined.
  Tensor<T> forward(const Array<int64_t>& tokens, const ReadMask& mask = {}) const;

  /// Reads the next tokens (B, S) of sequences whose past is in `state`, and updates it -> logits (B, S, V), equal to
  /// those of forward on the whole sequences up to rounding. S = 1 is recurrent inference. Records no graph. Needs the
  /// fused memory.
  Array<T> step(const Array<int64_t>& tokens, RecallState<T>& state) const;

  /// x plus the block's output: (B, S, D) -> (B, S, D).
  Tensor<T> block(const Tensor<T>& x, const ReadMask& mask = {}, RecallState<T>* state = nullptr) const;

  /// The inputs of the memory for tokens (B, S), for inspection.
  MemoryInputs<T> memory_inputs(const Array<int64_t>& tokens) const;

  /// All parameters under their published names; they point into this model.
  Parameters<T> parameters();
  /// The configuration it was made with.
  const RecallModelConfig& config() const { return config_; }

 private:
  /// tokens -> logits, of whole sequences or, with a state, of their next tokens.
  Tensor<T> logits(const Array<int64_t>& tokens, const ReadMask& mask, RecallState<T>* state) const;
  /// (B, S) -> (B, S, D).
  Tensor<T> embed(const Array<int64_t>& tokens) const;
  /// The two halves (B, S, I) of the up-projection of x (B, S, D): a for the memory, and z, the gate.
  std::vector<Tensor<T>> project_up(const Tensor<T>& x) const;
  /// From a and its convolution c.
  MemoryInputs<T> memory_inputs(const Tensor<T>& c, const Tensor<T>& a) const;
  /// silu of the causal convolution: (B, S, I) -> (B, S, I).
  Tensor<T> convolution(const Tensor<T>& a, RecallState<T>* state) const;

  RecallModelConfig config_;
  Tensor<T> embedding_;                  // (V, D)
  Tensor<T> norm_;                       // (D)
  Tensor<T> proj_up_;                    // (2I, D)
  Tensor<T> conv_weight_, conv_bias_;    // (I, 1, K), (I)
  Tensor<T> q_proj_, k_proj_, v_proj_;   // (I/b, b, b)
  Tensor<T> igate_weight_, igate_bias_;  // (H, 3I), (H)
  Tensor<T> fgate_weight_, fgate_bias_;  // (H, 3I), (H)
  Tensor<T> outnorm_;                    // (I)
  Tensor<T> learnable_skip_;             // (I)
  Tensor<T> proj_down_;                  // (D, I)
  Tensor<T> post_norm_;                  // (D)
  Tensor<T> head_weight_, head_bias_;    // (V, D), (V)
};

}  // namespace orthoread
