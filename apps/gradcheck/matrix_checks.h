// Checks in depth: matrices and memories of given rank, condition and scale, and a small model.
#pragma once

#include "ops/gradcheck/gradient_check.h"
#include "ops/memory_read.h"

namespace orthoread {

/// A matrix, or the memory that a sequence leaves, and what is done with it.
struct MatrixCase {
  std::string polynomial = "cubic";  // of newton_schulz: cubic or quintic
  std::string read = "ns5";          // of the memory: raw or ns<k>
  int steps = 5;                     // of newton_schulz
  double alpha = 1;                  // share of the orthogonalized memory in what is read
  bool normed = false;               // whether the group norm follows the read
  int64_t width = 5, rank = 5;       // of the matrix, or of a head; of a memory the rank is that of its keys
  int64_t sequences = 2;             // of the memory
  int64_t tokens = 37;               // of each: a chunk of 32 (ops/memory/state.h) and a short one
  bool masked = false;               // whether some of its outputs are not wanted
  double condition = 1;  // the largest singular value over the smallest that is not 0; of keys, of their values
  double scale = 1;      // the largest singular value; of the values
  uint64_t seed = 1;
};

/// The gradients of newton_schulz at a matrix of the case's kind.
GradientReport check_newton_schulz(const MatrixCase& matrix);
/// The gradients of the fused memory, and its twin.
GradientReport check_read(const MatrixCase& memory);
/// The loss of a small model with respect to all of its parameters.
GradientReport check_model(const MemoryRead& read, uint64_t seed);

}  // namespace orthoread
