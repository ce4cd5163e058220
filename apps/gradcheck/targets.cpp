#include "apps/gradcheck/targets.h"

#include "apps/gradcheck/matrix_checks.h"
#include "apps/gradcheck/op_checks.h"

namespace orthoread {
namespace {

/// A row for each polynomial and number of steps, over all ranks, conditions and scales.
std::vector<CheckGroup> newton_schulz_groups(uint64_t seed) {
  std::vector<CheckGroup> groups;
  for (const std::string polynomial : {"cubic", "quintic"}) {
    for (int steps = 0; steps <= kMostReadSteps; ++steps) {
      CheckGroup group{"newton_schulz", fmt::format("{}, {} steps", polynomial, steps), {}};
      MatrixCase matrix{.polynomial = polynomial, .steps = steps, .seed = seed};
      for (matrix.rank = 1; matrix.rank <= matrix.width; ++matrix.rank) {
        for (const double condition : {1., 1e4, 1e8}) {
          if (matrix.rank == 1 && condition != 1) continue;
          for (const double scale : {1e-8, 1., 1e8}) {
            matrix.condition = condition;
            matrix.scale = scale;
            group.checks.emplace_back([matrix] { return check_newton_schulz(matrix); });
          }
        }
      }
      groups.push_back(std::move(group));
    }
  }
  return groups;
}

/// A row for each read, before and after the group norm: short sequences with all kinds of keys, and long ones.
std::vector<CheckGroup> read_groups(uint64_t seed) {
  std::vector<std::pair<std::string, double>> reads = {{"raw", 1}};
  for (int steps = 0; steps <= kMostReadSteps; ++steps) reads.emplace_back(fmt::format("ns{}", steps), 1);
  reads.insert(reads.end(), {{"ns5", 0.7}, {"ns5", 0.3}, {"ns2", 0}});
  struct Keys {
    int64_t rank;
    double condition, scale;
  };
  std::vector<CheckGroup> groups;
  for (const bool normed : {false, true}) {
    for (const auto& [read, alpha] : reads) {
      const std::string blend = alpha == 1 ? "" : fmt::format(" blended by {:g}", alpha);
      CheckGroup group{"read", read + blend + (normed ? ", group norm" : ""), {}};
      for (const Keys& keys :
           {Keys{1, 1, 1}, Keys{3, 1, 1}, Keys{5, 1, 1}, Keys{5, 1e4, 1}, Keys{5, 1e8, 1}, Keys{3, 1, 1e-8}}) {
        const MatrixCase memory{.read = read,
                                .alpha = alpha,
                                .normed = normed,
                                .rank = keys.rank,
                                .sequences = 1,
                                .tokens = 6,
                                .condition = keys.condition,
                                .scale = keys.scale,
                                .seed = seed};
        group.checks.emplace_back([memory] { return check_read(memory); });
      }
      groups.push_back(std::move(group));
    }
  }
  for (const bool masked : {false, true}) {
    CheckGroup group{"read", masked ? "two chunks, some read" : "two chunks", {}};
    for (const char* read : {"raw", "ns0", "ns5"}) {
      for (const int64_t width : {5, 12}) {  // several tokens at once, and token by token (ops/memory/head.h)
        const MatrixCase memory{.read = read, .normed = true, .width = width, .masked = masked, .seed = seed};
        group.checks.emplace_back([memory] { return check_read(memory); });
      }
    }
    groups.push_back(std::move(group));
  }
  return groups;
}

}  // namespace

std::vector<std::string> check_targets() {
  std::vector<std::string> names = {"newton_schulz", "read"};
  for (const std::string& op : checked_ops()) names.push_back(op);
  names.emplace_back("model");
  return names;
}

std::vector<CheckGroup> check_groups(const std::string& target, uint64_t seed) {
  if (target == "newton_schulz") return newton_schulz_groups(seed);
  if (target == "read") return read_groups(seed);
  if (target == "model") {
    std::vector<CheckGroup> groups;
    for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(5)})
      groups.push_back({target, read.name(), {[=] { return check_model(read, seed); }}});
    return groups;
  }
  return {{target, "", {[target, seed] { return check_op(target, seed); }}}};
}

}  // namespace orthoread
