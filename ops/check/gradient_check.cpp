#include "ops/check/gradient_check.h"

#include "core/parallel.h"
#include "ops/check/differences.h"
#include "ops/check/passes.h"

namespace orthoread {
namespace {

// What the rounding error of a gradient that cancels out is measured by: a part of the gradient, relative to the
// input's scale, of the input that has the largest one.
constexpr double kFloor = 0.1;
constexpr int kProbes = 3;    // random directions for each input
constexpr size_t kWorst = 3;  // entries of an input in the report

double median(std::vector<double> x) {
  if (x.empty()) return 0;
  const auto middle = x.begin() + static_cast<std::ptrdiff_t>(x.size() / 2);
  std::nth_element(x.begin(), middle, x.end());
  return *middle;
}

/// The same numbers in a buffer of its own.
Array<double> copied(const Array<double>& x) { return {x.shape(), values(x)}; }

Array<double> unit(const Shape& shape, int64_t k) {
  Array<double> e(shape);
  e.edit()[k] = 1;
  return e;
}

/// Where the i-th number of an array of this shape is: "[1, 2]".
std::string index_text(const Shape& shape, int64_t i) {
  Shape index(shape.size());
  for (size_t axis = shape.size(); axis-- > 0; i /= shape[axis]) index[axis] = i % shape[axis];
  return fmt::format("{}", index);
}

/// Sets the number of threads and, at the end, sets it back.
class WithThreads {
 public:
  explicit WithThreads(int n) : before_(threads()) { set_threads(n); }
  ~WithThreads() { set_threads(before_); }
  WithThreads(const WithThreads&) = delete;
  WithThreads& operator=(const WithThreads&) = delete;

 private:
  int before_;
};

class Checker {
 public:
  Checker(const std::string& name, const std::vector<Input>& inputs, const Functions& f, const GradientLimits& limits)
      : f_(f), limits_(limits), random_(limits.seed), x_(drawn(inputs, random_)) {
    report_.name = name;
    for (size_t i = 0; i < x_.size(); ++i) {
      report_.inputs.push_back({.name = title(inputs, i), .shape = x_[i].shape()});
      const double most = largest(x_[i]);
      scale_.push_back(most > 0 ? most : 1);
    }
  }

  GradientReport run() {
    try {
      check_all();
    } catch (const std::exception& error) {
      fail("{}", error.what());
    }
    return report_;
  }

 private:
  template <class... Args>
  void fail(fmt::format_string<Args...> format, Args&&... args) {
    report_.failures.push_back(report_.name + ": " + fmt::format(format, std::forward<Args>(args)...));
  }

  std::string where(size_t i, int64_t k) const {
    return fmt::format("{} at {}", report_.inputs[i].name, index_text(x_[i].shape(), k));
  }

  void check_all() {
    y_ = forward(x_);
    v_ = normal_array(y_.shape(), 1, random_);
    grads_ = Pass<double>(f_.f64, x_, v_).grads;
    check_finite();
    if (!report_.failures.empty()) return;  // there is nothing to compare with
    for (size_t i = 0; i < x_.size(); ++i) {
      report_.inputs[i].largest = largest(grads_[i]);
      magnitude_ = std::max(magnitude_, report_.inputs[i].largest * scale_[i]);
    }
    report_.ways.push_back({"Dual against backward", 0, limits_.dual});
    for (size_t i = 0; i < x_.size(); ++i) check_dual(i);
    check_jacobian();
    report_.ways.push_back({"differences", 0, limits_.difference});
    for (size_t i = 0; i < x_.size(); ++i) check_entries(i);
    check_wanted();
    check_aliased();
    check_repeated();
    if (!report_.kinks.empty()) return;  // float, and a step away, may be on the other side
    check_hessian();
    check_float();
  }

  void seen(double error) { report_.ways.back().worst = std::max(report_.ways.back().worst, error); }

