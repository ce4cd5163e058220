#include "ops/simd/instruction_set.h"

#include <atomic>
#include <cstdlib>
#include <string_view>

namespace orthoread {
namespace {

InstructionSet first_choice() {
  InstructionSet best = InstructionSet::baseline;
  const char* requested = std::getenv("ORTHOREAD_ISA");
  for (const InstructionSet set : kInstructionSets) {
    if (!supported(set)) continue;
    best = set;
    if (requested && std::string_view(requested) == name(set)) break;
  }
  return best;
}

std::atomic<InstructionSet>& choice() {
  static std::atomic<InstructionSet> set = first_choice();
  return set;
}

}  // namespace

const char* name(InstructionSet set) {
  switch (set) {
    case InstructionSet::avx512:
      return "avx512";
    case InstructionSet::avx2:
      return "avx2";
    default:
      return "baseline";
  }
}

bool supported(InstructionSet set) {
#if defined(ORTHOREAD_X86)
  switch (set) {
    case InstructionSet::avx512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
             __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("fma");
    case InstructionSet::avx2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    default:
      return true;
  }
#else
  return set == InstructionSet::baseline;
#endif
}

InstructionSet instruction_set() { return choice().load(std::memory_order_relaxed); }
void set_instruction_set(InstructionSet set) { choice() = supported(set) ? set : InstructionSet::baseline; }

}  // namespace orthoread
