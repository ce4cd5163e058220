// The mLSTM's memory, composed of the other ops token by token: the definition, and the twin of the fused form.
#pragma once

#include "core/tensor.h"
#include "ops/memory_read.h"

namespace orthoread {

/// The memory of an mLSTM, written with other ops.
///
/// Per head and token, with C_0 = 0, n_0 = 0 and m_0 = 0 (raw read: m_0 = -infinity):
///   m_t = max(lf_t + m_{t-1}, i_t)      f' = exp(lf_t + m_{t-1} - m_t)      i' = exp(i_t - m_t)
///   C_t = f' C_{t-1} + i' k_t v_t^T     n_t = f' n_{t-1} + i' k_t
///   h_t = read(C_t)^T q_t / (max(|q_t·n_t|, exp(-m_t)) + eps)
/// (Beck et al., xLSTM, 2024; the orthogonalized read: Tambde, 2026.) m is a stabiliser: it keeps the exponentials in
/// range.
///
/// The key is already divided by sqrt(d); log_forget is the logarithm of the forget gate.
/// Shapes: query, key, value (B, S, H d), input_gate, log_forget (B, S, H) -> (B, S, H d)
/// Derivative: composed of those of the ops in its loop, m included.
/// Use: as the definition, for tests and for reading; mlstm computes the same at a fraction of the time.
template <Real T>
Tensor<T> mlstm_composed(const Tensor<T>& query, const Tensor<T>& key, const Tensor<T>& value,
                         const Tensor<T>& input_gate, const Tensor<T>& log_forget, const MemoryRead& read);

/// The shapes of the memory's inputs, checked.
struct MemoryShape {
  int64_t batch, tokens, heads, width;  // B, S, H and d, the width of a head
};
/// Reads them off the shapes; an error that names op and all shapes unless they fit together.
MemoryShape memory_shape(const char* op, const Shape& query, const Shape& key, const Shape& value,
                         const Shape& input_gate, const Shape& log_forget);

}  // namespace orthoread
