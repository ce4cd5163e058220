#include "apps/probe/spectrum.h"

#include <cblas.h>

#include <cmath>
#include <numeric>

// LAPACK's singular value decomposition by divide and conquer, which OpenBLAS has, but does not declare. In Fortran's
// calling convention the length of the text `job` is the last argument.
#define ORTHOREAD_DECLARE_GESDD(name, T)                                                                               \
  extern "C" void name(const char* job, const blasint* m, const blasint* n, T* a, const blasint* a_stride, T* s, T* u, \
                       const blasint* u_stride, T* vt, const blasint* vt_stride, T* work, const blasint* work_size,    \
                       blasint* integers, blasint* info, size_t job_length)
ORTHOREAD_DECLARE_GESDD(sgesdd_, float);
ORTHOREAD_DECLARE_GESDD(dgesdd_, double);

namespace orthoread {
namespace {

double sum(const std::vector<double>& s) { return std::accumulate(s.begin(), s.end(), 0.0); }

template <class T>
constexpr auto gesdd = nullptr;
template <>
constexpr auto gesdd<float> = sgesdd_;
template <>
constexpr auto gesdd<double> = dgesdd_;

}  // namespace

template <class T>
std::vector<double> singular_values(const Array<T>& matrix) {
  check_shape(matrix.rank() == 2, "singular values: needs a matrix, the shape is {}", matrix.shape());
  check(std::all_of(matrix.data(), matrix.data() + matrix.size(), [](T x) { return std::isfinite(x); }),
        "singular values: the matrix holds a number that is not finite");
  static const bool one_thread = [] {  // as for ops/gemm
    openblas_set_num_threads(1);
    return true;
  }();
  static_cast<void>(one_thread);
  // LAPACK is column-major: it sees the transpose, which has the same singular values.
  const auto m = static_cast<blasint>(matrix.dim(1)), n = static_cast<blasint>(matrix.dim(0));
  const blasint least = std::min(m, n), stride = std::max<blasint>(1, m), none = 1;
  std::vector<T> a(matrix.data(), matrix.data() + matrix.size()), s(static_cast<size_t>(least));
  std::vector<blasint> integers(8 * s.size());
  const auto decompose = [&](T* work, blasint work_size) {
    blasint info = 0;
    gesdd<T>("N", &m, &n, a.data(), &stride, s.data(), nullptr, &none, nullptr, &none, work, &work_size,
             integers.data(), &info, 1);
    check(info == 0, "singular values: LAPACK's gesdd answers {}", info);
  };
  T work_size = 0;
  decompose(&work_size, -1);  // asks for the size of the workspace
  std::vector<T> work(static_cast<size_t>(work_size));
  decompose(work.data(), static_cast<blasint>(work.size()));
  return {s.begin(), s.end()};
}

template std::vector<double> singular_values(const Array<float>&);
template std::vector<double> singular_values(const Array<double>&);

double effective_rank(const std::vector<double>& s) {
  const double total = sum(s);
  if (total == 0) return 0;
  double entropy = 0;
  for (const double x : s) {
    const double p = x / total;
    if (p > 0) entropy -= p * std::log(p);
  }
  return std::exp(entropy);
}

double first_share(const std::vector<double>& s) {
  const double total = sum(s);
  return total == 0 ? 0 : s.front() / total;
}

double log10_condition(const std::vector<double>& s) { return std::log10(s.front() / s.back()); }

}  // namespace orthoread
