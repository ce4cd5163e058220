// What the errors of gradients are relative to, and how far rounding alone moves them.
#pragma once

#include "ops/gradcheck/passes.h"

namespace orthoread {

/// How far the gradients and, last, the output move if every input and the cotangent is rounded, by `eps` of each
/// number up or down: the most of a few random roundings.
std::vector<double> moves_by_rounding(const Function<double>& f, const Arrays& x, const Array<double>& v,
                                      const Array<double>& y, const Arrays& grads, double eps, RandomStream& random);

/// What errors of gradients are relative to: the largest entry. But where a gradient cancels out, or much larger
/// numbers pass through it, rounding alone makes larger errors. The size of those numbers is measured by rounding the
/// inputs differently: a gradient that moves by `noise` came of numbers near noise / eps. Errors may be relative to
/// that size, up to a tenth of the largest gradient that the function has, relative to the input's scale. Beyond it a
/// sixteenth of the size counts, as any gradient moves by a few eps of itself, and never more than a hundred times the
/// largest gradient, or any gradient would pass where rounding moves everything.
struct Units {
  std::vector<double> scale = {};     // of each input: its largest number
  std::vector<double> steepest = {};  // the largest entry of each gradient
  double magnitude = 0;               // the largest entry of a gradient times its input's scale
  std::vector<double> noise = {};     // how far an entry of each gradient moves where the inputs are rounded

  Units() = default;
  Units(const Arrays& x, const Arrays& grads);

  double relative_to_scale(size_t i) const { return magnitude / scale[i]; }  // the largest gradient
  double floor(size_t i) const {
    const double seen = noise[i] / kEps, most = relative_to_scale(i);
    return std::max(std::min(seen, most / 10), std::min(seen / 16, 100 * most));
  }
  /// For a part of the gradient of input i whose largest entry is this.
  double of(size_t i, double largest) const { return std::max(largest, floor(i)); }
  /// For the gradient of input i.
  double of(size_t i) const { return of(i, steepest[i]); }
};

}  // namespace orthoread
