#include "ops/gradcheck/subject.h"

#include "ops/gradcheck/sampling.h"

namespace orthoread {

Subject::Subject(const std::vector<Input>& inputs_, const Functions& f_, const GradientLimits& limits_)
    : inputs(inputs_), f(f_), limits(limits_), random(limits.seed), x(drawn(inputs, random)) {}

void Subject::run() {
  {
    const NoGrad no_history;
    const std::vector<Tensor<double>> ys = f.f64({x.begin(), x.end()});
    for (const Tensor<double>& output : ys) shapes.push_back(output.shape());
    y = joined(ys).value();
  }
  v = normal_array(y.shape(), 1, random);
  grads = Pass<double>(f.f64, x, v).grads;
}

void Subject::measure_noise() {
  units.noise = moves_by_rounding(f.f64, x, v, y, grads, kEps, random);
  units.noise.pop_back();  // the output's
  if (!f.dual) return;
  const Arrays near_by = rounded(x, kEps, random);
  for (size_t i = 0; i < x.size(); ++i) {
    const Arrays u = only(x, i, normal_array(x[i].shape(), 1, random));
    const double moves = dot(v, moved(along(near_by, u), along(x, u), -1)).terms;
    units.noise[i] = std::max(units.noise[i], relative(moves, largest(u[i])));
  }
}

Arrays Subject::random_direction() {
  Arrays u;
  for (size_t i = 0; i < x.size(); ++i) u.push_back(normal_array(x[i].shape(), units.scale[i], random));
  return u;
}

std::string index_text(const Shape& shape, int64_t i) {
  Shape index(shape.size());
  for (size_t axis = shape.size(); axis-- > 0; i /= shape[axis]) index[axis] = i % shape[axis];
  return fmt::format("{}", index);
}

std::string Subject::where(size_t i, int64_t k) const {
  return fmt::format("{} at {}", title(inputs, i), index_text(x[i].shape(), k));
}

std::string Subject::where_in_output(int64_t k) const {
  size_t output = 0;
  while (k >= count(shapes[output])) k -= count(shapes[output++]);
  return fmt::format("output{} at {}", shapes.size() > 1 ? fmt::format(" {}", output) : "",
                     index_text(shapes[output], k));
}

Array<double> Subject::forward(const Arrays& at) const {
  const NoGrad no_history;
  return joined(f.f64({at.begin(), at.end()})).value();
}

Array<Dual> Subject::forward_on_dual(const Arrays& at, const Arrays& u) const {
  const NoGrad no_history;
  const std::vector<Array<Dual>> dual = with_slopes(at, u);
  return joined(f.dual({dual.begin(), dual.end()})).value();
}

Array<double> Subject::along(const Arrays& at, const Arrays& u) const { return slopes_of(forward_on_dual(at, u)); }

double Subject::partial(size_t i, int64_t k) const {
  return dot(v, along(x, only(x, i, unit_vector(x[i].shape(), k)))).total;
}

Slope Subject::slope(const Arrays& u, double analytic, double unit, double scale) const {
  const auto rise = [&](double t) { return dot(v, moved(forward(moved(x, u, t)), y, -1)).total; };
  return compare_slope(
      rise, analytic, scale,
      {.relative = limits.difference, .unit = unit, .noise = kEps * (dot(v, y).terms + units.magnitude)});
}

Slope Subject::slope(size_t i, int64_t k) const {
  return slope(only(x, i, unit_vector(x[i].shape(), k)), grads[i].data()[k], units.steepest[i] * inputs[i].slack,
               units.scale[i]);
}

Array<double> Subject::gradient_at(size_t i, const Arrays& u, double c) const {
  Want want(x.size(), false);
  want[i] = true;
  return Pass<double>(f.f64, moved(x, u, c), v, want).grads[i];
}

Arrays Subject::hessian_times(const Arrays& u) const {
  const Pass<Dual> pass(f.dual, with_slopes(x, u), cast<Dual>(v));
  Arrays product;
  for (const Array<Dual>& grad : pass.grads) product.push_back(slopes_of(grad));
  return product;
}

}  // namespace orthoread
