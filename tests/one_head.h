// One head on one sequence, computed in a given way (HeadPath), whichever is the fastest for its width.
#pragma once

#include "ops/memory/head.h"
#include "tests/fused_memory.h"

namespace orthoread {

/// The inputs of one head (1, S, d) and (1, S, 1), and a cotangent of h.
struct Sequence {
  Inputs<double> x;
  Array<double> dh;
  std::vector<uint8_t> mask = {};  // empty: all tokens are read
};

template <Real T>
struct Head {
  Head(const Sequence& s, const MemoryRead& read, int64_t width, HeadPath path)
      : inputs{cast<T>(s.x[query]),      cast<T>(s.x[key]),        cast<T>(s.x[value]),
               cast<T>(s.x[input_gate]), cast<T>(s.x[log_forget]), cast<T>(s.dh)},
        of(read),
        shape{s.dh.dim(1), width, width, 1, path},
        x{inputs[0].data(), inputs[1].data(), inputs[2].data(),
          inputs[3].data(), inputs[4].data(), s.mask.empty() ? nullptr : s.mask.data()} {}

  /// Room to compute in: filling it first would take longer than many of the heads.
  static Array<T> buffer(int64_t size) { return Array<T>::uninitialized({size}); }

  /// h and the gradients.
  std::vector<Array<T>> both_ways() const {
    std::vector<Array<T>> y;
    for (const int i : {0, 0, 1, 2, 3, 4}) y.emplace_back(inputs[static_cast<size_t>(i)].shape());
    Array<T> checkpoints = buffer(head_checkpoint_size<T>(of, shape)),
             forward = buffer(head_forward_scratch_size<T>(of, shape)),
             backward = buffer(head_backward_scratch_size<T>(of, shape));
    head_forward<T>(of, shape, x, {y[0].edit(), checkpoints.edit(), forward.edit()});
    head_backward<T>(of, shape, x,
                     {inputs[5].data(),
                      checkpoints.data(),
                      {y[1].edit(), y[2].edit(), y[3].edit(), y[4].edit(), y[5].edit()},
                      backward.edit()});
    return y;
  }

  /// h, `step` tokens at a time, after none at all.
  Array<T> streamed(int64_t step) const {
    Array<T> h(inputs[0].shape());
    HeadState<Wide<T>> state;
    HeadShape none = shape;
    none.tokens = 0;
    Array<T> room = buffer(head_forward_scratch_size<T>(of, none));
    head_stream<T>(of, none, x, h.edit(), state, room.edit());
    for (int64_t t = 0; t < shape.tokens; t += step) {
      HeadShape part = shape;
      part.tokens = std::min(step, shape.tokens - t);
      HeadInputs<T> rest = x;
      for (const T** rows : {&rest.q, &rest.k, &rest.v}) *rows += t * shape.width;
      for (const T** gates : {&rest.input_gate, &rest.log_forget}) *gates += t;
      if (rest.read_mask != nullptr) rest.read_mask += t;
      Array<T> scratch = buffer(head_forward_scratch_size<T>(of, part));
      head_stream<T>(of, part, rest, h.edit() + t * shape.width, state, scratch.edit());
    }
    return h;
  }

  std::vector<Array<T>> inputs;
  MemoryRead of;
  HeadShape shape;
  HeadInputs<T> x;
};

}  // namespace orthoread
