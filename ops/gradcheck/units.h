// What the errors of gradients are relative to, and how far rounding alone moves them.
#pragma once

#include "ops/gradcheck/passes.h"

namespace orthoread {

/// How far the gradients and, last, the output move if every input and the cotangent is rounded, by `eps` of each
/// number up or down: the most of a few random roundings.
std::vector<double> moves_by_rounding(const Function<double>& f, const Arrays& x, const Array<double>& v,
                                      const Array<double>& y, const Arrays& grads, double eps, RandomStream& random);

/// What errors of gradients are relative to: the largest entry, or, where the gradient cancels out or much larger
/// numbers pass through it, a size of those, so that rounding errors alone are no failure. That size is seen where the
/// inputs are rounded differently: what moves by `noise` came of numbers near noise / eps. As any gradient moves by a
/// few eps of itself, a sixteenth of that is taken beyond a tenth of the largest gradient that the function has,
/// relative to the input's scale; and never more than a hundred times that, or any gradient would pass where rounding
/// moves everything.
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
