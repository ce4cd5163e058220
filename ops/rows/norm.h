// A normalisation of rows of features, with or without gate (ops/norm.h), as a stage of an op. Private to the ops.
//
// With r = 1 / sqrt(variance + eps), unit = (x - mean) r and g the cotangent of unit:
//   dx = r (g - mean(g) - unit mean(g unit)).
// unit does not change if x is shifted or scaled: the two means remove these components of the gradient.
#pragma once

#include "core/tensor.h"
#include "ops/rows/chunks.h"
#include "ops/rows/table.h"

namespace orthoread {

/// The inputs, and the forward.
template <Real T>
class RowNorm {
 public:
  /// An Error, which begins with `op`, unless x is (..., D) and weight (D).
  RowNorm(const char* op, const Array<T>& x, const Array<T>& weight, int64_t groups)
      : x_(x), weight_(weight), groups_(groups) {
    const bool fits = x.rank() >= 1 && weight.rank() == 1 && x.dim(-1) == weight.dim(0) && groups > 0 &&
                      x.dim(-1) > 0 && x.dim(-1) % groups == 0;
    check_shape(fits,
                "{}: x must be (..., D) and weight (D), D a multiple of the groups: x is {}, weight is {}, {} groups",
                op, x.shape(), weight.shape(), groups);
  }
  /// With a gate: also skip (D), and c and z (..., D).
  RowNorm(const char* op, const Array<T>& x, const Array<T>& weight, int64_t groups, const Array<T>& skip,
          const Array<T>& c, const Array<T>& z)
      : RowNorm(op, x, weight, groups) {
    skip_ = skip;
    c_ = c;
    z_ = z;
    check_shape(c.shape() == x.shape() && z.shape() == x.shape() && skip.shape() == weight.shape(),
                "{}: x, c and z must have one shape, weight and skip another: x is {}, c is {}, z is {}, weight is "
                "{}, skip is {}",
                op, x.shape(), c.shape(), z.shape(), weight.shape(), skip.shape());
  }

  int64_t rows() const { return x_.size() / features(); }
  int64_t features() const { return x_.dim(-1); }
  int64_t groups() const { return groups_; }
  bool gated() const { return z_.defined(); }
  const Shape& shape() const { return x_.shape(); }

  /// The arguments of the kernels for `rows` rows, the first with index `row`.
  NormInput<T> input(int64_t row, int64_t rows) const {
    const int64_t at = row * features();
    NormInput<T> input = {
        .rows = rows, .features = features(), .groups = groups_, .x = x_.data() + at, .weight = weight_.data()};
    if (!gated()) return input;
    input.skip = skip_.data();
    input.c = c_.data() + at;
    input.z = z_.data() + at;
    return input;
  }

  /// An array for the mean and 1 / sqrt(variance + eps) of each group, which backward needs.
  Array<T> new_statistics() const { return Array<T>::uninitialized({rows(), groups_, 2}); }
  int64_t statistics_at(int64_t row) const { return 2 * row * groups_; }

  /// y of `rows` rows, the first with index `row`. `statistics` is that of all rows.
  void forward(int64_t row, int64_t rows, double eps, T* y, T* statistics) const {
    const auto kernel = gated() ? row_kernels<T>().gated_norm : row_kernels<T>().norm;
    kernel(input(row, rows), number<T>(eps), y, statistics + statistics_at(row));
  }

 private:
  Array<T> x_, weight_;
  int64_t groups_;
  Array<T> skip_, c_, z_;
};

/// The backward, and its gradients. Those of weight and skip are sums over the first axis.
template <Real T>
class RowNormBackward {
 public:
  RowNormBackward(const RowNorm<T>& norm, const Array<T>& statistics, int64_t rows_of_part = kSummedRows)
      : norm_(norm), statistics_(statistics), dweight_(norm.rows(), {norm.features()}, rows_of_part) {
    dx = Array<T>::uninitialized(norm.shape());
    dx_to_ = dx.edit();
    if (!norm.gated()) return;
    dskip_ = PartSums<T>(norm.rows(), {norm.features()}, rows_of_part);
    dc = Array<T>::uninitialized(norm.shape());
    dz = Array<T>::uninitialized(norm.shape());
    dc_to_ = dc.edit();
    dz_to_ = dz.edit();
  }

  /// Computes the gradients of `rows` rows from their cotangents, and y again unless it is null.
  void operator()(int64_t row, int64_t rows, const T* dy, T* y) const {
    const int64_t at = row * norm_.features();
    NormGradients<T> to = {.dx = dx_to_ + at, .dweight = dweight_.of(row)};
    if (norm_.gated()) {
      to.dskip = dskip_.of(row);
      to.dc = dc_to_ + at;
      to.dz = dz_to_ + at;
    }
    const auto kernel = norm_.gated() ? row_kernels<T>().gated_norm_backward : row_kernels<T>().norm_backward;
    kernel(norm_.input(row, rows), statistics_.data() + norm_.statistics_at(row), dy, to, y);
  }

  Array<T> dx, dc, dz;
  const Array<T>& dweight_sums() const { return dweight_.sums(); }
  const Array<T>& dskip_sums() const { return dskip_.sums(); }

 private:
  const RowNorm<T>& norm_;
  const Array<T>& statistics_;
  PartSums<T> dweight_, dskip_;
  T *dx_to_ = nullptr, *dc_to_ = nullptr, *dz_to_ = nullptr;
};

}  // namespace orthoread
