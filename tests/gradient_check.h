// The tests' entry point to ops/gradcheck: one line for each op.
//
//   check_gradient("softplus", {{3, 4}}, [](const auto& x) { return softplus(x[0]); });
#pragma once

#include "ops/gradcheck/gradient_check.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace orthoread {

/// Fails with one line for each error in the gradient.
inline void check_gradient(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                           GradientLimits limits = {}) {
#if defined(ORTHOREAD_SANITIZED)
  // How memory is used is the same for every entry. So a few entries, and not the ways that run the function once for
  // each entry or part; the others run forward and backward on all three kinds of number.
  limits.entries = std::min<int64_t>(limits.entries, 2);
  limits.off.insert({Way::dual, Way::jacobian});
#endif
  const GradientReport report = gradient_report(name, inputs, f, limits);
  CHECK_MESSAGE(report.passed(),
                fmt::format("{}\n{}", fmt::join(report.failures, "\n"), fmt::join(report.kinks, "\n")));
}

}  // namespace orthoread
