#include "ops/norm.h"

#include "core/parallel.h"
#include "ops/instantiate.h"
#include "ops/reduce.h"
#include "ops/rows/norm.h"

namespace orthoread {
namespace {

constexpr int64_t kNormRows = 256;  // feature vectors in one chunk of work

template <Real T>
struct NormBackward {
  RowNorm<T> norm;
  Array<T> statistics;

  Grads<T> operator()(const Array<T>& dy, const Want&) const {
    RowNormBackward<T> stage(norm, statistics, kNormRows);
    parallel_for(norm.rows(), kNormRows,
                 [&](int64_t row, int64_t end) { stage(row, end - row, dy.data() + row * norm.features(), nullptr); });
    Grads<T> grads = {stage.dx, sum(stage.dweight_sums(), {0})};
    if (norm.gated()) grads.insert(grads.end(), {sum(stage.dskip_sums(), {0}), stage.dc, stage.dz});
    return grads;
  }
};

template <Real T>
Tensor<T> normalize(const char* op, const std::vector<Tensor<T>>& inputs, const RowNorm<T>& norm, double eps) {
  auto y = Array<T>::uninitialized(norm.shape()), statistics = norm.new_statistics();
  T *to = y.edit(), *statistics_to = statistics.edit();
  parallel_for(norm.rows(), kNormRows, [&](int64_t row, int64_t end) {
    norm.forward(row, end - row, eps, to + row * norm.features(), statistics_to);
  });
  return record<T>(op, y, inputs, NormBackward<T>{norm, statistics});
}

}  // namespace

template <Real T>
Tensor<T> group_norm(const Tensor<T>& x, const Tensor<T>& weight, int64_t groups, double eps) {
  return normalize<T>("group_norm", {x, weight}, {"group_norm", x.value(), weight.value(), groups}, eps);
}

template <Real T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& weight, double eps) {
  return normalize<T>("layer_norm", {x, weight}, {"layer_norm", x.value(), weight.value(), 1}, eps);
}

template <Real T>
Tensor<T> gated_norm(const Tensor<T>& x, const Tensor<T>& weight, int64_t groups, const Tensor<T>& skip,
                     const Tensor<T>& c, const Tensor<T>& z, double eps) {
  const RowNorm<T> norm("gated_norm", x.value(), weight.value(), groups, skip.value(), c.value(), z.value());
  return normalize<T>("gated_norm", {x, weight, skip, c, z}, norm, eps);
}

#define INSTANTIATE(T)                                                                                           \
  template Tensor<T> group_norm(const Tensor<T>&, const Tensor<T>&, int64_t, double);                            \
  template Tensor<T> layer_norm(const Tensor<T>&, const Tensor<T>&, double);                                     \
  template Tensor<T> gated_norm(const Tensor<T>&, const Tensor<T>&, int64_t, const Tensor<T>&, const Tensor<T>&, \
                                const Tensor<T>&, double);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
