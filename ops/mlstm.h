// The mLSTM's memory as one op: what mlstm_composed defines, at O(d^2) a token for every read.
#pragma once

#include "core/tensor.h"
#include "ops/memory_read.h"
#include "ops/mlstm_lane.h"

namespace orthoread {

/// Which outputs of the memory are used, a byte for each of (B, S): the others are set to 0 without being read, which
/// is exact for whoever looks at the wanted ones alone. Undefined: all of them.
using Wanted = Array<uint8_t>;

/// Equal to mlstm_composed up to rounding, with the same arguments: query, key, value (B, S, H d), the key already
/// divided by sqrt(d); input_gate and log_forget (B, S, H) -> (B, S, H d). ops/lane/read.h derives the read.
template <Real T>
Tensor<T> mlstm(const Tensor<T>& query, const Tensor<T>& key, const Tensor<T>& value, const Tensor<T>& input_gate,
                const Tensor<T>& log_forget, const MemoryRead& read, const Wanted& wanted = {});

/// What mlstm takes, by name.
template <Real T>
struct MemoryInputs {
  Tensor<T> query, key, value, input_gate, log_forget;
};

/// The memories of a batch between tokens: (B, H) of them, empty before the first token.
template <Real T>
using MlstmState = std::vector<LaneState<T>>;

/// The next S tokens of sequences whose memories are in `state`, which moves on: constant memory, however long they
/// are. The same numbers as mlstm on the whole sequence.
template <Real T>
Array<T> mlstm_stream(const Array<T>& query, const Array<T>& key, const Array<T>& value, const Array<T>& input_gate,
                      const Array<T>& log_forget, const MemoryRead& read, MlstmState<T>& state);

}  // namespace orthoread
