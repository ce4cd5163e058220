// The mLSTM's memory as one op: what mlstm_composed defines, at O(d^2) a token for every read (narrow heads: O(d^3)).
#pragma once

#include "core/tensor.h"
#include "ops/memory/head.h"
#include "ops/memory_read.h"

namespace orthoread {

/// Which tokens are read, a byte for each of (B, S). The outputs of the others are 0; those of the tokens that are read
/// do not change. Undefined: all tokens.
using ReadMask = Array<uint8_t>;

/// The memory of an mLSTM as one op: equal to mlstm_composed up to rounding, with the same arguments, the key already
/// divided by sqrt(d). ops/memory/read.h derives the read.
/// Shapes: query, key, value (B, S, H d), input_gate, log_forget (B, S, H) -> (B, S, H d)
/// Derivative: the recurrence run backwards: the gradients of a token's C, n and m go to the token before it.
/// Use: as the memory of a model. With a mask only the outputs that a loss looks at are read.
template <Real T>
Tensor<T> mlstm(const Tensor<T>& query, const Tensor<T>& key, const Tensor<T>& value, const Tensor<T>& input_gate,
                const Tensor<T>& log_forget, const MemoryRead& read, const ReadMask& mask = {});

/// What mlstm takes, by name.
template <Real T>
struct MemoryInputs {
  Tensor<T> query, key, value, input_gate, log_forget;  // of the shapes above
};

/// The memories of a batch between tokens: (B, H) of them, empty before the first token.
template <Real T>
using MlstmState = std::vector<HeadState<Wide<T>>>;

/// The next S tokens of sequences whose memories are in `state`, which is updated: constant memory for sequences of any
/// length. The same numbers as mlstm on the whole sequence.
template <Real T>
Array<T> mlstm_stream(const Array<T>& query, const Array<T>& key, const Array<T>& value, const Array<T>& input_gate,
                      const Array<T>& log_forget, const MemoryRead& read, MlstmState<T>& state);

/// The number of terms of the read's series for these inputs, on average over tokens and heads; 0 if none is summed.
template <Real T>
SeriesTerms mlstm_series_terms(const MemoryInputs<T>& inputs, const MemoryRead& read);

}  // namespace orthoread
