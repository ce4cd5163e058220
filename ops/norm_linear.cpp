#include "ops/norm_linear.h"

#include "core/parallel.h"
#include "ops/instantiate.h"
#include "ops/layout.h"
#include "ops/reduce.h"
#include "ops/rows/dense.h"
#include "ops/rows/norm.h"

#include <numeric>

namespace orthoread {
namespace {

/// y_j = n W_j^T with the normalised x for n, W_j being sizes[j] rows of the weight. Backward:
/// dn = sum_j dy_j W_j, dW_j = dy_j^T n. n is not kept: the backward of the normalisation computes it once more.
template <Real T>
struct NormLinear {
  const char* op;
  RowNorm<T> norm;
  Array<T> weight;
  std::vector<int64_t> sizes;
  Array<T> statistics = norm.new_statistics();

  size_t count() const { return sizes.size(); }
  /// W_j.
  DenseWeight<T> rows_of_weight(size_t j) const {
    const auto end = sizes.begin() + static_cast<std::ptrdiff_t>(j);
    const T* first = weight.data() + std::accumulate(sizes.begin(), end, int64_t{0}) * norm.features();
    return {.W = first, .outputs = sizes[j], .features = norm.features()};
  }

  void check_sizes() const {
    check_shape(weight.rank() == 2 && weight.dim(1) == norm.features() && weight.size() > 0,
                "{}: x must be (..., D) and weight (O, D) with O, D >= 1: x is {}, weight is {}", op, norm.shape(),
                weight.shape());
    const bool adds_up = std::all_of(sizes.begin(), sizes.end(), [](int64_t size) { return size > 0; }) &&
                         std::accumulate(sizes.begin(), sizes.end(), int64_t{0}) == weight.dim(0);
    check_shape(adds_up, "{}: the sizes {} must be positive and add up to the rows of the weight {}", op, sizes,
                weight.shape());
  }
  Shape output_shape(size_t j) const {
    Shape shape = norm.shape();
    shape.back() = sizes[j];
    return shape;
  }

  /// The y_j, added to what begin(row, rows, y_j) leaves in rows of y_j where it returns Store::add. Sets `statistics`.
  template <class Begin>
  std::vector<Array<T>> forward(double eps, const Begin& begin) {
    std::vector<Array<T>> ys;
    std::vector<DenseForward<T>> maps;
    for (size_t j = 0; j < count(); ++j) {
      maps.emplace_back(rows_of_weight(j));
      ys.push_back(Array<T>::uninitialized(output_shape(j)));
    }
    std::vector<T*> to;
    for (Array<T>& y : ys) to.push_back(y.edit());
    T* statistics_to = statistics.edit();
    parallel_for(norm.rows(), kCachedRows, [&](int64_t row, int64_t end) {
      const int64_t n = end - row;
      auto normal = Array<T>::uninitialized({n, norm.features()});
      norm.forward(row, n, eps, normal.edit(), statistics_to);
      for (size_t j = 0; j < count(); ++j) {
        T* y = to[j] + row * sizes[j];
        maps[j](begin(row, n, y), n, normal.data(), y);
      }
    });
    return ys;
  }

