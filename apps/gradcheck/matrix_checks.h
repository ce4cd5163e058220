// Checks in depth: matrices and memories of given rank, condition and scale, and a small model.
#pragma once

#include "ops/gradcheck/gradient_check.h"
#include "ops/memory_read.h"

namespace orthoread {

/// A matrix, or the memory that a sequence writes, and the op that is checked on it. The singular values of a memory
/// are the scales of the values that its orthonormal keys are written with.
struct MatrixCase {
  std::string polynomial = "cubic";  // of newton_schulz: cubic or quintic
  std::string read = "ns5";          // of the memory: raw or ns<k>
  int steps = 5;                     // of newton_schulz
  double alpha = 1;                  // weight of the orthogonalized memory in the read
  bool normed = false;               // whether a group norm follows the read
  int64_t width = 5, rank = 5;       // of the matrix; of a memory: width of a head, rank of its keys
  int64_t sequences = 2;             // of the memory
  int64_t tokens = 37;               // of each: a chunk of 32 (ops/memory/state.h) and a short one
  bool masked = false;               // whether only some tokens are read
  double condition = 1;              // the largest over the smallest nonzero singular value
  double scale = 1;                  // the largest singular value
  uint64_t seed = 1;
};

/// The gradients of newton_schulz at such a matrix.
GradientReport check_newton_schulz(const MatrixCase& matrix);
/// The gradients of the fused memory, and a comparison with its twin.
GradientReport check_read(const MatrixCase& memory);
/// The gradients of a small model's loss with respect to all parameters.
GradientReport check_model(const MemoryRead& read, uint64_t seed);

}  // namespace orthoread
