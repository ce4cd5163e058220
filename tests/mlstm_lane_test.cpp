// The kernels of a lane stay inside the buffers that they ask for, on every instruction set. The address sanitizer
// watches the baseline's alone; this test needs none.
#include "ops/mlstm_lane.h"

#include "ops/lane/plan.h"
#include "ops/read_series.h"
#include "tests/support.h"

using namespace orthoread;

namespace {

/// `count` numbers, `shift` of them past an aligned address, between canaries: NaN before, behind and at first also
/// inside, so that a kernel that reads what it was not given, or what it has not written, gives a NaN.
template <Real T>
class Guarded {
 public:
  Guarded(int64_t count, int64_t shift) : at_(kMargin + shift), numbers_({at_ + count + kMargin}), count_(count) {
    for (int64_t i = 0; i < numbers_.size(); ++i) numbers_.edit()[i] = T(kNaN);
  }
  static Guarded input(int64_t count, int64_t shift, double low, double high) {
    Guarded x(count, shift);
    const Array<double> drawn = uniform_array({count}, static_cast<uint64_t>(count), low, high);
    for (int64_t i = 0; i < count; ++i) x.data()[i] = number<T>(drawn.data()[i]);
    return x;
  }
  T* data() { return numbers_.edit() + at_; }

  bool untouched_outside() {
    for (int64_t i = 0; i < numbers_.size(); ++i)
      if ((i < at_ || i >= at_ + count_) && !std::isnan(value_of(numbers_.data()[i]))) return false;
    return true;
  }
  bool finite_inside() {
    return std::all_of(data(), data() + count_, [](T x) { return std::isfinite(value_of(x)); });
  }

 private:
  static constexpr int64_t kMargin = 64;  // a row of the widest registers, several times
  int64_t at_;
  Array<T> numbers_;
  int64_t count_;
};

template <Real T>
void run_between_canaries(const MemoryRead& read, int64_t d, int64_t S, int64_t shift) {
  CAPTURE(name(instruction_set()));
  CAPTURE(read.name());
  CAPTURE(d);
  CAPTURE(S);
  CAPTURE(shift);
  const LaneShape shape{S, d, d, 1};
  const auto features = [&] { return Guarded<T>::input(S * d, shift, -1, 1); };
  const auto empty = [&](int64_t count) { return Guarded<T>(count, shift); };
  Guarded<T> q = features(), k = features(), v = features(), dh = features();
  Guarded<T> input_gate = Guarded<T>::input(S, shift, -1, 1), log_forget = Guarded<T>::input(S, shift, -1, 0);
  Guarded<T> h = empty(S * d), dq = h, dk = h, dv = h, d_input_gate = empty(S), d_log_forget = d_input_gate;
  Guarded<T> checkpoints = empty(lane_checkpoint_size<T>(read, shape));
  Guarded<T> forward_scratch = empty(lane_forward_scratch_size<T>(read, shape));
  Guarded<T> backward_scratch = empty(lane_backward_scratch_size<T>(read, shape)), stream_scratch = forward_scratch;

  const LaneInputs<T> x{q.data(), k.data(), v.data(), input_gate.data(), log_forget.data()};
  lane_forward<T>(read, shape, x, h.data(), checkpoints.data(), forward_scratch.data());
  lane_backward<T>(read, shape, x, dh.data(), checkpoints.data(),
                   {dq.data(), dk.data(), dv.data(), d_input_gate.data(), d_log_forget.data()},
                   backward_scratch.data());
  for (Guarded<T>* written : {&h, &dq, &dk, &dv, &d_input_gate, &d_log_forget}) CHECK(written->finite_inside());

  Guarded<T> streamed = empty(S * d);
  LaneState<T> state;
  lane_stream<T>(read, shape, x, streamed.data(), state, stream_scratch.data());
  CHECK(streamed.finite_inside());
  for (Guarded<T>* buffer : {&h, &dq, &dk, &dv, &d_input_gate, &d_log_forget, &checkpoints, &forward_scratch,
                             &backward_scratch, &stream_scratch, &streamed})
    CHECK(buffer->untouched_outside());
}

}  // namespace

TEST_CASE("mlstm_lane: the kernels stay inside their buffers") {
  const InstructionSet before = instruction_set();
  for (const InstructionSet set : {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512}) {
    if (!supported(set)) continue;
    set_instruction_set(set);
    for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(0), MemoryRead::ns(5, 0.5), MemoryRead::ns(8)}) {
      for (const int64_t d : {1, 5, 16, 17, 32, 48, 64, 96, 128, 130}) {
        const int64_t S = d > 64 ? 17 : 33;  // a chunk and one token
        for (const int64_t shift : {0, 1, 2}) {
          if (d > 64 && shift != 1) continue;  // takes long
          run_between_canaries<float>(read, d, S, shift);
          run_between_canaries<double>(read, d, S, shift);
        }
        if (d < 20 && set == InstructionSet::baseline) run_between_canaries<Dual>(read, d, S, 1);
      }
    }
  }
  set_instruction_set(before);
}

TEST_CASE("mlstm_lane: no series is longer than the room that a kernel has for one") {
  for (int steps = 0; steps <= kMostReadSteps; ++steps) {
    for (const double precision : {0x1p-24, 0x1p-53}) {
      for (const ReadSeries& series : read_series(steps, precision))
        CHECK(series.coefficients.size() <= kMostSeriesTerms);
    }
  }
}

TEST_CASE("mlstm_lane: instruction sets") {
  const InstructionSet before = instruction_set();
  CHECK(supported(InstructionSet::baseline));
  CHECK(supported(before));
  for (const InstructionSet set : {InstructionSet::baseline, InstructionSet::avx2, InstructionSet::avx512}) {
    set_instruction_set(set);
    CHECK(instruction_set() == (supported(set) ? set : InstructionSet::baseline));
  }
  set_instruction_set(before);
}
