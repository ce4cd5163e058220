#include "ops/softmax.h"

#include "core/parallel.h"
#include "ops/advice.h"
#include "ops/instantiate.h"
#include "ops/reduce.h"
#include "ops/rows/table.h"

namespace orthoread {
namespace {

constexpr int64_t kSoftmaxRows = 128;  // in one chunk of work

/// body(begin, end) for chunks of the rows of x (..., n), of which there are none if n is 0.
template <Real T, class Body>
void for_each_chunk(const Array<T>& x, Body body) {
  parallel_for(x.dim(-1) == 0 ? 0 : x.size() / x.dim(-1), kSoftmaxRows, body);
}

/// The rows of a chunk of x (..., n).
template <Real T>
SoftmaxInput<T> rows_of(const Array<T>& x, int64_t begin, int64_t end) {
  return {.rows = end - begin, .n = x.dim(-1), .x = x.data() + begin * x.dim(-1)};
}

template <Real T>
void check_targets(const char* op, const Array<T>& logits, const Array<int64_t>& targets) {
  check_shape(logits.rank() >= 1 && Shape(logits.shape().begin(), logits.shape().end() - 1) == targets.shape(),
              "{}: logits must be (..., V) and targets (...): logits is {}, targets is {}{}", op, logits.shape(),
              targets.shape(), advice_on_batch_and_time(logits.shape(), targets.shape()));
  const int64_t vocab = logits.dim(-1);
  for (int64_t i = 0; i < targets.size(); ++i) {
    const int64_t target = targets.data()[i];
    check(target == kIgnored || (0 <= target && target < vocab),
          "{}: targets go from 0 to {}, or are {} to be ignored; number {} is {}", op, vocab - 1, kIgnored, i, target);
  }
}

}  // namespace

template <Real T>
Tensor<T> log_softmax(const Tensor<T>& x) {
  check_shape(x.value().rank() >= 1, "log_softmax: needs at least one axis, the shape is {}", x.shape());
  auto y = Array<T>::uninitialized(x.shape());
  T* to = y.edit();
  for_each_chunk(y, [&](int64_t begin, int64_t end) {
    auto normalizers = Array<T>::uninitialized({end - begin, 2});
    const SoftmaxInput<T> rows = rows_of(x.value(), begin, end);
    row_kernels<T>().softmax_normalizers(rows, normalizers.edit());
    row_kernels<T>().log_softmax(rows, normalizers.data(), to + begin * rows.n);
  });
  return record<T>("log_softmax", y, {x}, [y](const Array<T>& dy, const Want&) -> Grads<T> {
    // dx_i = dy_i - softmax_i sum_j dy_j
    auto dx = Array<T>::uninitialized(y.shape());
    T* out = dx.edit();
    const T *from = dy.data(), *logs = y.data();
    const int64_t width = y.dim(-1);
    for_each_chunk(y, [&](int64_t begin, int64_t end) {
      for (int64_t at = begin * width; at < end * width; at += width) {
        T total = T(0);
        for (int64_t i = at; i < at + width; ++i) total += from[i];
        for (int64_t i = at; i < at + width; ++i) out[i] = from[i] - exp(logs[i]) * total;
      }
    });
    return {dx};
  });
}

template <Real T>
Tensor<T> cross_entropy(const Tensor<T>& logits, const Array<int64_t>& targets) {
  check_targets("cross_entropy", logits.value(), targets);
  const int64_t vocab = logits.dim(-1), rows = targets.size();
  // Backward recomputes the softmax from the logits and these normalizers.
  auto normalizers = Array<T>::uninitialized({rows, 2});
  Array<T> losses({rows});
  T *normalizers_to = normalizers.edit(), *loss = losses.edit();
  for_each_chunk(logits.value(), [&](int64_t begin, int64_t end) {
    row_kernels<T>().softmax_normalizers(rows_of(logits.value(), begin, end), normalizers_to + 2 * begin);
    for (int64_t row = begin; row < end; ++row) {
      const int64_t target = targets.data()[row];
      if (target == kIgnored) continue;
      loss[row] =
          -(logits.value().data()[row * vocab + target] - normalizers_to[2 * row] - normalizers_to[2 * row + 1]);
    }
  });
  const auto kept = rows - std::count(targets.data(), targets.data() + rows, kIgnored);
  const T inverse = T(1) / number<T>(static_cast<double>(kept));
  const T mean = kept == 0 ? T(std::numeric_limits<Precision<T>>::quiet_NaN()) : sum(losses, {0}).item() * inverse;
  return record<T>("cross_entropy", Array<T>({}, {mean}), {logits},
                   [x = logits.value(), normalizers, targets, inverse, vocab, rows](const Array<T>& dy, const Want&) {
                     // dlogits_i = (softmax_i - [i is the target]) / targets kept
                     auto dx = Array<T>::uninitialized(x.shape());
                     T* out = dx.edit();
                     const T g = dy.item() * inverse;
                     parallel_for(rows, kSoftmaxRows, [&](int64_t begin, int64_t end) {
                       for (int64_t row = begin; row < end; ++row) {
                         const int64_t target = targets.data()[row], at = row * vocab;
                         if (target == kIgnored) {
                           std::fill_n(out + at, vocab, T(0));
                           continue;
                         }
                         row_kernels<T>().scaled_softmax(rows_of(x, row, row + 1), normalizers.data() + 2 * row, g,
                                                         out + at);
                         out[at + target] -= g;
                       }
                     });
                     return Grads<T>{dx};
                   });
}

template <Real T>
double accuracy(const Array<T>& logits, const Array<int64_t>& targets) {
  check_targets("accuracy", logits, targets);
  const int64_t vocab = logits.dim(-1);
  int64_t kept = 0, right = 0;
  for (int64_t row = 0; row < targets.size(); ++row) {
    if (targets.data()[row] == kIgnored) continue;
    const T* scores = logits.data() + row * vocab;
    right += std::max_element(scores, scores + vocab) - scores == targets.data()[row];
    ++kept;
  }
  return static_cast<double>(right) / static_cast<double>(kept);
}

#define INSTANTIATE(T)                                                       \
  template Tensor<T> log_softmax(const Tensor<T>&);                          \
  template Tensor<T> cross_entropy(const Tensor<T>&, const Array<int64_t>&); \
  template double accuracy(const Array<T>&, const Array<int64_t>&);
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)
#undef INSTANTIATE

}  // namespace orthoread