  /// The gradients of x and the norm's weight, of skip, c and z if there is a gate, and of the weight. An output that
  /// no one has used has no dy.
  Grads<T> backward(const std::vector<Array<T>>& dys) const {
    const int64_t D = norm.features(), rows = norm.rows();
    RowNormBackward<T> norm_stage(norm, statistics);
    std::vector<DenseBackward<T>> maps;
    for (size_t j = 0; j < count(); ++j) maps.emplace_back(rows_of_weight(j), rows);
    parallel_for(rows, kSummedRows, [&](int64_t begin, int64_t end) {
      auto normal = Array<T>::uninitialized({kCachedRows, D}), dnormal = Array<T>::uninitialized({kCachedRows, D});
      T *normal_to = normal.edit(), *dnormal_to = dnormal.edit();
      each_chunk(begin, end, [&](int64_t row, int64_t n) {
        const auto dy = [&](size_t j) { return dys[j].data() + row * sizes[j]; };
        Store store = Store::replace;  // for the first output that is used
        for (size_t j = 0; j < count(); ++j) {
          if (!dys[j].defined()) continue;
          maps[j].dx(store, n, dy(j), dnormal_to);
          store = Store::add;
        }
        norm_stage(row, n, dnormal_to, normal_to);
        for (size_t j = 0; j < count(); ++j) {
          if (dys[j].defined()) maps[j].add_dW(row, n, dy(j), normal_to);
        }
      });
    });
    Grads<T> grads = {norm_stage.dx, sum(norm_stage.dweight_sums(), {0})};
    if (norm.gated()) {
      grads.insert(grads.end(), {sum(norm_stage.dskip_sums(), {0}), norm_stage.dc, norm_stage.dz});
    }
    std::vector<Array<T>> dweight;
    for (const DenseBackward<T>& map : maps) dweight.push_back(sum(map.dW_sums(), {0}));
    grads.push_back(concat(dweight, 0));
    return grads;
  }
};

/// The sum of dy's rows.
template <Real T>
Array<T> sum_of_rows(const Array<T>& dy) {
  const int64_t n = dy.dim(-1), rows = dy.size() / n;
  const PartSums<T> sums(rows, {n});
  parallel_for(rows, kSummedRows,
               [&](int64_t begin, int64_t end) { add_rows(end - begin, n, dy.data() + begin * n, sums.of(begin)); });
  return sum(sums.sums(), {0});
}

template <Real T>
int64_t outputs(const Tensor<T>& weight) {
  return weight.value().rank() == 2 ? weight.dim(0) : 0;  // 0: the check of the sizes will say what does not fit
}

}  // namespace

template <Real T>
Tensor<T> norm_linear(const Tensor<T>& x, const Tensor<T>& norm, const Tensor<T>& weight, const Tensor<T>& bias,
                      double eps) {
  NormLinear<T> op = {"norm_linear", {"norm_linear", x.value(), norm.value(), 1}, weight.value(), {outputs(weight)}};
  op.check_sizes();
  const int64_t O = op.sizes[0];
  check_shape(bias.shape() == Shape{O}, "norm_linear: bias must be (O): weight is {}, bias is {}", weight.shape(),
              bias.shape());
  const Array<T> y = op.forward(eps, [&](int64_t, int64_t rows, T* to) {
    repeat_row(rows, O, bias.value().data(), to);
    return Store::add;
  })[0];
  return record<T>(op.op, y, {x, norm, weight, bias}, [op](const Array<T>& dy, const Want&) {
    Grads<T> grads = op.backward({dy});
    grads.push_back(sum_of_rows(dy));
    return grads;
  });
}

template <Real T>
std::vector<Tensor<T>> norm_linear_split(const Tensor<T>& x, const Tensor<T>& norm, const Tensor<T>& weight,
                                         const std::vector<int64_t>& sizes, double eps) {
  NormLinear<T> op = {"norm_linear_split", {"norm_linear_split", x.value(), norm.value(), 1}, weight.value(), sizes};
  op.check_sizes();
  std::vector<Array<T>> ys = op.forward(eps, [](int64_t, int64_t, T*) { return Store::replace; });
  return record_many<T>(op.op, std::move(ys), {x, norm, weight},
                        [op](const std::vector<Array<T>>& dys, const Want&) { return op.backward(dys); });
}

template <Real T>
Tensor<T> gated_norm_linear(const Tensor<T>& x, const Tensor<T>& norm, int64_t groups, const Tensor<T>& skip,
                            const Tensor<T>& c, const Tensor<T>& z, const Tensor<T>& weight, const Tensor<T>& residual,
                            double eps) {
  const char* name = "gated_norm_linear";
  NormLinear<T> op = {name,
                      {name, x.value(), norm.value(), groups, skip.value(), c.value(), z.value()},
                      weight.value(),
                      {outputs(weight)}};
  op.check_sizes();
  const int64_t O = op.sizes[0];
  check_shape(residual.shape() == op.output_shape(0),
              "gated_norm_linear: residual must be (..., O): weight is {}, residual is {}", weight.shape(),
              residual.shape());
  const Array<T> y = op.forward(eps, [&](int64_t row, int64_t rows, T* to) {
    std::copy_n(residual.value().data() + row * O, rows * O, to);
    return Store::add;
  })[0];
  return record<T>(op.op, y, {x, norm, skip, c, z, weight, residual}, [op](const Array<T>& dy, const Want&) {
    Grads<T> grads = op.backward({dy});
    grads.push_back(dy);
    return grads;
  });
}

#define INSTANTIATE(T)                                                                                            \
  template Tensor<T> norm_linear(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, double); \
  template std::vector<Tensor<T>> norm_linear_split(const Tensor<T>&, const Tensor<T>&, const Tensor<T>&,         \
                                                    const std::vector<int64_t>&, double);                         \
  template Tensor<T> gated_norm_linear(const Tensor<T>&, const Tensor<T>&, int64_t, const Tensor<T>&,             \
                                       const Tensor<T>&, const Tensor<T>&, const Tensor<T>&, const Tensor<T>&,    \
                                       double);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
