// The inputs of a normalisation, as its kernels read them. Private to the ops.
#pragma once

#include "core/tensor.h"
#include "ops/rows/table.h"

namespace orthoread {

/// x, weight and, if there is a gate, skip, c, z, which are undefined otherwise.
template <Real T>
struct NormInputs {
  NormShape shape;
  Array<T> x, weight, skip, c, z;

  /// `inputs` begins with x and weight and, if `gated`, skip, c, z. An error unless their shapes fit `op`.
  NormInputs(const char* op, const std::vector<Tensor<T>>& inputs, bool gated, int64_t groups)
      : x(inputs[0].value()), weight(inputs[1].value()) {
    const bool fits = x.rank() >= 1 && weight.rank() == 1 && x.dim(-1) == weight.dim(0) && groups > 0 &&
                      x.dim(-1) > 0 && x.dim(-1) % groups == 0;
    check_shape(fits,
                "{}: x must be (..., D) and weight (D), D a multiple of the groups: x is {}, weight is {}, {} groups",
                op, x.shape(), weight.shape(), groups);
    shape = {x.size() / x.dim(-1), x.dim(-1), groups};
    if (!gated) return;
    skip = inputs[2].value();
    c = inputs[3].value();
    z = inputs[4].value();
    check_shape(c.shape() == x.shape() && z.shape() == x.shape() && skip.shape() == weight.shape(),
                "{}: x, c and z must have one shape, weight and skip another: x is {}, c is {}, z is {}, weight is "
                "{}, skip is {}",
                op, x.shape(), c.shape(), z.shape(), weight.shape(), skip.shape());
  }

  bool gated() const { return z.defined(); }
  const T* row(int64_t i) const { return x.data() + i * shape.features; }
  NormShape rows(int64_t n) const { return {n, shape.features, shape.groups}; }
  /// From row i on.
  NormGate<T> gate(int64_t i) const {
    const int64_t at = i * shape.features;
    return gated() ? NormGate<T>{skip.data(), c.data() + at, z.data() + at} : NormGate<T>{};
  }
  /// Mean and 1 / deviation of each group, to be filled in.
  Array<T> new_moments() const { return Array<T>::uninitialized({shape.rows, shape.groups, 2}); }
  int64_t moments_at(int64_t i) const { return 2 * i * shape.groups; }
};

}  // namespace orthoread
