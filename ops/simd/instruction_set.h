// The instruction sets that kernels are compiled for, and the one in use.
#pragma once

namespace orthoread {

enum class InstructionSet { baseline, avx2, avx512 };
/// All of them, the widest registers last.
inline constexpr InstructionSet kInstructionSets[] = {InstructionSet::baseline, InstructionSet::avx2,
                                                      InstructionSet::avx512};

const char* name(InstructionSet set);

/// Whether the program has kernels for the set and the processor can execute them.
bool supported(InstructionSet set);

/// The set in use: initially the one named by the environment variable ORTHOREAD_ISA, if supported, else the best
/// supported one. It must not change between the forward and the backward of an op, because the layout of some buffers
/// depends on it.
InstructionSet instruction_set();
void set_instruction_set(InstructionSet set);

}  // namespace orthoread
