// What is checked: a function at a point, and the gradient that backward computed there. And what it is checked
// against: the other ways to the derivatives of L = <v, f(x)>.
#pragma once

#include "ops/gradcheck/differences.h"
#include "ops/gradcheck/units.h"

namespace orthoread {

/// A function f at the point x with the outputs y, and the gradient of L for a random cotangent v. Only what draws
/// random numbers is not const.
struct Subject {
  const std::vector<Input>& inputs;
  const Functions& f;
  const GradientLimits& limits;
  RandomStream random;
  Arrays x;
  std::vector<Shape> shapes = {};  // of the outputs
  Array<double> y = {}, v = {};    // the outputs, joined, and the cotangent
  Arrays grads = {};               // what backward computed, to be checked
  Units units = {};                // what its errors are relative to

  /// Draws the inputs. References to the arguments are kept.
  Subject(const std::vector<Input>& inputs, const Functions& f, const GradientLimits& limits);

  /// Runs f and backward.
  void run();
  /// units.noise: how far the gradients move where every input is rounded differently, by backward and by Dual.
  void measure_noise();

  // In words.

  /// "input 0 at [1, 2]": an entry of an input.
  std::string where(size_t i, int64_t k) const;
  /// "output at [1, 2]", or "output 3 at [1, 2]" of several, for a number of the joined outputs.
  std::string where_in_output(int64_t k) const;

  // Forwards.

  /// All outputs, joined.
  Array<double> forward(const Arrays& at) const;
  /// The same on Dual, along the direction u.
  Array<Dual> forward_on_dual(const Arrays& at, const Arrays& u) const;

  // First derivatives.

  /// J u by Dual.
  Array<double> along(const Arrays& at, const Arrays& u) const;
  /// The partial derivative of L by Dual.
  double partial(size_t i, int64_t k) const;
  /// <v, J u> by differences, judged. `unit` is what errors are relative to, `scale` the size of x along u.
  Slope slope(const Arrays& u, double analytic, double unit, double scale) const;
  /// The partial derivative by differences, judged.
  Slope slope(size_t i, int64_t k) const;
  /// Whether L has a kink at this entry.
  bool has_kink(size_t i, int64_t k) const { return slope(i, k).verdict == Slope::Verdict::kink; }
  /// By backward, of input i at x + c u.
  Array<double> gradient_at(size_t i, const Arrays& u, double c) const;

  // Second derivatives.

  /// H u by backward on Dual, one part for each input, H being the second derivative of L.
  Arrays hessian_times(const Arrays& u) const;

  /// A random direction in all inputs, each relative to its scale.
  Arrays random_direction();
};

/// Where the i-th number of an array of this shape is: "[1, 2]".
std::string index_text(const Shape& shape, int64_t i);

}  // namespace orthoread
