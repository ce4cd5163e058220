// Float against double, with what rounding the inputs would do as the measure.
#include "ops/gradcheck/ways.h"

namespace orthoread {

void check_float(Subject& s, Findings& found) {
  if (!found.takes(Way::float32, s.limits.float32)) return;
  const Pass<float> pass(s.f.f32, cast_all<float>(s.x), cast<float>(s.v));
  const std::vector<double> moves = moves_by_rounding(s.f.f64, s.x, s.v, s.y, s.grads, kFloatEps, s.random);
  const auto ratio = [&](const Array<float>& computed, const Array<double>& exact, double unit, double slack,
                         const std::string& of) {
    const double error = relative(largest(moved(cast<double>(computed), exact, -1)), unit);
    found.seen(error / slack);
    if (!(error <= s.limits.float32 * slack)) {
      found.fail("{}: float differs from double by {:.3g}, {:.3g} times what rounding the inputs would do", of,
                 error * unit, error);
    }
    return error;
  };
  ratio(pass.y, s.y, moves.back() + kFloatEps * largest(s.y), 1, "output");
  for (size_t i = 0; i < s.x.size(); ++i) {
    const double unit =
        std::max(s.units.steepest[i], s.units.relative_to_scale(i) / 10);  // double does not see float's noise
    found.report.inputs[i].float32 = ratio(pass.grads[i], s.grads[i], moves[i] + kFloatEps * unit, s.inputs[i].slack,
                                           "gradient of " + title(s.inputs, i));
  }
}

}  // namespace orthoread
