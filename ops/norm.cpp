#include "ops/norm.h"

#include "core/parallel.h"
#include "ops/instantiate.h"
#include "ops/norm_rows.h"
#include "ops/reduce.h"

namespace orthoread {
namespace {

constexpr int64_t kRows = 256;  // feature vectors in one chunk of work

/// With r = 1 / sqrt(variance + eps), unit = (x - mean) r and g the cotangent of unit:
///   dx = r (g - mean(g) - unit mean(g unit)).
/// The two means take out what a shift and a scaling of x, which leave `unit` as it is, would have received.
template <Real T>
struct NormBackward {
  NormInputs<T> inputs;
  Array<T> moments;

  Grads<T> operator()(const Array<T>& dy, const Want&) const {
    const NormShape& shape = inputs.shape;
    const auto like_dy = [&](bool wanted) { return wanted ? Array<T>::uninitialized(dy.shape()) : Array<T>(); };
    Array<T> dx = like_dy(true), dc = like_dy(inputs.gated()), dz = like_dy(inputs.gated());
    Array<T> dweight({(shape.rows + kRows - 1) / kRows, shape.features}), dskip(dweight.shape());  // a row for a chunk
    T *dx_to = dx.edit(), *dc_to = dc.edit(), *dz_to = dz.edit(), *dweight_to = dweight.edit(),
      *dskip_to = dskip.edit();
    parallel_for(shape.rows, kRows, [&](int64_t row, int64_t end) {
      const int64_t at = row * shape.features, part = row / kRows * shape.features;
      const auto to =
          inputs.gated() ? NormGateGradients<T>{dskip_to + part, dc_to + at, dz_to + at} : NormGateGradients<T>{};
      row_kernels<T>().norm_backward(inputs.rows(end - row), inputs.row(row), inputs.weight.data(), inputs.gate(row),
                                     moments.data() + inputs.moments_at(row), dy.data() + at, dx_to + at,
                                     dweight_to + part, to, nullptr);
    });
    if (!inputs.gated()) return {dx, sum(dweight, {0})};
    return {dx, sum(dweight, {0}), sum(dskip, {0}), dc, dz};
  }
};

template <Real T>
Tensor<T> normalize(const char* op, const std::vector<Tensor<T>>& tensors, int64_t groups, double eps) {
  const NormInputs<T> inputs(op, tensors, tensors.size() > 2, groups);
  auto y = Array<T>::uninitialized(inputs.x.shape()), moments = inputs.new_moments();
  T *to = y.edit(), *moments_to = moments.edit();
  parallel_for(inputs.shape.rows, kRows, [&](int64_t row, int64_t end) {
    row_kernels<T>().norm(inputs.rows(end - row), number<T>(eps), inputs.row(row), inputs.weight.data(),
                          inputs.gate(row), to + row * inputs.shape.features, moments_to + inputs.moments_at(row));
  });
  return record<T>(op, y, tensors, NormBackward<T>{inputs, moments});
}

}  // namespace

template <Real T>
Tensor<T> group_norm(const Tensor<T>& x, const Tensor<T>& weight, int64_t groups, double eps) {
  return normalize<T>("group_norm", {x, weight}, groups, eps);
}

template <Real T>
Tensor<T> layer_norm(const Tensor<T>& x, const Tensor<T>& weight, double eps) {
  return normalize<T>("layer_norm", {x, weight}, 1, eps);
}

template <Real T>
Tensor<T> gated_norm(const Tensor<T>& x, const Tensor<T>& weight, int64_t groups, const Tensor<T>& skip,
                     const Tensor<T>& c, const Tensor<T>& z, double eps) {
  return normalize<T>("gated_norm", {x, weight, skip, c, z}, groups, eps);
}

#define INSTANTIATE(T)                                                                                           \
  template Tensor<T> group_norm(const Tensor<T>&, const Tensor<T>&, int64_t, double);                            \
  template Tensor<T> layer_norm(const Tensor<T>&, const Tensor<T>&, double);                                     \
  template Tensor<T> gated_norm(const Tensor<T>&, const Tensor<T>&, int64_t, const Tensor<T>&, const Tensor<T>&, \
                                const Tensor<T>&, double);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)

}  // namespace orthoread
