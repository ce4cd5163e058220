// Compares a fused op with the ops it replaces.
#pragma once

#include "tests/gradient_check.h"
#include "tests/support.h"

namespace orthoread {

/// The twins agree in value and in every gradient for a random cotangent: in float64 within `limit`, relative to the
/// largest entry; in float32 both are equally close to float64.
inline void check_twins(const std::string& name, const std::vector<Array<double>>& inputs, const Functions& fused,
                        const Functions& composed, double limit = 1e-13) {
  const GradientReport report = twin_report(name, {inputs.begin(), inputs.end()}, fused, composed, limit);
  CHECK_MESSAGE(report.passed(), fmt::format("{}", fmt::join(report.failures, "\n")));
}

}  // namespace orthoread