  Array<double> forward(const Arrays& x) const {
    const NoGrad no_history;
    return f_.f64({x.begin(), x.end()}).value();
  }

  /// J u
  Array<double> along(const Arrays& x, const Arrays& u) const {
    const NoGrad no_history;
    const std::vector<Array<Dual>> inputs = with_slopes(x, u);
    return slopes_of(f_.dual({inputs.begin(), inputs.end()}).value());
  }

  Arrays zeros() const {
    Arrays u;
    for (const Array<double>& x : x_) u.emplace_back(x.shape());
    return u;
  }

  /// u in input i, 0 in the others
  Arrays only(size_t i, Array<double> u) const {
    Arrays direction = zeros();
    direction[i] = std::move(u);
    return direction;
  }

  /// A random direction in all inputs, each relative to its scale.
  Arrays random_direction() {
    Arrays u;
    for (size_t i = 0; i < x_.size(); ++i) u.push_back(normal_array(x_[i].shape(), scale_[i], random_));
    return u;
  }

  void check_finite() {
    for (size_t i = 0; i < x_.size(); ++i) {
      for (int64_t k = 0; k < x_[i].size(); ++k) {
        if (!std::isfinite(x_[i].data()[k])) return fail("{}: the number given is {}", where(i, k), x_[i].data()[k]);
      }
    }
    for (int64_t k = 0; k < y_.size(); ++k) {
      if (!std::isfinite(y_.data()[k])) return fail("output at {}: {}", index_text(y_.shape(), k), y_.data()[k]);
    }
    for (size_t i = 0; i < grads_.size(); ++i) {
      for (int64_t k = 0; k < grads_[i].size(); ++k) {
        const double g = grads_[i].data()[k];
        if (!std::isfinite(g)) return fail("{}: analytic {}", where(i, k), g);
      }
    }
  }

  /// How far <v, J u> and <J^T v, u> are apart for this u in entries begin … end - 1 of input i.
  double dual_error(size_t i, const Array<double>& u, int64_t begin, int64_t end) const {
    Array<double> part(u.shape());
    std::copy(u.data() + begin, u.data() + end, part.edit() + begin);
    const Sum numeric = dot(v_, along(x_, only(i, std::move(part)))), analytic = dot(grads_[i], u, begin, end);
    return relative(std::abs(analytic.total - numeric.total), analytic.terms + numeric.terms + magnitude_ * kFloor);
  }

  void check_dual(size_t i) {
    const auto agrees = [&](double error) { return error <= limits_.dual; };
    for (int probe = 0; probe < kProbes; ++probe) {
      const Array<double> u = normal_array(x_[i].shape(), scale_[i], random_);
      const double error = dual_error(i, u, 0, u.size());
      seen(error);
      if (agrees(error)) continue;
      int64_t begin = 0, end = u.size();  // a range that disagrees, halved down to one entry
      while (end - begin > 1) {
        const int64_t middle = begin + (end - begin) / 2;
        (agrees(dual_error(i, u, begin, middle)) ? begin : end) = middle;
      }
      if (slope(i, begin).verdict == Slope::Verdict::kink) return;  // check_entries says so
      return fail("{}: analytic {}, numeric {} by Dual", where(i, begin), grads_[i].data()[begin], partial(i, begin));
    }
  }

  /// The partial derivative of <v, f> by Dual.
  double partial(size_t i, int64_t k) const { return dot(v_, along(x_, only(i, unit(x_[i].shape(), k)))).total; }

