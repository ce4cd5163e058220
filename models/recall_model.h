// The recall model: one mLSTM block between an embedding and a linear head.
#pragma once

#include "core/parameters.h"
#include "core/random.h"
#include "ops/mlstm.h"

namespace orthoread {

/// The sizes of a recall model; the defaults are the article's.
struct RecallModelConfig {
  int64_t vocab_size = 80;              // V
  int64_t dim = 94;                     // D
  int64_t heads = 4;                    // H
  double proj_factor = 2;               // I / D, before I is rounded up to a multiple of 64
  int64_t qkv_block = 4;                // width of a block of the query, key and value projections
  int64_t conv_kernel = 4;              // tokens that the causal convolution sees
  MemoryRead read = MemoryRead::ns(5);  // how the memory is read
  bool composed_memory = false;         // the memory composed of ops instead of the fused one: slow, for comparison

  /// I, the width inside the block.
  int64_t inner() const;
  /// An error that names the setting unless all sizes fit together.
  void validate() const;
};

/// What a batch of sequences leaves behind for its next tokens; empty before the first. Its size does not grow.
template <Real T>
struct RecallState {
  MlstmState<T> memory;  // C, n and m of each head
  Array<T> window;       // (B, K - 1, I), what the convolution still sees
};

/// Parameters carry the names and shapes of the published checkpoints (xlstm's layer; V vocabulary, D, I, H as above).
template <Real T>
class RecallModel {
 public:
  /// Initial values as published: see the definition.
  RecallModel(const RecallModelConfig& config, RandomStream random);

  /// tokens (B, S) -> logits (B, S, V). With a mask, only the logits of the tokens that it names mean anything, and the
  /// memory is read for those alone.
  Tensor<T> forward(const Array<int64_t>& tokens, const ReadMask& mask = {}) const;

  /// The next tokens (B, S) of sequences whose past is in `state`, which moves on -> logits (B, S, V): the numbers that
  /// forward gives for the whole sequences, up to rounding. One token at a time, S = 1, is recurrent inference. Records
  /// no history; needs the fused memory.
  Array<T> step(const Array<int64_t>& tokens, RecallState<T>& state) const;

  /// x plus what the block makes of it: (B, S, D) -> (B, S, D).
  Tensor<T> block(const Tensor<T>& x, const ReadMask& mask = {}, RecallState<T>* state = nullptr) const;

  /// What the memory is given for tokens (B, S), to look into it from outside.
  MemoryInputs<T> memory_inputs(const Array<int64_t>& tokens) const;

  /// All parameters under their published names; they point into this model.
  Parameters<T> parameters();
  /// What it was made with.
  const RecallModelConfig& config() const { return config_; }

 private:
  /// tokens -> logits, of whole sequences or, with a state, of their next tokens.
  Tensor<T> logits(const Array<int64_t>& tokens, const ReadMask& mask, RecallState<T>* state) const;
  /// (B, S) -> (B, S, D).
  Tensor<T> embed(const Array<int64_t>& tokens) const;
  /// The block's two halves (B, S, I) of x (B, S, D), a for the memory and z that gates it.
  std::vector<Tensor<T>> project_up(const Tensor<T>& x) const;
  /// From a and c, its convolution.
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
