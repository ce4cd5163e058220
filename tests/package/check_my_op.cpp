#include "ops/elementwise.h"
#include "ops/gradcheck/gradient_check.h"

int main() {
  const auto swish = [](const auto& x) { return x[0] * sigmoid(x[1] * x[0]); };
  const orthoread::GradientReport report = orthoread::gradient_report("swish", {{3, 4}, {4}}, swish);
  fmt::print("{}", to_text(report));
  return report.passed() ? 0 : 1;
}
