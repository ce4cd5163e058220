#include "ops/gradcheck/sampling.h"
#include "ops/gradcheck/units.h"

namespace orthoread {

GradientReport twin_report(const std::string& name, const std::vector<Input>& inputs, const Functions& fused,
                           const Functions& composed, double limit, const GradientLimits& limits) {
  GradientReport report;
  report.name = name;
  report.ways = {{Way::twin, 0, limit}, {Way::twin_float32, 0, limits.float32}};
  RandomStream random(limits.seed);
  const Arrays x = drawn(inputs, random);
  const auto compare = [&](const std::string& what, const Array<double>& y, const Array<double>& twin,
                           const Array<float>& y32, const Array<float>& twin32, double move, double unit,
                           double unit32) {
    const double error = relative_error(y, twin, unit);
    report.ways[0].worst = std::max(report.ways[0].worst, error);
    if (!(error <= limit)) {
      report.failures.push_back(fmt::format("{}: {}: relative error {:.3g} against the twin", name, what, error));
    }
    // A twin that happens to be exact is not to be beaten: what rounding the inputs would do is always allowed.
    const double ours = largest(moved(cast<double>(y32), twin, -1));
    const double theirs = std::max(largest(moved(cast<double>(twin32), twin, -1)),
                                   move + kFloatEps / 2 * std::max(largest(twin), unit32));
    const double ratio = relative(ours, theirs);
    report.ways[1].worst = std::max(report.ways[1].worst, ratio);
    if (!(ratio <= limits.float32)) {
      report.failures.push_back(
          fmt::format("{}: {}: float's error {:.3g} is {:.3g} times the twin's", name, what, ours, ratio));
    }
  };
  try {
    const Array<double> v = normal_array(joined(fused.f64({x.begin(), x.end()})).shape(), 1, random);
    const Pass<double> a(fused.f64, x, v), b(composed.f64, x, v);
    const Pass<float> a32(fused.f32, cast_all<float>(x), cast<float>(v)),
        b32(composed.f32, cast_all<float>(x), cast<float>(v));
    const std::vector<double> moves = moves_by_rounding(composed.f64, x, v, b.y, b.grads, kFloatEps, random);
    Units units(x, b.grads);
    for (const auto& [f, pass] : {std::pair(&fused, &a), std::pair(&composed, &b)}) {
      const std::vector<double> noise = moves_by_rounding(f->f64, x, v, pass->y, pass->grads, kEps, random);
      for (size_t i = 0; i < x.size(); ++i) units.noise[i] = std::max(units.noise[i], noise[i]);
    }
    compare("output", a.y, b.y, a32.y, b32.y, moves.back(), 0, 0);
    for (size_t i = 0; i < x.size(); ++i) {
      compare("gradient of " + title(inputs, i), a.grads[i], b.grads[i], a32.grads[i], b32.grads[i], moves[i],
              units.floor(i), units.relative_to_scale(i) / 10);
      report.inputs.push_back({.name = title(inputs, i), .shape = x[i].shape(), .largest = units.steepest[i]});
    }
  } catch (const std::exception& error) {
    report.failures.push_back(fmt::format("{}: {}", name, error.what()));
  }
  return report;
}

GradientReport fused_report(const std::string& name, const std::vector<Input>& inputs, const Functions& fused,
                            const Functions& composed, double limit, const GradientLimits& limits) {
  GradientReport report = gradient_report(name, inputs, fused, limits);
  const GradientReport twin = twin_report(name, inputs, fused, composed, limit, limits);
  report.failures.insert(report.failures.end(), twin.failures.begin(), twin.failures.end());
  report.ways.insert(report.ways.end(), twin.ways.begin(), twin.ways.end());
  return report;
}

}  // namespace orthoread
