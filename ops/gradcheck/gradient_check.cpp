#include "ops/gradcheck/gradient_check.h"

#include "ops/gradcheck/ways.h"

namespace orthoread {
namespace {

void check_finite(const Subject& s, Findings& found) {
  for (size_t i = 0; i < s.x.size(); ++i) {
    for (int64_t k = 0; k < s.x[i].size(); ++k) {
      const double x = s.x[i].data()[k];
      if (!std::isfinite(x)) return found.fail("{}: the number given is {}", s.where(i, k), x);
    }
  }
  for (int64_t k = 0; k < s.y.size(); ++k) {
    if (!std::isfinite(s.y.data()[k])) return found.fail("{}: {}", s.where_in_output(k), s.y.data()[k]);
  }
  for (size_t i = 0; i < s.grads.size(); ++i) {
    for (int64_t k = 0; k < s.grads[i].size(); ++k) {
      const double g = s.grads[i].data()[k];
      if (!std::isfinite(g)) return found.fail("{}: analytic {}", s.where(i, k), g);
    }
  }
}

void check_all(Subject& s, Findings& found) {
  s.run();
  check_finite(s, found);
  if (!found.report.failures.empty()) return;  // there is nothing to compare with
  s.units = Units(s.x, s.grads);
  for (size_t i = 0; i < s.x.size(); ++i) found.report.inputs[i].largest = s.units.steepest[i];
  s.measure_noise();
  if (s.f.dual) {
    check_value(s, found);
    check_dual(s, found);
    check_jacobian(s, found);
  }
  check_differences(s, found);
  check_wanted(s, found);
  check_outputs(s, found);
  check_aliased(s, found);
  check_repeated(s, found);
  if (!found.report.kinks.empty()) return;  // float, and a step away, may be on the other side
  if (s.f.dual) {
    check_backward_on_dual(s, found);
    check_hessian(s, found);
  }
  if (s.f.f32) check_float(s, found);
}

}  // namespace

GradientReport gradient_report(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                               const GradientLimits& limits) {
  Subject subject(inputs, f, limits);
  Findings found(name, subject);
  try {
    check_all(subject, found);
  } catch (const std::exception& error) {
    found.fail("{}", error.what());
  }
  return found.report;
}

}  // namespace orthoread
