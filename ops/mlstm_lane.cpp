#include "ops/mlstm_lane.h"

#include "ops/instantiate.h"
#include "ops/lane/plan.h"
#include "ops/lane/widen.h"
#include "ops/read_series.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>

namespace orthoread {

namespace {

/// The series of one number of steps in the precision of T.
template <Real T>
struct Ladder {
  std::vector<std::vector<T>> coefficients, tails;
  std::vector<LaneSeries<T>> rungs;
  int most_terms = 1;
};

template <Real T>
constexpr double kPrecision = static_cast<double>(std::numeric_limits<Precision<T>>::epsilon()) / 2;

template <Real T>
const Ladder<T>& ladder(int steps) {
  static std::mutex mutex;
  static std::map<int, Ladder<T>> made;
  const std::lock_guard lock(mutex);
  const auto [at, fresh] = made.try_emplace(steps);
  Ladder<T>& l = at->second;
  if (fresh) {
    for (const ReadSeries& series : read_series(steps, kPrecision<T>)) {
      std::vector<T>& c = l.coefficients.emplace_back();
      for (const double x : series.coefficients) c.push_back(static_cast<T>(x));
      std::vector<double> sums = series.coefficients;
      for (size_t j = sums.size(); j-- > 2;) sums[j - 2] += sums[j];
      std::vector<T>& t = l.tails.emplace_back();
      for (const double x : sums) t.push_back(static_cast<T>(2 * x));
      t.push_back(T(0));
      l.rungs.push_back({static_cast<T>(series.beta), static_cast<int>(c.size()), nullptr, nullptr});
      l.most_terms = std::max(l.most_terms, l.rungs.back().terms);
    }
    for (size_t i = 0; i < l.rungs.size(); ++i) {
      l.rungs[i].coefficients = l.coefficients[i].data();
      l.rungs[i].tails = l.tails[i].data();
    }
  }
  return l;
}

template <Real T>
LanePlan<T> plan(const MemoryRead& read) {
  const Ladder<T>& l = ladder<T>(read.steps);
  return {.orthogonalized = read.orthogonalized,
          .gram = read.orthogonalized && read.steps > 0,
          .steps = read.steps,
          .alpha = static_cast<T>(read.alpha),
          .precision = kPrecision<T>,
          .rungs = static_cast<int>(l.rungs.size()),
          .rungs_per_log = 1 / std::log(kLadderStep),
          .ladder = l.rungs.data()};
}

}  // namespace

template <Real T>
int64_t lane_checkpoint_size(const MemoryRead& read, const LaneShape& shape) {
  if (computed_in_double<T>(read)) return floats_for(lane_checkpoint_size<double>(read, shape));
  return lane_kernels<T>().checkpoint_size(read.orthogonalized, shape.width, shape.tokens);
}
template <Real T>
int64_t lane_forward_scratch_size(const MemoryRead& read, const LaneShape& shape) {
  if (computed_in_double<T>(read))
    return floats_for(WideLane::size(shape) + lane_forward_scratch_size<double>(read, shape) +
                      lane_kernels<double>().state_size(shape.width));
  return lane_kernels<T>().forward_scratch_size(shape.width, ladder<T>(read.steps).most_terms);
}
template <Real T>
int64_t lane_backward_scratch_size(const MemoryRead& read, const LaneShape& shape) {
  if (computed_in_double<T>(read))
    return floats_for(WideLane::size(shape) + lane_backward_scratch_size<double>(read, shape));
  return lane_kernels<T>().backward_scratch_size(shape.width, ladder<T>(read.steps).most_terms);
}

template <Real T>
void lane_forward(const MemoryRead& read, const LaneShape& shape, const LaneInputs<T>& x, T* h, T* checkpoints,
                  T* scratch) {
  if constexpr (std::same_as<T, float>)
    if (computed_in_double<T>(read)) {
      WideLane wide(shape, x, doubles_in(scratch));
      double* wide_h = wide.rows();
      lane_forward(read, wide.shape(), wide.inputs(), wide_h, checkpoints ? doubles_in(checkpoints) : nullptr,
                   wide.rest());
      return wide.give_rows(wide_h, h);
    }
  lane_kernels<T>().forward(plan<T>(read), shape, x, h, checkpoints, scratch);
}

template <Real T>
void lane_backward(const MemoryRead& read, const LaneShape& shape, const LaneInputs<T>& x, const T* dh,
                   const T* checkpoints, const LaneGradients<T>& dx, T* scratch) {
  if constexpr (std::same_as<T, float>)
    if (computed_in_double<T>(read)) {
      WideLane wide(shape, x, doubles_in(scratch));
      const double* wide_dh = wide.rows(dh);
      const LaneGradients<double> g{wide.rows(), wide.rows(), wide.rows(), wide.gates(), wide.gates()};
      lane_backward(read, wide.shape(), wide.inputs(), wide_dh, doubles_in(const_cast<float*>(checkpoints)), g,
                    wide.rest());
      wide.give_rows(g.q, dx.q);
      wide.give_rows(g.k, dx.k);
      wide.give_rows(g.v, dx.v);
      wide.give_gates(g.input_gate, dx.input_gate);
      return wide.give_gates(g.log_forget, dx.log_forget);
    }
  lane_kernels<T>().backward(plan<T>(read), shape, x, dh, checkpoints, dx, scratch);
}

template <Real T>
SeriesTerms lane_series_terms(const MemoryRead& read, const LaneShape& shape, const T* checkpoints) {
  if constexpr (std::same_as<T, float>)
    if (computed_in_double<T>(read))
      return lane_series_terms(read, shape, static_cast<const double*>(doubles_in(const_cast<float*>(checkpoints))));
  if (!read.orthogonalized) return {};
  const auto total = static_cast<double>(lane_kernels<T>().series_terms(plan<T>(read), shape, checkpoints));
  return {total / static_cast<double>(shape.tokens), static_cast<double>(ladder<T>(read.steps).most_terms)};
}

template <Real T>
void lane_stream(const MemoryRead& read, const LaneShape& shape, const LaneInputs<T>& x, T* h, LaneState<T>& state,
                 T* scratch) {
  if constexpr (std::same_as<T, float>)
    if (computed_in_double<T>(read)) {
      const int64_t size = lane_kernels<double>().state_size(shape.width);
      const size_t bytes = static_cast<size_t>(size) * sizeof(double);
      state.numbers.resize(static_cast<size_t>(2 * size));
      WideLane wide(shape, x, doubles_in(scratch));
      double *wide_h = wide.rows(), *numbers = wide.rest();
      std::memcpy(numbers, state.numbers.data(), bytes);
      lane_kernels<double>().stream(plan<double>(read), wide.shape(), wide.inputs(), wide_h, numbers, state.position,
                                    numbers + size);
      std::memcpy(state.numbers.data(), numbers, bytes);
      wide.give_rows(wide_h, h);
      state.position += shape.tokens;
      return;
    }
  state.numbers.resize(static_cast<size_t>(lane_kernels<T>().state_size(shape.width)));
  lane_kernels<T>().stream(plan<T>(read), shape, x, h, state.numbers.data(), state.position, scratch);
  state.position += shape.tokens;
}

#define INSTANTIATE(T)                                                                                       \
  template int64_t lane_checkpoint_size<T>(const MemoryRead&, const LaneShape&);                             \
  template int64_t lane_forward_scratch_size<T>(const MemoryRead&, const LaneShape&);                        \
  template int64_t lane_backward_scratch_size<T>(const MemoryRead&, const LaneShape&);                       \
  template void lane_forward(const MemoryRead&, const LaneShape&, const LaneInputs<T>&, T*, T*, T*);         \
  template void lane_backward(const MemoryRead&, const LaneShape&, const LaneInputs<T>&, const T*, const T*, \
                              const LaneGradients<T>&, T*);                                                  \
  template SeriesTerms lane_series_terms(const MemoryRead&, const LaneShape&, const T*);                     \
  template void lane_stream(const MemoryRead&, const LaneShape&, const LaneInputs<T>&, T*, LaneState<T>&, T*);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)

}  // namespace orthoread