  /// J, its columns from Dual and its rows from backward.
  void check_jacobian() {
    int64_t inputs = 0;
    for (const Array<double>& x : x_) inputs += x.size();
    if (inputs == 0 || y_.size() == 0 || inputs + y_.size() > limits_.jacobian) return;
    report_.ways.push_back({"Jacobian", 0, limits_.dual});
    std::vector<Arrays> rows;
    for (int64_t j = 0; j < y_.size(); ++j) rows.push_back(Pass<double>(f_.f64, x_, unit(y_.shape(), j)).grads);
    double most = 0;  // |J|, relative to the inputs' scales
    for (const Arrays& row : rows) {
      for (size_t i = 0; i < x_.size(); ++i) most = std::max(most, largest(row[i]) * scale_[i]);
    }
    for (size_t i = 0; i < x_.size(); ++i) {
      for (int64_t k = 0; k < x_[i].size(); ++k) {
        const Array<double> column = along(x_, only(i, unit(x_[i].shape(), k)));
        for (int64_t j = 0; j < y_.size(); ++j) {
          const double analytic = rows[static_cast<size_t>(j)][i].data()[k], numeric = column.data()[j];
          const double error = relative(std::abs(analytic - numeric), most / scale_[i]);
          seen(error);
          if (error <= limits_.dual || slope(i, k).verdict == Slope::Verdict::kink) continue;
          return fail("{}: Jacobian, output at {}: analytic {}, numeric {} by Dual", where(i, k),
                      index_text(y_.shape(), j), analytic, numeric);
        }
      }
    }
  }

  /// The partial derivative of <v, f> by differences, judged.
  Slope slope(size_t i, int64_t k) const {
    const auto rise = [&](double t) {
      Arrays x = x_;
      x[i].edit()[k] += t;
      return dot(v_, moved(forward(x), y_, -1)).total;
    };
    const SlopeLimits limits{.relative = limits_.difference,
                             .unit = report_.inputs[i].largest,
                             .noise = kEps * (dot(v_, y_).terms + magnitude_)};
    return compare_slope(rise, grads_[i].data()[k], scale_[i], limits);
  }

  /// The entries that are looked at one by one: all of a small input, else one from each of as many equal parts.
  std::vector<int64_t> chosen(int64_t size) {
    const int64_t count = std::min(size, limits_.entries);
    std::vector<int64_t> entries;
    for (int64_t k = 0; k < count; ++k) {
      const int64_t begin = k * size / count, end = (k + 1) * size / count;
      entries.push_back(begin + static_cast<int64_t>(random_.uniform() * static_cast<double>(end - begin)));
    }
    return entries;
  }

  void check_entries(size_t i) {
    InputReport& input = report_.inputs[i];
    std::vector<double> by_dual, by_differences, orders2, orders4;
    bool failed = false;
    for (const int64_t k : chosen(x_[i].size())) {
      const Slope numeric = slope(i, k);
      const double analytic = grads_[i].data()[k];
      switch (numeric.verdict) {
        case Slope::Verdict::agrees:
          break;
        case Slope::Verdict::kink:
          report_.kinks.push_back(fmt::format(
              "{}: {}: a kink: slope {} on the left and {} on the right, within {}: choose an input away from it",
              report_.name, where(i, k), numeric.left, numeric.right, numeric.step));
          continue;  // which neither entry of the Jacobian is wrong for
        case Slope::Verdict::disagrees:
        case Slope::Verdict::rough:
          if (!failed) {
            fail("{}: analytic {}, numeric {} by differences{}", where(i, k), analytic, numeric.numeric,
                 numeric.verdict == Slope::Verdict::rough ? ", which do not converge" : "");
          }
          failed = true;
      }
      const double by_a_unit = partial(i, k), error = std::abs(analytic - by_a_unit);
      const EntryReport entry{index_text(x_[i].shape(), k), analytic, by_a_unit, numeric.numeric, error,
                              relative(error, unit_of(i))};
      by_dual.push_back(entry.relative);
      by_differences.push_back(relative(std::abs(analytic - numeric.numeric), unit_of(i)));
      seen(limits_.difference * relative(std::abs(analytic - numeric.numeric), numeric.allowed));
      input.worst.push_back(entry);
      if (numeric.moves2[1] > 0) orders2.push_back(std::log2(numeric.moves2[0] / numeric.moves2[1]));
      if (numeric.moves4[1] > 0) orders4.push_back(std::log2(numeric.moves4[0] / numeric.moves4[1]));
    }
    input.compared = static_cast<int64_t>(by_dual.size());
    input.dual_median = median(by_dual), input.difference_median = median(by_differences);
    for (const double error : by_dual) input.dual_most = std::max(input.dual_most, error);
    for (const double error : by_differences) input.difference_most = std::max(input.difference_most, error);
    if (!orders2.empty()) input.order2 = median(orders2);
    if (!orders4.empty()) input.order4 = median(orders4);
    std::stable_sort(input.worst.begin(), input.worst.end(),
                     [](const EntryReport& a, const EntryReport& b) { return a.absolute > b.absolute; });
    if (input.worst.size() > kWorst) input.worst.erase(input.worst.begin() + kWorst, input.worst.end());
  }

