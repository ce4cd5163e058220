#include "ops/memory/head.h"

#include "ops/instantiate.h"
#include "ops/memory/read_series.h"
#include "ops/memory/table.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <mutex>

namespace orthoread {
namespace {

/// The series of one number of steps, a view for each interval, in the precision of T.
template <Real T>
struct SeriesTable {
  std::vector<std::vector<T>> coefficients, tails;
  std::vector<SeriesView<T>> views;
  int most_terms = 1;
};

template <Real T>
constexpr double kPrecision = static_cast<double>(std::numeric_limits<Precision<T>>::epsilon()) / 2;

template <Real T>
const SeriesTable<T>& series_table(int steps) {
  static std::mutex mutex;
  static std::map<int, SeriesTable<T>> made;
  const std::lock_guard lock(mutex);
  const auto [at, fresh] = made.try_emplace(steps);
  SeriesTable<T>& table = at->second;
  if (!fresh) return table;
  for (const ReadSeries& series : read_series(steps, kPrecision<T>)) {
    std::vector<T>& c = table.coefficients.emplace_back();
    for (const double x : series.coefficients) c.push_back(static_cast<T>(x));
    std::vector<double> sums = series.coefficients;
    for (size_t j = sums.size(); j-- > 2;) sums[j - 2] += sums[j];
    std::vector<T>& tails = table.tails.emplace_back();
    for (const double x : sums) tails.push_back(static_cast<T>(2 * x));
    tails.push_back(T(0));
    const int terms = static_cast<int>(c.size());
    table.views.push_back({static_cast<T>(series.beta), terms, c.data(), tails.data()});
    table.most_terms = std::max(table.most_terms, terms);
  }
  return table;
}

template <Real T>
ReadPlan<T> plan(const MemoryRead& read) {
  const SeriesTable<T>& table = series_table<T>(read.steps);
  return {.orthogonalized = read.orthogonalized,
          .gram = read.orthogonalized && read.steps > 0,
          .steps = read.steps,
          .alpha = static_cast<T>(read.alpha),
          .precision = kPrecision<T>,
          .intervals = static_cast<int>(table.views.size()),
          .intervals_per_log = 1 / std::log(kIntervalRatio),
          .series = table.views.data(),
          .most_terms = table.most_terms};
}

}  // namespace

template <Real T>
int64_t head_checkpoint_size(const MemoryRead& read, const HeadShape& shape) {
  return head_kernels<T>().checkpoint_size(plan<T>(read), shape);
}
template <Real T>
int64_t head_forward_scratch_size(const MemoryRead& read, const HeadShape& shape) {
  return head_kernels<T>().forward_scratch_size(plan<T>(read), shape);
}
template <Real T>
int64_t head_backward_scratch_size(const MemoryRead& read, const HeadShape& shape) {
  return head_kernels<T>().backward_scratch_size(plan<T>(read), shape);
}

template <Real T>
void head_forward(const MemoryRead& read, const HeadShape& shape, const HeadInputs<T>& x, const ForwardBuffers<T>& to) {
  head_kernels<T>().forward(plan<T>(read), shape, x, to);
}

template <Real T>
void head_backward(const MemoryRead& read, const HeadShape& shape, const HeadInputs<T>& x,
                   const BackwardBuffers<T>& buffers) {
  head_kernels<T>().backward(plan<T>(read), shape, x, buffers);
}

template <Real T>
SeriesTerms head_series_terms(const MemoryRead& read, const HeadShape& shape, const T* checkpoints) {
  if (!read.orthogonalized) return {};
  const ReadPlan<T> of = plan<T>(read);
  const auto total = static_cast<double>(head_kernels<T>().series_terms(of, shape, checkpoints));
  if (total == 0) return {};
  return {total / static_cast<double>(shape.tokens), static_cast<double>(of.most_terms)};
}

template <Real T>
void head_stream(const MemoryRead& read, const HeadShape& shape, const HeadInputs<T>& x, T* h,
                 HeadState<Wide<T>>& state, T* scratch) {
  const ReadPlan<T> of = plan<T>(read);
  state.numbers.resize(static_cast<size_t>(head_kernels<T>().state_size(of, shape)));
  head_kernels<T>().stream(of, shape, x,
                           {.h = h, .state = state.numbers.data(), .position = state.position, .scratch = scratch});
  state.position += shape.tokens;
}

#define INSTANTIATE(T)                                                                                               \
  template int64_t head_checkpoint_size<T>(const MemoryRead&, const HeadShape&);                                     \
  template int64_t head_forward_scratch_size<T>(const MemoryRead&, const HeadShape&);                                \
  template int64_t head_backward_scratch_size<T>(const MemoryRead&, const HeadShape&);                               \
  template void head_forward(const MemoryRead&, const HeadShape&, const HeadInputs<T>&, const ForwardBuffers<T>&);   \
  template void head_backward(const MemoryRead&, const HeadShape&, const HeadInputs<T>&, const BackwardBuffers<T>&); \
  template SeriesTerms head_series_terms(const MemoryRead&, const HeadShape&, const T*);                             \
  template void head_stream<T>(const MemoryRead&, const HeadShape&, const HeadInputs<T>&, T*, HeadState<Wide<T>>&, T*);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
