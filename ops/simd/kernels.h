// Tables of kernels, such as RowKernels<T>. CMakeLists.txt compiles the source of each table once for every instruction
// set and type, ORTHOREAD_ISA and ORTHOREAD_NUMBER. Each compilation defines kernels_of for them.
#pragma once

#include "core/real.h"
#include "ops/simd/instruction_set.h"

#include <concepts>

namespace orthoread {

template <class Table, InstructionSet set>
const Table& kernels_of();

/// The table for the set in use. Dual always uses the baseline's.
template <template <Real> class Table, Real T>
const Table<T>& kernels() {
#if defined(ORTHOREAD_X86)
  if constexpr (!std::same_as<T, Dual>) {
    if (instruction_set() == InstructionSet::avx512) return kernels_of<Table<T>, InstructionSet::avx512>();
    if (instruction_set() == InstructionSet::avx2) return kernels_of<Table<T>, InstructionSet::avx2>();
  }
#endif
  return kernels_of<Table<T>, InstructionSet::baseline>();
}

}  // namespace orthoread