  /// What errors of the gradient of input i are relative to.
  double unit_of(size_t i) const { return std::max(report_.inputs[i].largest, magnitude_ / scale_[i] * kFloor); }

  /// Names the first entry of a gradient that is not, bit by bit, what it was.
  void check_bits(size_t i, const Array<double>& now, const std::string& when) {
    if (same_bits(now, grads_[i])) return;
    int64_t k = 0;
    while (k + 1 < now.size() && now.data()[k] == grads_[i].data()[k]) ++k;
    fail("{}: {} {}, before {}", where(i, k), when, now.data()[k], grads_[i].data()[k]);
  }

  void check_wanted() {
    if (x_.size() < 2) return;
    for (size_t i = 0; i < x_.size(); ++i) {
      Want alone(x_.size(), false), others(x_.size(), true);
      alone[i] = true;
      others[i] = false;
      check_bits(i, Pass<double>(f_.f64, x_, v_, alone).grads[i], "when no other input needs a gradient");
      const Pass<double> pass(f_.f64, x_, v_, others);
      for (size_t j = 0; j < x_.size(); ++j) {
        if (j != i) check_bits(j, pass.grads[j], fmt::format("when {} needs no gradient", report_.inputs[i].name));
      }
    }
  }

  void check_aliased() {
    bool named = false;
    for (size_t last = x_.size(); last-- > 1;) {  // the last input of each shape
      std::vector<bool> same(x_.size());
      for (size_t i = 0; i < x_.size(); ++i) same[i] = x_[i].shape() == x_[last].shape();
      const auto first_after = std::find(same.begin() + static_cast<std::ptrdiff_t>(last) + 1, same.end(), true);
      if (first_after != same.end() || std::count(same.begin(), same.end(), true) < 2) continue;
      if (!named) report_.ways.push_back({"one tensor passed twice", 0, limits_.dual});
      named = true;
      check_aliased(same, last);
    }
  }

  /// One leaf with the values of input `last` in place of all inputs that are the `same`.
  void check_aliased(const std::vector<bool>& same, size_t last) {
    Arrays equal, u = zeros();
    const Array<double> direction = normal_array(x_[last].shape(), scale_[last], random_);
    for (size_t i = 0; i < x_.size(); ++i) {
      equal.push_back(copied(same[i] ? x_[last] : x_[i]));
      if (same[i]) u[i] = direction;
    }
    const Pass<double> apart(f_.f64, equal, v_);
    const Tensor<double> shared = Tensor<double>::leaf(x_[last]);
    std::vector<Tensor<double>> inputs;
    for (size_t i = 0; i < x_.size(); ++i) inputs.push_back(same[i] ? shared : Tensor<double>(equal[i]));
    backward(f_.f64(inputs), v_);

    double terms = 0;
    for (int64_t k = 0; k < direction.size(); ++k) {
      Sum sum;
      for (size_t i = 0; i < x_.size(); ++i) sum.add(same[i] ? apart.grads[i].data()[k] : 0);
      terms += sum.terms * std::abs(direction.data()[k]);
      const double analytic = shared.grad().defined() ? shared.grad().data()[k] : 0;
      const double error = relative(std::abs(analytic - sum.total), sum.terms + magnitude_ / scale_[last] * kFloor);
      seen(error);
      if (error <= limits_.dual) continue;
      return fail("{}, in place of all of its shape: analytic {}, numeric {} as the sum of theirs", where(last, k),
                  analytic, sum.total);
    }
    const Sum numeric = dot(v_, along(equal, u));
    const double analytic = shared.grad().defined() ? dot(shared.grad(), direction).total : 0;
    const double error = relative(std::abs(analytic - numeric.total), numeric.terms + terms + magnitude_ * kFloor);
    seen(error);
    if (!(error <= limits_.dual)) {
      fail("{}, in place of all of its shape: analytic {} along a direction, numeric {} by Dual",
           report_.inputs[last].name, analytic, numeric.total);
    }
  }

