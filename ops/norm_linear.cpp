#include "ops/norm_linear.h"

#include "core/parallel.h"
#include "ops/instantiate.h"
#include "ops/norm_rows.h"
#include "ops/reduce.h"
#include "ops/row_products.h"

#include <numeric>

namespace orthoread {
namespace {

/// What is added to the product: nothing, a bias (O) for each row, or a residual of the output's shape.
enum class Addend { none, bias, residual };

/// y_j = n W_j^T, W_j being sizes[j] rows of the weight and n the normalised x: dn = sum_j dy_j W_j, dW_j = dy_j^T n.
/// n comes out of the normalisation's backward a second time.
template <Real T>
struct NormLinearBackward {
  NormInputs<T> inputs;
  Array<T> moments, weight;
  std::vector<int64_t> sizes;
  Addend addend;

  Grads<T> operator()(const std::vector<Array<T>>& dys, const Want&) const {
    const int64_t D = inputs.shape.features, rows = inputs.shape.rows, O = weight.dim(0);
    const auto like_x = [&](bool wanted) { return wanted ? Array<T>::uninitialized(inputs.x.shape()) : Array<T>(); };
    Array<T> dx = like_x(true), dc = like_x(inputs.gated()), dz = like_x(inputs.gated());
    auto dnorm = row_sums<T>(rows, {D}), dskip = row_sums<T>(rows, {D}), dweight = row_sums<T>(rows, {O, D});
    auto dbias = addend == Addend::bias ? row_sums<T>(rows, {O}) : Array<T>();
    T *dx_to = dx.edit(), *dc_to = dc.edit(), *dz_to = dz.edit(), *dnorm_to = dnorm.edit(), *dskip_to = dskip.edit(),
      *dweight_to = dweight.edit(), *dbias_to = dbias.edit();
    std::vector<Array<T>> by_output;
    for (int64_t j = 0, first = 0; j < count(); first += size(j++)) {
      by_output.push_back(factor(weight.data() + first * D, size(j), D));
    }
    parallel_for(rows, kSummedRows, [&](int64_t begin, int64_t end) {
      const int64_t part = begin / kSummedRows;
      auto normal = Array<T>::uninitialized({kCachedRows, D}), dnormal = Array<T>::uninitialized({kCachedRows, D}),
           padding = Array<T>::uninitialized({kCachedRows, padded(D)});
      for (int64_t row = begin; row < end; row += kCachedRows) {
        const int64_t n = std::min(kCachedRows, end - row), at = row * D;
        const auto dy = [&](int64_t j) { return dys[static_cast<size_t>(j)].data() + row * size(j); };
        bool add = false;
        for (int64_t j = 0; j < count(); ++j) {
          if (!used(dys, j)) continue;
          multiply_rows(n, D, dy(j), by_output[static_cast<size_t>(j)], add, dnormal.edit());
          add = true;
        }
        const auto gate_to =
            inputs.gated() ? NormGateGradients<T>{dskip_to + part * D, dc_to + at, dz_to + at} : NormGateGradients<T>{};
        row_kernels<T>().norm_backward(inputs.rows(n), inputs.row(row), inputs.weight.data(), inputs.gate(row),
                                       moments.data() + inputs.moments_at(row), dnormal.data(), dx_to + at,
                                       dnorm_to + part * D, gate_to, normal.edit());
        T* dweight_part = dweight_to + part * O * D;
        for (int64_t j = 0; j < count(); dweight_part += size(j++) * D) {
          if (used(dys, j))
            multiply_transposed(n, size(j), D, dy(j), normal.data(), padding.edit(), true, dweight_part);
        }
        if (dbias_to) add_rows(n, O, dy(0), dbias_to + part * O);
      }
    });
    Grads<T> grads = {dx, sum(dnorm, {0})};
    if (inputs.gated()) grads.insert(grads.end(), {sum(dskip, {0}), dc, dz});
    grads.push_back(sum(dweight, {0}));
    if (addend == Addend::bias) grads.push_back(sum(dbias, {0}));
    if (addend == Addend::residual) grads.push_back(dys[0]);
    return grads;
  }

