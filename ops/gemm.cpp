#include "ops/gemm.h"

#include "core/parallel.h"
#include "ops/broadcast.h"
#include "ops/instantiate.h"

#include <cblas.h>

#include <cstdlib>

namespace orthoread {
namespace {

/// OpenBLAS must not use threads of its own: they would compete with ours, and the bits of a result would depend on
/// their number. It starts them before main(). A static OpenBLAS sees this earlier and starts none; a shared one leaves
/// them idle after pin_blas_to_one_thread.
[[gnu::constructor(101)]] void forbid_blas_threads() { setenv("OPENBLAS_NUM_THREADS", "1", 1); }

void pin_blas_to_one_thread() {
  static const bool pinned = [] {
    openblas_set_num_threads(1);
    return true;
  }();
  static_cast<void>(pinned);
}

blasint blas_size(int64_t n) {
  check(n <= std::numeric_limits<blasint>::max(), "gemm: a size of {} is more than BLAS can take, {}", n,
        std::numeric_limits<blasint>::max());
  return static_cast<blasint>(n);
}

CBLAS_TRANSPOSE blas_flag(bool transpose) { return transpose ? CblasTrans : CblasNoTrans; }

}  // namespace

template <>
void gemm(int64_t m, int64_t n, int64_t k, float alpha, MatrixView<float> a, MatrixView<float> b, float beta, float* c,
          int64_t c_stride) {
  pin_blas_to_one_thread();
  cblas_sgemm(CblasRowMajor, blas_flag(a.transpose), blas_flag(b.transpose), blas_size(m), blas_size(n), blas_size(k),
              alpha, a.data, blas_size(a.stride), b.data, blas_size(b.stride), beta, c, blas_size(c_stride));
}

template <>
void gemm(int64_t m, int64_t n, int64_t k, double alpha, MatrixView<double> a, MatrixView<double> b, double beta,
          double* c, int64_t c_stride) {
  pin_blas_to_one_thread();
  cblas_dgemm(CblasRowMajor, blas_flag(a.transpose), blas_flag(b.transpose), blas_size(m), blas_size(n), blas_size(k),
              alpha, a.data, blas_size(a.stride), b.data, blas_size(b.stride), beta, c, blas_size(c_stride));
}

template <>
void gemm(int64_t m, int64_t n, int64_t k, Dual alpha, MatrixView<Dual> a, MatrixView<Dual> b, Dual beta, Dual* c,
          int64_t c_stride) {
  struct Parts {  // the values and the slopes of op(x), each a dense matrix
    std::vector<double> value, slope;
    Parts(const MatrixView<Dual>& x, int64_t rows, int64_t columns) {
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < columns; ++j) {
          const Dual number = x.data[x.transpose ? j * x.stride + i : i * x.stride + j];
          value.push_back(number.value);
          slope.push_back(number.slope);
        }
      }
    }
  };
  const Parts pa(a, m, k), pb(b, k, n);
  std::vector<double> value(static_cast<size_t>(m * n)), slope(static_cast<size_t>(m * n));
  const auto add_product = [&](const std::vector<double>& x, const std::vector<double>& y, std::vector<double>& sum) {
    gemm<double>(m, n, k, 1, {x.data(), std::max<int64_t>(k, 1)}, {y.data(), std::max<int64_t>(n, 1)}, 1, sum.data(),
                 std::max<int64_t>(n, 1));
  };
  add_product(pa.value, pb.value, value);
  add_product(pa.value, pb.slope, slope);
  add_product(pa.slope, pb.value, slope);
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      const auto at = static_cast<size_t>(i * n + j);
      Dual& out = c[i * c_stride + j];
      out = alpha * Dual(value[at], slope[at]) + (beta == Dual(0) ? Dual(0) : beta * out);
    }
  }
}

template <Real T>
Array<T> matmul(const Array<T>& a, const Array<T>& b, bool transpose_a, bool transpose_b) {
  check_shape(a.rank() >= 2 && b.rank() >= 2, "matmul: both need at least two axes: a is {}, b is {}", a.shape(),
              b.shape());
  const int64_t m = a.dim(transpose_a ? -1 : -2), k = a.dim(transpose_a ? -2 : -1);
  const int64_t n = b.dim(transpose_b ? -2 : -1), k_of_b = b.dim(transpose_b ? -1 : -2);
  check_shape(k == k_of_b, "matmul: inner sizes differ, {} and {}: a is {}{}, b is {}{}{}", k, k_of_b, a.shape(),
              transpose_a ? " transposed" : "", b.shape(), transpose_b ? " transposed" : "",
              k == n ? "; b the other way round would fit" : "");
  const BroadcastPlan plan("matmul", Shape(a.shape().begin(), a.shape().end() - 2),
                           Shape(b.shape().begin(), b.shape().end() - 2));
  Shape shape = plan.shape();
  shape.insert(shape.end(), {m, n});
  auto y = Array<T>::uninitialized(shape);
  if (y.size() == 0) return y;
  if (k == 0) return Array<T>(shape);
  T* out = y.edit();
  const int64_t a_stride = a.dim(-1), b_stride = b.dim(-1);
  const auto multiply = [&](int64_t i, int64_t row, int64_t rows) {  // `rows` rows of the i-th product
    const auto [ia, ib] = plan.offsets(i);
    const T* a_rows = a.data() + ia * m * k + (transpose_a ? row : row * k);
    gemm<T>(rows, n, k, T(1), {a_rows, a_stride, transpose_a}, {b.data() + ib * k * n, b_stride, transpose_b}, T(0),
            out + (i * m + row) * n, n);
  };
  constexpr int64_t kFlops = 1 << 20;  // in one chunk: enough to pay for waking a thread
  const int64_t batch = count(plan.shape());
  if (batch > 1) {
    parallel_for(batch, std::max<int64_t>(1, kFlops / (m * n * k)), [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) multiply(i, 0, m);
    });
  } else {
    parallel_for(m, std::max<int64_t>(64, kFlops / (n * k)),
                 [&](int64_t begin, int64_t end) { multiply(0, begin, end - begin); });
  }
  return y;
}

template <Real T>
Tensor<T> matmul(const Tensor<T>& a, const Tensor<T>& b, bool transpose_a, bool transpose_b) {
  // Y = op(A) op(B): the gradient of op(A) is dY op(B)^T and that of op(B) is op(A)^T dY; transposing either one back
  // swaps its factors.
  return record<T>(
      "matmul", matmul(a.value(), b.value(), transpose_a, transpose_b), {a, b},
      [a = a.value(), b = b.value(), transpose_a, transpose_b](const Array<T>& dy, const Want& want) -> Grads<T> {
        Grads<T> grads(2);
        if (want[0]) {
          grads[0] =
              sum_to(transpose_a ? matmul(b, dy, transpose_b, true) : matmul(dy, b, false, !transpose_b), a.shape());
        }
        if (want[1]) {
          grads[1] =
              sum_to(transpose_b ? matmul(dy, a, true, transpose_a) : matmul(a, dy, !transpose_a, false), b.shape());
        }
        return grads;
      });
}

std::string blas_core() { return openblas_get_corename(); }
std::string blas_description() { return fmt::format("{}; core {}", openblas_get_config(), blas_core()); }

#define INSTANTIATE(T)                                                    \
  template Array<T> matmul(const Array<T>&, const Array<T>&, bool, bool); \
  template Tensor<T> matmul(const Tensor<T>&, const Tensor<T>&, bool, bool);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
