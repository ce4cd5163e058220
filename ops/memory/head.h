// One head of the mLSTM's memory over one sequence: forward, backward and streaming.
//
// m_t = max(lf_t + m_{t-1}, i_t), f' = exp(lf_t + m_{t-1} - m_t), i' = exp(i_t - m_t),
// C_t = f' C_{t-1} + i' k_t v_t^T, n_t = f' n_{t-1} + i' k_t, and a read of C_t by q_t, see MemoryRead. A token costs
// O(d^2) for each Chebyshev term (in narrow heads O(d^3) for each step), and the backward needs O(d^2) room for each
// token of one chunk (in wide heads for each 16 tokens). ops/memory/read.h derives the read.
//
// One thread computes a head and keeps nothing outside the buffers it is given, so results do not depend on the
// threads. Their rounding does depend on the instruction set.
#pragma once

#include "core/real.h"
#include "ops/memory_read.h"

#include <concepts>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace orthoread {

/// double for float, else T. Sums whose terms cancel are added up in it, streams keep their memory in it, and the reads
/// of many steps are computed in it (ops/mlstm.cpp).
template <typename T>
using Wide = std::conditional_t<std::same_as<T, float>, double, T>;

/// How a head is computed: several tokens at once, each in a lane of the registers (ops/memory/narrow.h), token by
/// token, in blocks of tokens (ops/memory/block.h), or as is fastest for its width and read.
enum class HeadPath { by_width, lanes, tokens, blocks };

/// The query of token t is at q + t row_stride, its input gate at input_gate + t gate_stride. Strides count numbers.
struct HeadShape {
  int64_t tokens;
  int64_t width;  // d
  int64_t row_stride, gate_stride;
  HeadPath path = HeadPath::by_width;
};

template <Real T>
struct HeadInputs {
  const T *q, *k, *v, *input_gate, *log_forget;  // k is already divided by sqrt(d)
  /// A byte for each token, or null: which tokens are read. The outputs of the others are 0, their cotangents are not
  /// looked at.
  const uint8_t* read_mask = nullptr;

  bool reads(int64_t token) const { return read_mask == nullptr || read_mask[token]; }
};

/// Where the gradients go, laid out as the inputs; every number of the head is written.
template <Real T>
struct HeadGradients {
  T *q, *k, *v, *input_gate, *log_forget;
};

/// How many numbers of T the buffers must hold. Checkpoints go from a head's forward to its backward; scratch belongs
/// to the thread and carries nothing.
template <Real T>
int64_t head_checkpoint_size(const MemoryRead& read, const HeadShape& shape);
template <Real T>
int64_t head_forward_scratch_size(const MemoryRead& read, const HeadShape& shape);
template <Real T>
int64_t head_backward_scratch_size(const MemoryRead& read, const HeadShape& shape);

template <Real T>
struct ForwardBuffers {
  T *h, *checkpoints, *scratch;  // h is laid out as q; checkpoints may be null where no backward will follow
};
template <Real T>
void head_forward(const MemoryRead& read, const HeadShape& shape, const HeadInputs<T>& x, const ForwardBuffers<T>& to);

template <Real T>
struct BackwardBuffers {
  const T *dh, *checkpoints;
  HeadGradients<T> dx;  // of sum(h * dh)
  T* scratch;
};
template <Real T>
void head_backward(const MemoryRead& read, const HeadShape& shape, const HeadInputs<T>& x,
                   const BackwardBuffers<T>& buffers);

/// Terms of the read's Chebyshev series: on average over a head's tokens, and at most for any memory.
struct SeriesTerms {
  double mean = 0, most = 0;
};
/// Those that a forward used, from its checkpoints; all tokens must have been read. 0 where no series is summed: for
/// the raw read, and in narrow heads.
template <Real T>
SeriesTerms head_series_terms(const MemoryRead& read, const HeadShape& shape, const T* checkpoints);

/// A head's memory between tokens, for streaming.
template <Real N>
struct HeadState {
  int64_t position = 0;    // tokens seen
  std::vector<N> numbers;  // empty before the first token
};

/// The next shape.tokens tokens of a head. Where all are read and the inputs are finite, h has the same bits as from
/// head_forward on the whole sequence. scratch: head_forward_scratch_size for this shape.
template <Real T>
void head_stream(const MemoryRead& read, const HeadShape& shape, const HeadInputs<T>& x, T* h,
                 HeadState<Wide<T>>& state, T* scratch);

}  // namespace orthoread
