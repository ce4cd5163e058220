// The kernels of one head, for one instruction set and kind of number.
#include "ops/memory/block_backward.h"
#include "ops/memory/narrow_backward.h"

namespace orthoread::ORTHOREAD_ISA {

/// The widest heads that are computed token by token: wider ones take no longer in blocks. kWidestRaw is for both
/// passes of the raw read, kWidestForward for both of ns0, kWidestBackward for reads that need C^T C.
inline constexpr int64_t kWidestRaw = 64, kWidestForward = 96, kWidestBackward = 144;

/// body(Width), with the width known to the compiler where models use it, up to `widest`. (Every width takes seconds to
/// compile. double, for checks and ablations, has only that of the published model.)
template <typename T, int64_t widest, class Body>
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
        if constexpr (widest >= 128) return body(Width<128>{});
        break;
      default:
        break;
    }
  } else if constexpr (Pack<T>::lanes > 1) {
    if (width == 48) return body(Width<48>{});
  }
  return body(Width<0>{padded_width<T>(width)});
}

template <typename T>
HeadPath path_of(const ReadPlan<T>& plan, const HeadShape& shape, For pass) {
  if (shape.path != HeadPath::by_width) return shape.path;
  const int64_t widest = !plan.orthogonalized                 ? kWidestRaw
                         : plan.gram && pass == For::backward ? kWidestBackward
                                                              : kWidestForward;
  if (shape.width > widest) return HeadPath::blocks;
  return Pack<T>::lanes > 1 && shape.width <= widest_narrow(plan) ? HeadPath::lanes : HeadPath::tokens;
}

static_assert(kChunkTokens % kBlockTokens == 0);  // a forward in blocks keeps its bases for a backward token by token

/// What the forward of a head that is not computed in lanes leaves in `numbers`, as its backward needs it.
template <typename T, typename N>
Checkpoints<N> checkpoints_of(const ReadPlan<T>& plan, const HeadShape& shape, N* numbers) {
  const int d = padded_width<T>(shape.width);
  const int chunk = path_of(plan, shape, For::backward) == HeadPath::blocks ? kBlockChunk : kChunkTokens;
  return {d, chunk, shape, plan.orthogonalized, numbers};
}

/// How many numbers a Layout for this way of computing a head takes.
template <For pass, template <typename> class Narrow, template <typename> class Blocks,
          template <typename> class Tokens, typename T>
int64_t scratch_size(const ReadPlan<T>& plan, const HeadShape& shape) {
  const int d = padded_width<T>(shape.width);
  switch (path_of(plan, shape, pass)) {
    case HeadPath::lanes:
      return measure<Narrow<T>>(Scratch<T>(), shape.width, plan);
    case HeadPath::blocks:
      return measure<Blocks<T>>(Scratch<T>(), d, plan);
    default:
      return measure<Tokens<T>>(Scratch<T>(), d, plan);
  }
}

}  // namespace orthoread::ORTHOREAD_ISA

namespace orthoread {

template <>
const HeadKernels<ORTHOREAD_NUMBER>& kernels_of<HeadKernels<ORTHOREAD_NUMBER>, InstructionSet::ORTHOREAD_ISA>() {
  using namespace ORTHOREAD_ISA;
  using T = ORTHOREAD_NUMBER;
  using Plan = ReadPlan<T>;
  static constexpr HeadKernels<T> kernels = {
      .checkpoint_size =
          [](const Plan& plan, const HeadShape& shape) {
            if (path_of(plan, shape, For::forward) == HeadPath::lanes) return narrow_checkpoint_size<T>(shape);
            return checkpoints_of<T, T>(plan, shape, nullptr).size();
          },
      .forward_scratch_size = scratch_size<For::forward, NarrowForwardRoom, BlockForwardRoom, ForwardRoom, T>,
      .backward_scratch_size = scratch_size<For::backward, NarrowBackwardRoom, BlockBackwardRoom, BackwardRoom, T>,
      .state_size =
          [](const Plan& plan, const HeadShape& shape) {
            using N = Wide<T>;
            const int d = padded_width<T>(shape.width);
            switch (path_of(plan, shape, For::forward)) {
              case HeadPath::lanes:
                return measure<NarrowState<N>>(Scratch<N>::packed(), shape.width);
              case HeadPath::blocks:
                return measure<SavedBlock<N>>(Scratch<N>::packed(), d, plan.gram);
              default:
                return measure<SavedState<N>>(Scratch<N>::packed(), d, plan.orthogonalized);
            }
          },
      .forward =
          [](const Plan& plan, const HeadShape& shape, const HeadInputs<T>& x, const ForwardBuffers<T>& to) {
            const HeadPath path = path_of(plan, shape, For::forward);
            if (path == HeadPath::lanes) return narrow_forward(plan, shape, x, to);
            const Checkpoints<T> checkpoints = checkpoints_of(plan, shape, to.checkpoints);
            if (path == HeadPath::blocks)
              return block_forward(padded_width<T>(shape.width), plan, shape, x, to, checkpoints);
            with_width<T, kWidestForward>(shape.width,
                                          [&](auto width) { forward(width, plan, shape, x, to, checkpoints); });
          },
      .backward =
          [](const Plan& plan, const HeadShape& shape, const HeadInputs<T>& x, const BackwardBuffers<T>& buffers) {
            const HeadPath path = path_of(plan, shape, For::backward);
            if (path == HeadPath::lanes) return narrow_backward(plan, shape, x, buffers);
            if (path == HeadPath::blocks) return block_backward(padded_width<T>(shape.width), plan, shape, x, buffers);
            with_width<T, kWidestBackward>(shape.width, [&](auto width) { backward(width, plan, shape, x, buffers); });
          },
      .series_terms =
          [](const Plan& plan, const HeadShape& shape, const T* checkpoints) {
            if (path_of(plan, shape, For::forward) == HeadPath::lanes) return int64_t{0};
            return series_terms<T>(plan, shape, checkpoints_of(plan, shape, checkpoints));
          },
      .stream =
          [](const Plan& plan, const HeadShape& shape, const HeadInputs<T>& x, const StreamBuffers<T>& to) {
            const HeadPath path = path_of(plan, shape, For::forward);
            if (path == HeadPath::lanes) return narrow_stream(plan, shape, x, to);
            if (path == HeadPath::blocks) return block_stream(padded_width<T>(shape.width), plan, shape, x, to);
            with_width<T, kWidestForward>(shape.width, [&](auto width) { stream(width, plan, shape, x, to); });
          },
  };
  return kernels;
}

}  // namespace orthoread