  /// H u, one part for each input, H being the second derivative of <v, f>.
  Arrays hessian_times(const Arrays& u) {
    const Pass<Dual> pass(f_.dual, with_slopes(x_, u), cast<Dual>(v_));
    Arrays product;
    for (size_t i = 0; i < x_.size(); ++i) {
      const double unit = unit_of(i);
      for (int64_t k = 0; k < x_[i].size(); ++k) {
        const double now = pass.grads[i].data()[k].value, before = grads_[i].data()[k];
        if (std::abs(now - before) <= limits_.on_dual * unit) continue;
        fail("{}: backward on Dual has another value: {} instead of {}", where(i, k), now, before);
        break;
      }
      product.push_back(slopes_of(pass.grads[i]));
    }
    return product;
  }

  void check_hessian() {
    report_.ways.push_back({"symmetry of the Hessian", 0, 10 * limits_.dual});
    const Arrays u = random_direction(), w = random_direction();
    const Arrays hu = hessian_times(u), hw = hessian_times(w);
    Sum whu, uhw;
    for (size_t i = 0; i < x_.size(); ++i) {
      for (int64_t k = 0; k < x_[i].size(); ++k) {
        whu.add(w[i].data()[k] * hu[i].data()[k]);
        uhw.add(u[i].data()[k] * hw[i].data()[k]);
      }
    }
    const double error = relative(std::abs(whu.total - uhw.total), whu.terms + uhw.terms + magnitude_);
    seen(error);
    if (!(error <= 10 * limits_.dual)) {
      fail("the Hessian is not symmetric: <w, H u> = {}, <u, H w> = {}", whu.total, uhw.total);
    }
    report_.ways.push_back({"Hessian by differences", 0, limits_.hessian});
    for (size_t i = 0; i < x_.size(); ++i) check_hessian_part(i, u, hu[i]);
  }

  /// The gradient of input i at x + c u.
  Array<double> gradient_at(size_t i, const Arrays& u, double c) const {
    Arrays x;
    for (size_t j = 0; j < x_.size(); ++j) x.push_back(moved(x_[j], u[j], c));
    Want want(x_.size(), false);
    want[i] = true;
    return Pass<double>(f_.f64, x, v_, want).grads[i];
  }

