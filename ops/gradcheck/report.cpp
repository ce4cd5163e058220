#include "ops/gradcheck/gradient_check.h"

namespace orthoread {
namespace {

std::string order(const std::optional<double>& observed) { return observed ? fmt::format("{:.1f}", *observed) : "-"; }

}  // namespace

const char* name(GradientReport::Verdict verdict) {
  switch (verdict) {
    case GradientReport::Verdict::right:
      return "right";
    case GradientReport::Verdict::kink:
      return "kink";
    case GradientReport::Verdict::wrong:
      break;
  }
  return "wrong";
}

const char* name(Way way) {
  switch (way) {
    case Way::value:
      return "value on Dual";
    case Way::dual:
      return "Dual against backward";
    case Way::jacobian:
      return "Jacobian";
    case Way::differences:
      return "differences";
    case Way::wanted:
      return "inputs that need no gradient";
    case Way::outputs:
      return "each output alone";
    case Way::aliased:
      return "one tensor passed twice";
    case Way::repeated:
      return "a second run";
    case Way::backward_on_dual:
      return "backward's value on Dual";
    case Way::symmetry:
      return "symmetry of the Hessian";
    case Way::hessian:
      return "Hessian by differences";
    case Way::float32:
      return "float32, in roundings of the inputs";
    case Way::twin:
      return "twin";
    case Way::twin_float32:
      break;
  }
  return "float32, in errors of the twin";
}

std::string to_text(const GradientReport& report) {
  std::string text = fmt::format("{}: {}\n", report.name, name(report.verdict()));
  for (const std::vector<std::string>* lines : {&report.failures, &report.kinks}) {
    for (const std::string& line : *lines) text += fmt::format("  {}\n", line);
  }
  if (report.ways.empty()) return text;  // it ended before there was anything to compare
  text += fmt::format("\n{:<36}{:>10}{:>10}\n", "way", "worst", "allowed");
  for (const WayReport& way : report.ways)
    text += fmt::format("{:<36}{:>10.2g}{:>10.2g}\n", name(way.way), way.worst, way.limit);

  text += fmt::format("\n{:<32}{:<14}{:>9}{:>8}  {:>18}  {:>18}  {:>11}{:>8}\n", "", "", "largest", "entries",
                      "against Dual", "differences", "orders", "float32");
  text += fmt::format("{:<32}{:<14}{:>9}{:>8}  {:>9}{:>9}  {:>9}{:>9}  {:>11}{:>8}\n", "input", "shape", "gradient",
                      "tried", "median", "most", "median", "most", "2- and 4-pt", "ratio");
  for (const InputReport& input : report.inputs) {
    text += fmt::format("{:<32}{:<14}{:>9.2g}{:>8}  {:>9.1e}{:>9.1e}  {:>9.1e}{:>9.1e}  {:>6}{:>5}{:>8.1f}\n",
                        input.name, fmt::format("{}", input.shape), input.largest, input.compared, input.dual_median,
                        input.dual_most, input.difference_median, input.difference_most, order(input.order2),
                        order(input.order4), input.float32);
  }
  text += fmt::format("\n{:<32}{:<14}{:>24}{:>24}{:>24}{:>10}{:>10}\n", "worst entries", "at", "backward", "Dual",
                      "differences", "absolute", "relative");
  for (const InputReport& input : report.inputs) {
    for (const EntryReport& entry : input.worst) {
      text += fmt::format("{:<32}{:<14}{:>24.16g}{:>24.16g}{:>24.16g}{:>10.1e}{:>10.1e}\n", input.name, entry.at,
                          entry.analytic, entry.dual, entry.difference, entry.absolute, entry.relative);
    }
  }
  return text;
}

}  // namespace orthoread
