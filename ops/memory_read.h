// How the matrix memory is read: a choice that the composed and the fused memory share.
#pragma once

#include <string>
#include <string_view>

namespace orthoread {

/// More steps than this the fused memory does not take: its series would grow too long.
constexpr int kMostReadSteps = 10;

/// raw: C^T q. Otherwise (alpha NS_steps(C) + (1 - alpha) C)^T q, with NS the cubic Newton-Schulz iteration. Both are
/// then divided by max(|q·n|, exp(-m)) + 1e-6.
struct MemoryRead {
  bool orthogonalized = true;  // false: raw
  int steps = 5;               // of Newton-Schulz
  double alpha = 1;            // how much of the orthogonalized matrix, the rest being C itself

  /// C^T q.
  static MemoryRead raw() { return {false, 0, 0}; }
  /// Through this many steps.
  static MemoryRead ns(int steps, double alpha = 1) { return {true, steps, alpha}; }
  /// "raw" or "ns<k>" with k from 0 to 10; an error for any other text.
  static MemoryRead parse(std::string_view text);
  /// What parse() takes; alpha is not part of it.
  std::string name() const;
};

/// The guard of both divisions: by the norm of C, and by the normaliser.
constexpr double kMemoryEps = 1e-6;

}  // namespace orthoread