  /// Compares the part of H u that belongs to input i with 4-point differences of gradients (ops/check/differences.h),
  /// of all entries at once. Those that agree at none of the steps are judged one by one.
  void check_hessian_part(size_t i, const Arrays& u, const Array<double>& hu) {
    const auto two_point = [&](double h) {
      const Array<double> rise = moved(gradient_at(i, u, h), gradient_at(i, u, -h), -1);
      return moved(Array<double>(rise.shape()), rise, 1 / (2 * h));
    };
    std::vector<int64_t> suspects;
    for (const double step : {0x1p-8, 0x1p-12, 0x1p-16, 0x1p-20, 0x1p-24}) {
      const Array<double> a = two_point(step), b = two_point(step / 2);
      const Array<double> numeric = moved(b, moved(b, a, -1), 1. / 3);
      const double allowed = limits_.hessian * std::max(largest(hu), largest(numeric)) + hessian_noise(i) / step;
      double worst = 0;
      suspects.clear();
      for (int64_t k = 0; k < hu.size(); ++k) {
        const double error = relative(std::abs(hu.data()[k] - numeric.data()[k]), allowed);
        worst = std::max(worst, error);
        if (!(error <= 1)) suspects.push_back(k);
      }
      if (suspects.empty()) return seen(limits_.hessian * worst);
    }
    for (const int64_t k : suspects) {
      const auto rise = [&](double t) { return gradient_at(i, u, t).data()[k] - grads_[i].data()[k]; };
      const Slope slope = compare_slope(
          rise, hu.data()[k], 1, {.relative = limits_.hessian, .unit = largest(hu), .noise = hessian_noise(i) / 8});
      seen(limits_.hessian * relative(std::abs(hu.data()[k] - slope.numeric), slope.allowed));
      if (slope.verdict == Slope::Verdict::agrees) continue;
      if (slope.verdict == Slope::Verdict::kink) {
        report_.kinks.push_back(
            fmt::format("{}: {}: a kink of the gradient: slope {} on one side and {} on the other, within {} of a "
                        "direction: choose "
                        "an input away from it",
                        report_.name, where(i, k), slope.left, slope.right, slope.step));
      } else {
        fail("{}: Hessian times a direction: analytic {}, numeric {} by differences of gradients", where(i, k),
             hu.data()[k], slope.numeric);
      }
      return;
    }
  }

  /// Rounding error of a gradient's entry, doubled by a difference, with room for a chain of ops.
  double hessian_noise(size_t i) const { return 64 * kEps * magnitude_ / scale_[i]; }

  void check_repeated() {
    for (const int n : {1, 2}) {
      const WithThreads with(n);
      const Pass<double> pass(f_.f64, x_, v_);
      if (!same_bits(pass.y, y_)) fail("output: other bits on a second run, {} threads", n);
      for (size_t i = 0; i < x_.size(); ++i)
        check_bits(i, pass.grads[i], fmt::format("on a second run, {} threads", n));
    }
  }

  /// The error of float, in units of what rounding every input (and the cotangent) to float would do to the result, and
  /// of rounding the result itself.
  void check_float() {
    report_.ways.push_back({"float32, in roundings of the inputs", 0, limits_.float32});
    const Pass<float> pass(f_.f32, cast_all<float>(x_), cast<float>(v_));
    const std::vector<double> moves = moves_by_rounding(f_.f64, x_, v_, y_, grads_, random_);
    const auto ratio = [&](const Array<float>& computed, const Array<double>& exact, double unit,
                           const std::string& of) {
      const double error = relative(largest(moved(cast<double>(computed), exact, -1)), unit);
      seen(error);
      if (!(error <= limits_.float32)) {
        fail("{}: float differs from double by {:.3g}, {:.3g} times what rounding the inputs would do", of,
             error * unit, error);
      }
      return error;
    };
    ratio(pass.y, y_, moves.back() + kFloatEps * largest(y_), "output");
    for (size_t i = 0; i < x_.size(); ++i) {
      report_.inputs[i].float32 =
          ratio(pass.grads[i], grads_[i], moves[i] + kFloatEps * unit_of(i), "gradient of " + report_.inputs[i].name);
    }
  }

  const Functions& f_;
  GradientLimits limits_;
  RandomStream random_;
  Arrays x_;
  std::vector<double> scale_;  // of each input: its largest number
  Array<double> y_, v_;        // the output and the cotangent
  Arrays grads_;               // what backward computed, to be checked
  double magnitude_ = 0;       // the largest entry of a gradient times its input's scale
  GradientReport report_;
};

}  // namespace

GradientReport gradient_report(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                               const GradientLimits& limits) {
  return Checker(name, inputs, f, limits).run();
}

}  // namespace orthoread
