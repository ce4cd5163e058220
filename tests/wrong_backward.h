// Ops with a backward of the test's choosing, and what the gradient checker says of them.
#pragma once

#include "ops/elementwise.h"
#include "ops/gradcheck/gradient_check.h"
#include "tests/support.h"

namespace orthoread {

template <class F>
std::vector<std::string> failures_of(const std::vector<Input>& inputs, F f) {
  return gradient_report("op", inputs, f).failures;
}

/// The first failure; "none" if the checker was deceived.
template <class F>
std::string failure_of(const std::vector<Input>& inputs, F f) {
  const std::vector<std::string> failures = failures_of(inputs, f);
  return failures.empty() ? "none" : failures[0];
}

/// x^2 with a backward of the caller's choosing: from dy and x to dx.
template <Real T, class Wrong>
Tensor<T> square(const Tensor<T>& x, Wrong wrong) {
  return record<T>("square", mul(x.value(), x.value()), {x},
                   [x = x.value(), wrong](const Array<T>& dy, const Want&) -> Grads<T> { return {wrong(dy, x)}; });
}

/// The right backward of x^2.
inline const auto right = [](const auto& dy, const auto& x) { return add(mul(dy, x), mul(dy, x)); };

/// The right backward of x^2, and then something done to the gradient.
template <class Spoil>
auto square_spoiled(Spoil spoil) {
  return [spoil](const auto& x) {
    return square(x[0], [spoil](const auto& dy, const auto& value) {
      auto dx = right(dy, value);
      spoil(dx);
      return dx;
    });
  };
}

/// Multiplies one number.
template <Real T>
void multiply(Array<T>& dx, int64_t i, double factor) {
  dx.edit()[i] *= number<T>(factor);
}

/// The way's worst error and limit; nothing if that way was off.
inline std::optional<WayReport> went(const GradientReport& report, Way way) {
  for (const WayReport& at : report.ways)
    if (at.way == way) return at;
  return std::nullopt;
}

/// x^2 and 3 x as one op; `used` hands on the gradient of an output, or what is taken for it if it is undefined.
template <Real T, class Used>
std::vector<Tensor<T>> square_and_triple(const Tensor<T>& x, Used used) {
  return record_many<T>("square_and_triple", {mul(x.value(), x.value()), scale(x.value(), T(3))}, {x},
                        [x = x.value(), used](const std::vector<Array<T>>& dys, const Want&) -> Grads<T> {
                          return {add(right(used(dys, 0), x), scale(used(dys, 1), T(3)))};
                        });
}

/// The gradient of output i, 0 if that output was not used.
inline const auto zero_if_unused = []<class T>(const std::vector<Array<T>>& dys, size_t i) {
  return dys[i].defined() ? dys[i] : Array<T>(dys[1 - i].shape());
};

}  // namespace orthoread
