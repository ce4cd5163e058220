// Second derivatives: backward on Dual gives the Hessian of L times a direction, so that every op's backward is checked
// as a function, too.
#include "ops/gradcheck/ways.h"

namespace orthoread {
namespace {

/// Rounding error of a gradient's entry, doubled by a difference, with room for a chain of ops.
double noise(const Subject& s, size_t i) { return 64 * kEps * s.units.of(i); }

void check_symmetry(Subject& s, Findings& found, const Arrays& u, const Arrays& hu) {
  if (!found.takes(Way::symmetry, s.limits.symmetry)) return;
  const Arrays w = s.random_direction(), hw = s.hessian_times(w);
  Sum whu, uhw;
  for (size_t i = 0; i < s.x.size(); ++i) {
    for (int64_t k = 0; k < s.x[i].size(); ++k) {
      whu.add(w[i].data()[k] * hu[i].data()[k]);
      uhw.add(u[i].data()[k] * hw[i].data()[k]);
    }
  }
  const double error = relative(std::abs(whu.total - uhw.total), whu.terms + uhw.terms + s.units.magnitude);
  found.seen(error);
  if (!(error <= s.limits.symmetry))
    found.fail("the Hessian is not symmetric: <w, H u> = {}, <u, H w> = {}", whu.total, uhw.total);
}

/// Compares entry k of the part of H u that belongs to input i with differences of gradients; whether it agrees.
bool agrees_alone(const Subject& s, Findings& found, size_t i, int64_t k, const Arrays& u, const Array<double>& hu) {
  const double analytic = hu.data()[k];
  const auto rise = [&](double t) { return s.gradient_at(i, u, t).data()[k] - s.grads[i].data()[k]; };
  const Slope slope =
      compare_slope(rise, analytic, 1,
                    {.relative = s.limits.hessian * s.inputs[i].slack, .unit = largest(hu), .noise = noise(s, i) / 8});
  found.seen(s.limits.hessian * relative(std::abs(analytic - slope.numeric), slope.allowed));
  if (slope.verdict == Slope::Verdict::agrees) return true;
  if (slope.verdict == Slope::Verdict::kink) {
    found.kink(
        "{}: a kink of the gradient: slope {} on one side and {} on the other, within {} of a direction: choose an "
        "input away from it",
        s.where(i, k), slope.left, slope.right, slope.step);
  } else {
    found.fail("{}: Hessian times a direction: analytic {}, numeric {} by differences of gradients", s.where(i, k),
               analytic, slope.numeric);
  }
  return false;
}

/// Compares the part of H u that belongs to input i with 4-point differences of gradients
/// (ops/gradcheck/differences.h), of all entries at once, at the step where they are nearest. Those that do not agree
/// there are judged one by one, up to the first that fails.
void check_part(const Subject& s, Findings& found, size_t i, const Arrays& u, const Array<double>& hu) {
  const auto two_point = [&](double h) {
    const Array<double> rise = moved(s.gradient_at(i, u, h), s.gradient_at(i, u, -h), -1);
    return moved(Array<double>(rise.shape()), rise, 1 / (2 * h));
  };
  double best = std::numeric_limits<double>::infinity();
  std::vector<int64_t> suspects;
  for (const double step : {0x1p-8, 0x1p-12, 0x1p-16, 0x1p-20, 0x1p-24}) {
    const Array<double> a = two_point(step), b = two_point(step / 2);
    const Array<double> numeric = moved(b, moved(b, a, -1), 1. / 3);
    const double allowed =
        s.limits.hessian * s.inputs[i].slack * std::max(largest(hu), largest(numeric)) + noise(s, i) / step;
    const double worst = relative(largest(moved(hu, numeric, -1)), allowed);
    if (!(worst < best)) continue;
    best = worst;
    suspects.clear();
    for (int64_t k = 0; k < hu.size(); ++k) {
      if (!(std::abs(hu.data()[k] - numeric.data()[k]) <= allowed)) suspects.push_back(k);
    }
    if (best <= kWell) break;
  }
  if (suspects.empty()) return found.seen(s.limits.hessian * best);
  for (const int64_t k : suspects) {
    if (!agrees_alone(s, found, i, k, u, hu)) return;
  }
}

}  // namespace

void check_backward_on_dual(Subject& s, Findings& found) {
  if (!found.takes(Way::backward_on_dual, s.limits.on_dual)) return;
  const Pass<Dual> pass(s.f.dual, with_slopes(s.x, s.random_direction()), cast<Dual>(s.v));
  for (size_t i = 0; i < s.x.size(); ++i) {
    for (int64_t k = 0; k < s.x[i].size(); ++k) {
      const double now = pass.grads[i].data()[k].value, before = s.grads[i].data()[k];
      if (found.agrees(i, relative(std::abs(now - before), s.units.of(i)))) continue;
      found.fail("{}: backward on Dual has another value: {} instead of {}", s.where(i, k), now, before);
      break;
    }
  }
}

void check_hessian(Subject& s, Findings& found) {
  if (!found.takes(Way::symmetry) && !found.takes(Way::hessian)) return;
  const Arrays u = s.random_direction();
  const Arrays hu = s.hessian_times(u);
  check_symmetry(s, found, u, hu);
  if (!found.takes(Way::hessian, s.limits.hessian)) return;
  for (size_t i = 0; i < s.x.size(); ++i) check_part(s, found, i, u, hu[i]);
}

}  // namespace orthoread
