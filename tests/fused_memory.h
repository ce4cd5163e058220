// Runs the fused memory and its composed twin on the same inputs, with each instruction set.
#pragma once

#include "core/parallel.h"
#include "ops/mlstm.h"
#include "ops/mlstm_composed.h"
#include "ops/simd/instruction_set.h"
#include "tests/support.h"

namespace orthoread {

/// Restores the instruction set and the number of threads at the end.
struct KeepSettings {
  KeepSettings() = default;
  KeepSettings(const KeepSettings&) = delete;
  KeepSettings& operator=(const KeepSettings&) = delete;
  ~KeepSettings() {
    set_instruction_set(set);
    set_threads(count);
  }

  const InstructionSet set = instruction_set();
  const int count = threads();
};

#if defined(ORTHOREAD_SANITIZED)
constexpr bool kSanitized = true;
#else
constexpr bool kSanitized = false;
#endif

/// The instruction sets to test: all that this processor supports. With sanitizers, only the set that they can check
/// (CMakeLists.txt); builds without them test all.
inline std::vector<InstructionSet> tested_instruction_sets() {
  std::vector<InstructionSet> sets;
  for (const InstructionSet set : kInstructionSets)
    if (supported(set) && (set == InstructionSet::baseline || !kSanitized)) sets.push_back(set);
  return sets;
}

/// Calls body() with each of these sets.
template <class Body>
void with_each_instruction_set(const Body& body) {
  const KeepSettings keep;
  for (const InstructionSet set : tested_instruction_sets()) {
    set_instruction_set(set);
    CAPTURE(std::string(name(set)));
    body();
  }
}

/// Query, key, value (B, S, H d), input gate and log forget gate (B, S, H).
template <Real T>
using Inputs = std::vector<Array<T>>;

enum { query, key, value, input_gate, log_forget };

inline std::string title(const MemoryRead& read) { return fmt::format("{}, alpha {}", read.name(), read.alpha); }

/// h, and the five gradients of <dh, h>.
template <Real T>
using Results = std::vector<Array<T>>;
inline const char* const kNames[] = {"h", "dq", "dk", "dv", "d input gate", "d log forget"};

template <Real T, class Memory>
Results<T> run(const Memory& memory, const Inputs<double>& x, const Array<double>& dh) {
  std::vector<Tensor<T>> leaves;
  for (const Array<double>& a : x) leaves.push_back(Tensor<T>::leaf(cast<T>(a)));
  const Tensor<T> h = memory(leaves);
  backward(h, cast<T>(dh));
  Results<T> results = {h.value()};
  for (const Tensor<T>& leaf : leaves) {  // the composed raw read does not use the first token's forget gate
    results.push_back(leaf.grad().defined() ? leaf.grad() : Array<T>(leaf.shape()));
  }
  return results;
}

template <Real T>
Results<T> fused(const Inputs<double>& x, const MemoryRead& read, const Array<double>& dh, const ReadMask& mask = {}) {
  return run<T>([&](const auto& y) { return mlstm(y[0], y[1], y[2], y[3], y[4], read, mask); }, x, dh);
}
template <Real T>
Results<T> twin(const Inputs<double>& x, const MemoryRead& read, const Array<double>& dh) {
  return run<T>([&](const auto& y) { return mlstm_composed(y[0], y[1], y[2], y[3], y[4], read); }, x, dh);
}

/// The scale by which the error of each result is divided: its largest absolute value; for the gradient of an input x
/// at least |dh|.|h| / |x|, and for that of a gate at least |dh|.|h|, the largest of any head and token.
///
/// The reason: a gradient may be a difference of such terms. h hardly depends on the scale of q, of all keys or of
/// exp(gates), which the denominator cancels; and for ns reads, not on the scale of v. With one token in the memory,
/// the exact gradients of the gates (and of q for the raw read) are 0 up to eps, so any computed value consists of the
/// rounding errors of those terms.
inline std::vector<double> sizes(const Inputs<double>& x, const Array<double>& dh, const Results<double>& results) {
  const int64_t d = dh.dim(2) / x[input_gate].dim(2);
  double terms = 0;
  for (int64_t i = 0; i < dh.size(); i += d) {
    double sum = 0;
    for (int64_t c = i; c < i + d; ++c) sum += std::abs(dh.data()[c] * results[0].data()[c]);
    terms = std::max(terms, sum);
  }
  std::vector<double> sizes = {largest(results[0])};
  for (size_t input = 0; input < x.size(); ++input) {
    const double scale = input >= input_gate ? 1 : largest(x[input]);
    sizes.push_back(std::max(largest(results[1 + input]), scale > 0 ? terms / scale : 0));
  }
  return sizes;
}

/// Checks the results against expected ones, with errors relative to the sizes above.
template <Real T>
void check_close(const Inputs<double>& x, const Array<double>& dh, const Results<T>& actual,
                 const Results<double>& expected, double limit) {
  const std::vector<double> size = sizes(x, dh, expected);
  for (size_t r = 0; r < expected.size(); ++r) {
    REQUIRE(actual[r].shape() == expected[r].shape());
    double worst = 0;
    for (int64_t i = 0; i < expected[r].size(); ++i) {
      const double error = std::abs(value_of(actual[r].data()[i]) - expected[r].data()[i]);
      if (!(error <= worst || std::isnan(worst))) worst = error;  // a NaN stays
    }
    if (worst == 0) continue;  // a size may be 0, too
    CHECK_MESSAGE(worst / size[r] <= limit, fmt::format("{} is off by {:.1e}", kNames[r], worst / size[r]));
  }
}

}  // namespace orthoread
