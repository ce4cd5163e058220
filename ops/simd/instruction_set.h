// The instruction sets that kernels are compiled for, and the one that is in use.
#pragma once

namespace orthoread {

enum class InstructionSet { baseline, avx2, avx512 };
/// All of them, the widest registers last.
inline constexpr InstructionSet kInstructionSets[] = {InstructionSet::baseline, InstructionSet::avx2,
                                                      InstructionSet::avx512};

const char* name(InstructionSet set);

/// Whether this program has kernels for the set and this processor can run them.
bool supported(InstructionSet set);

/// The set in use: at first the best one supported, or the one that the environment variable ORTHOREAD_ISA names. It
/// must not change between an op's forward and its backward: some buffers are laid out for one set.
InstructionSet instruction_set();
void set_instruction_set(InstructionSet set);

}  // namespace orthoread