  int64_t count() const { return static_cast<int64_t>(sizes.size()); }
  int64_t size(int64_t j) const { return sizes[static_cast<size_t>(j)]; }
  static bool used(const std::vector<Array<T>>& dys, int64_t j) { return dys[static_cast<size_t>(j)].defined(); }
};

/// tensors: the inputs of the normalisation, the weight and, unless there is none, the addend.
template <Real T>
std::vector<Tensor<T>> norm_linear(const char* op, const std::vector<Tensor<T>>& tensors, bool gated, int64_t groups,
                                   const std::vector<int64_t>& sizes, Addend addend, double eps) {
  const NormInputs<T> inputs(op, tensors, gated, groups);
  const Array<T>& weight = tensors[gated ? 5 : 2].value();
  const int64_t D = inputs.shape.features;
  check_shape(weight.rank() == 2 && weight.dim(1) == D && weight.size() > 0,
              "{}: x must be (..., D) and weight (O, D) with O, D >= 1: x is {}, weight is {}", op, inputs.x.shape(),
              weight.shape());
  const bool adds_up = std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size > 0; }) &&
                       std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) == weight.dim(0);
  check_shape(adds_up, "{}: the sizes {} must be positive and add up to the rows of the weight {}", op, sizes,
              weight.shape());
  std::vector<Array<T>> ys, by_input;
  std::vector<T*> to;
  const T* rows_of_weight = weight.data();
  for (const int64_t size : sizes) {
    by_input.push_back(transposed_factor(rows_of_weight, size, D));
    rows_of_weight += size * D;
    Shape shape = inputs.x.shape();
    shape.back() = size;
    ys.push_back(Array<T>::uninitialized(shape));
  }
  for (Array<T>& y : ys) to.push_back(y.edit());
  const Array<T> added = addend == Addend::none ? Array<T>() : tensors.back().value();
  check_shape(addend == Addend::none || added.shape() == (addend == Addend::bias ? Shape{sizes[0]} : ys[0].shape()),
              "{}: what is added must be (O) or (..., O): weight is {}, it is {}", op, weight.shape(), added.shape());
  auto moments = inputs.new_moments();
  T* moments_to = moments.edit();
  parallel_for(inputs.shape.rows, kCachedRows, [&](int64_t row, int64_t end) {
    const int64_t n = end - row;
    auto normal = Array<T>::uninitialized({n, D});
    row_kernels<T>().norm(inputs.rows(n), number<T>(eps), inputs.row(row), inputs.weight.data(), inputs.gate(row),
                          normal.edit(), moments_to + inputs.moments_at(row));
    for (size_t j = 0; j < sizes.size(); ++j) {
      T* y = to[j] + row * sizes[j];
      if (addend == Addend::bias) repeat_row(n, sizes[j], added.data(), y);
      if (addend == Addend::residual) std::copy_n(added.data() + row * sizes[j], n * sizes[j], y);
      multiply_rows(n, sizes[j], normal.data(), by_input[j], addend != Addend::none, y);
    }
  });
  return record_many<T>(op, std::move(ys), tensors, NormLinearBackward<T>{inputs, moments, weight, sizes, addend});
}

template <Real T>
int64_t outputs(const Tensor<T>& weight) {
  return weight.value().rank() == 2 ? weight.dim(0) : 0;  // 0: the op will say what does not fit
}

}  // namespace

template <Real T>
Tensor<T> norm_linear(const Tensor<T>& x, const Tensor<T>& norm, const Tensor<T>& weight, const Tensor<T>& bias,
                      double eps) {
  return norm_linear<T>("norm_linear", {x, norm, weight, bias}, false, 1, {outputs(weight)}, Addend::bias, eps)[0];
}

template <Real T>
std::vector<Tensor<T>> norm_linear_split(const Tensor<T>& x, const Tensor<T>& norm, const Tensor<T>& weight,
                                         const std::vector<int64_t>& sizes, double eps) {
  return norm_linear<T>("norm_linear_split", {x, norm, weight}, false, 1, sizes, Addend::none, eps);
}

template <Real T>
Tensor<T> gated_norm_linear(const Tensor<T>& x, const Tensor<T>& norm, int64_t groups, const Tensor<T>& skip,
                            const Tensor<T>& c, const Tensor<T>& z, const Tensor<T>& weight, const Tensor<T>& residual,
                            double eps) {
  return norm_linear<T>("gated_norm_linear", {x, norm, skip, c, z, weight, residual}, true, groups, {outputs(weight)},
                        Addend::residual, eps)[0];
}

#define INSTANTIATE(T)                                                                                            \
  template Tensor<T> norm_linear(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, double); \
  template std::vector<Tensor<T>> norm_linear_split(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&,         \
                                                    const std::vector<int64_t>&, double);                         \
  template Tensor<T> gated_norm_linear(const Tensor<T>&, const Tensor<T>&, int64_t, const Tensor<T>&,             \
                                       const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>&,    \
                                       double);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)

}  // namespace orthoread
