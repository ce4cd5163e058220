#include "apps/gradcheck/op_checks.h"

#include "apps/op_table.h"

#include <algorithm>

namespace orthoread {
namespace {

const OpExample* find(const std::string& name) {
  const std::vector<OpEntry>& table = op_table();
  const auto at = std::find_if(table.begin(), table.end(), [&](const OpEntry& op) { return op.name == name; });
  return at == table.end() || !at->example ? nullptr : &*at->example;
}

}  // namespace

std::vector<std::string> checked_ops() {
  std::vector<std::string> names;
  for (const OpEntry& op : op_table())
    if (op.example) names.push_back(op.name);
  return names;
}

bool is_checked_op(const std::string& name) { return find(name) != nullptr; }

GradientReport check_op(const std::string& name, uint64_t seed) {
  const OpExample* op = find(name);
  check(op != nullptr, "gradcheck: no op is called {}", name);
  // Rounding errors: at least twice the largest of seeds 1 to 200 (docs/gradient-checking.md).
  const GradientLimits limits{.dual = 5e-15, .on_dual = 1e-14, .symmetry = 5e-15, .float32 = 4, .seed = seed};
  return op->twin ? fused_report(name, op->inputs, op->f, *op->twin, 1e-14, limits)
                  : gradient_report(name, op->inputs, op->f, limits);
}

}  // namespace orthoread
