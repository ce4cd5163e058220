// Recomputes the memory of one head token by token: the model's fused op does not expose it.
#pragma once

#include "models/recall_model.h"

#include <functional>

namespace orthoread {

/// The writes of one head of one sequence: key and value (S, d), input_gate and log_forget (S, 1).
template <Real T>
struct HeadWrites {
  Array<T> key, value, input_gate, log_forget;
};
template <Real T>
HeadWrites<T> head_writes(const MemoryInputs<T>& inputs, int64_t sequence, int64_t head);

/// Calls look(t, C_t), with C_t (d, d), after each token t: C_t = exp(lf_t + m_{t-1} - m_t) C_{t-1} + exp(i_t - m_t)
/// k_t v_t^T with m_t = max(lf_t + m_{t-1}, i_t), C_0 = 0, m_0 = 0, as for the orthogonalized reads
/// (ops/mlstm_composed.h). The raw read, which starts from m_0 = -infinity, scales the same matrices by other factors.
template <Real T>
void replay_memory(const HeadWrites<T>& writes, const std::function<void(int64_t t, const Array<T>& memory)>& look);

}  // namespace orthoread
