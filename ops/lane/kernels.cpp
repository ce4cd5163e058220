// The kernels of a lane, for one instruction set.
#include "ops/lane/backward.h"

namespace orthoread::ORTHOREAD_ISA {

/// body(Width), with the width known to the compiler where it is one that models use. (Every width takes seconds to
/// compile; double, which serves checks and ablations, has that of the published model.)
template <typename T, class Body>
auto with_width(int64_t width, const Body& body) {
  if constexpr (sizeof(T) == sizeof(float)) {
    switch (width) {
      case 16:
        return body(Width<16>{});
      case 32:
        return body(Width<32>{});
      case 48:
        return body(Width<48>{});
      case 64:
        return body(Width<64>{});
      case 96:
        return body(Width<96>{});
      case 128:
        return body(Width<128>{});
      default:
        break;
    }
  } else if constexpr (Pack<T>::lanes > 1) {
    if (width == 48) return body(Width<48>{});
  }
  return body(Width<0>{padded_width<T>(width)});
}

}  // namespace orthoread::ORTHOREAD_ISA

namespace orthoread {

template <>
const LaneKernels<ORTHOREAD_NUMBER>& kernels_of<LaneKernels<ORTHOREAD_NUMBER>, InstructionSet::ORTHOREAD_ISA>() {
  using namespace ORTHOREAD_ISA;
  using T = ORTHOREAD_NUMBER;
  static constexpr LaneKernels<T> kernels = {
      .checkpoint_size =
          [](bool orthogonalized, int64_t width, int64_t tokens) {
            const int d = padded_width<T>(width), chunk = chunk_tokens(d);
            return (tokens + chunk - 1) / chunk * checkpoint_numbers(d) +
                   (orthogonalized ? tokens * leading_numbers(d) : 0);
          },
      .forward_scratch_size = [](int64_t width,
                                 int terms) { return forward_scratch<T>(padded_width<T>(width), terms); },
      .backward_scratch_size = [](int64_t width,
                                  int terms) { return backward_scratch<T>(padded_width<T>(width), terms); },
      .state_size = [](int64_t width) { return state_numbers(padded_width<T>(width)); },
      .forward =
          [](const LanePlan<T>& plan, const LaneShape& shape, const LaneInputs<T>& x, T* h, T* checkpoints,
             T* scratch) {
            with_width<T>(shape.width, [&](auto width) { forward(width, plan, shape, x, h, checkpoints, scratch); });
          },
      .backward =
          [](const LanePlan<T>& plan, const LaneShape& shape, const LaneInputs<T>& x, const T* dh, const T* checkpoints,
             const LaneGradients<T>& dx, T* scratch) {
            with_width<T>(shape.width,
                          [&](auto width) { backward(width, plan, shape, x, dh, checkpoints, dx, scratch); });
          },
      .series_terms =
          [](const LanePlan<T>& plan, const LaneShape& shape, const T* checkpoints) {
            return series_terms(padded_width<T>(shape.width), plan, shape, checkpoints);
          },
      .stream =
          [](const LanePlan<T>& plan, const LaneShape& shape, const LaneInputs<T>& x, T* h, T* state, int64_t position,
             T* scratch) {
            with_width<T>(shape.width, [&](auto width) { stream(width, plan, shape, x, h, state, position, scratch); });
          },
  };
  return kernels;
}

}  // namespace orthoread
