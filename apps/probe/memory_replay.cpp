#include "apps/probe/memory_replay.h"

namespace orthoread {

template <Real T>
HeadWrites<T> head_writes(const MemoryInputs<T>& inputs, int64_t sequence, int64_t head) {
  const int64_t tokens = inputs.key.dim(1), heads = inputs.input_gate.dim(2);
  const auto part = [&](const Tensor<T>& x) {  // (B, S, H d) -> (S, d)
    const int64_t width = x.dim(2) / heads;
    Array<T> of_head({tokens, width});
    T* to = of_head.edit();
    for (int64_t i = 0; i < of_head.size(); ++i) {
      const int64_t t = i / width, j = i % width;
      to[i] = x.value().data()[(sequence * tokens + t) * x.dim(2) + head * width + j];
    }
    return of_head;
  };
  return {part(inputs.key), part(inputs.value), part(inputs.input_gate), part(inputs.log_forget)};
}

template <Real T>
void replay_memory(const HeadWrites<T>& writes, const std::function<void(int64_t t, const Array<T>& memory)>& look) {
  const int64_t tokens = writes.key.dim(0), width = writes.key.dim(1);
  Array<T> memory({width, width});
  T m = 0;
  for (int64_t t = 0; t < tokens; ++t) {
    const T decayed = writes.log_forget.data()[t] + m, input = writes.input_gate.data()[t];
    m = std::max(decayed, input);
    const T keep = std::exp(decayed - m), add = std::exp(input - m);
    const T *k = writes.key.data() + t * width, *v = writes.value.data() + t * width;
    T* c = memory.edit();
    for (int64_t i = 0; i < width; ++i) {
      for (int64_t j = 0; j < width; ++j) c[i * width + j] = keep * c[i * width + j] + add * k[i] * v[j];
    }
    look(t, memory);
  }
}

#define INSTANTIATE(T)                                                          \
  template HeadWrites<T> head_writes(const MemoryInputs<T>&, int64_t, int64_t); \
  template void replay_memory(const HeadWrites<T>&, const std::function<void(int64_t, const Array<T>&)>&);
INSTANTIATE(float)
INSTANTIATE(double)

}  // namespace orthoread
