#include "ops/gradcheck/gradient_check.h"

#include "core/parallel.h"
#include "ops/gradcheck/differences.h"
#include "ops/gradcheck/passes.h"

namespace orthoread {
namespace {

constexpr int kProbes = 3;       // random directions for each input
constexpr int64_t kPart = 64;    // entries that a direction has at a time: one wrong entry shows among them,
constexpr int64_t kParts = 256;  // unless the input is so large that this many parts have more
constexpr size_t kWorst = 3;     // entries of an input in the report

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
      slack_.push_back(inputs[i].slack);
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
    {
      const NoGrad no_history;
      const std::vector<Tensor<double>> ys = f_.f64({x_.begin(), x_.end()});
      for (const Tensor<double>& y : ys) shapes_.push_back(y.shape());
      y_ = joined(ys).value();
    }
    v_ = normal_array(y_.shape(), 1, random_);
    grads_ = Pass<double>(f_.f64, x_, v_).grads;
    check_finite();
    if (!report_.failures.empty()) return;  // there is nothing to compare with
    for (size_t i = 0; i < x_.size(); ++i) report_.inputs[i].largest = largest(grads_[i]);
    units_ = Units(x_, grads_);
    measure_noise();
    if (f_.dual) {
      check_value();
      check_dual();
      check_jacobian();
    }
    check_differences();
    if (takes(Way::wanted)) check_wanted();
    check_outputs();
    check_aliased();
    if (takes(Way::repeated)) check_repeated();
    if (!report_.kinks.empty()) return;  // float, and a step away, may be on the other side
    if (f_.dual) check_hessian();
    if (f_.f32) check_float();
  }

  bool takes(Way way) const { return !limits_.off.contains(way); }
  /// Whether this way is taken. If so the errors `seen` from now on are its own.
  bool takes(Way way, double limit) {
    if (takes(way)) report_.ways.push_back({way, 0, limit});
    return takes(way);
  }
  void seen(double error) { report_.ways.back().worst = std::max(report_.ways.back().worst, error); }
  /// Notes an error of input i, in units of its slack; whether it is allowed.
  bool agrees(size_t i, double error) {
    seen(error / slack_[i]);
    return error <= report_.ways.back().limit * slack_[i];
  }

  /// All outputs, joined.
  Array<double> forward(const Arrays& x) const {
    const NoGrad no_history;
    return joined(f_.f64({x.begin(), x.end()})).value();
  }
  Array<Dual> forward_on_dual(const Arrays& x, const Arrays& u) const {
    const NoGrad no_history;
    const std::vector<Array<Dual>> inputs = with_slopes(x, u);
    return joined(f_.dual({inputs.begin(), inputs.end()})).value();
  }

  /// J u
  Array<double> along(const Arrays& x, const Arrays& u) const { return slopes_of(forward_on_dual(x, u)); }

  /// "output at [1, 2]", or "output 3 at [1, 2]" of several, for a number of the joined outputs.
  std::string where_in_output(int64_t k) const {
    size_t output = 0;
    while (k >= count(shapes_[output])) k -= count(shapes_[output++]);
    return fmt::format("output{} at {}", shapes_.size() > 1 ? fmt::format(" {}", output) : "",
                       index_text(shapes_[output], k));
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
    for (size_t i = 0; i < x_.size(); ++i) u.push_back(normal_array(x_[i].shape(), units_.scale[i], random_));
    return u;
  }

  void check_finite() {
    for (size_t i = 0; i < x_.size(); ++i) {
      for (int64_t k = 0; k < x_[i].size(); ++k) {
        if (!std::isfinite(x_[i].data()[k])) return fail("{}: the number given is {}", where(i, k), x_[i].data()[k]);
      }
    }
    for (int64_t k = 0; k < y_.size(); ++k) {
      if (!std::isfinite(y_.data()[k])) return fail("{}: {}", where_in_output(k), y_.data()[k]);
    }
    for (size_t i = 0; i < grads_.size(); ++i) {
      for (int64_t k = 0; k < grads_[i].size(); ++k) {
        const double g = grads_[i].data()[k];
        if (!std::isfinite(g)) return fail("{}: analytic {}", where(i, k), g);
      }
    }
  }

  /// How far the gradients move where every input is rounded differently, by backward and by Dual.
  void measure_noise() {
    units_.noise = moves_by_rounding(f_.f64, x_, v_, y_, grads_, kEps, random_);
    units_.noise.pop_back();  // the output's
    if (!f_.dual) return;
    const Arrays near_by = rounded(x_, kEps, random_);
    for (size_t i = 0; i < x_.size(); ++i) {
      const Arrays u = only(i, normal_array(x_[i].shape(), 1, random_));
      const double moves = dot(v_, moved(along(near_by, u), along(x_, u), -1)).terms;
      units_.noise[i] = std::max(units_.noise[i], relative(moves, largest(u[i])));
    }
  }

  /// The value on Dual, of each output relative to its largest number.
  void check_value() {
    if (!takes(Way::value, limits_.on_dual)) return;
    const Array<Dual> y = forward_on_dual(x_, random_direction());
    if (y.shape() != y_.shape()) return fail("on Dual the output has shape {} instead of {}", y.shape(), y_.shape());
    int64_t first = 0;
    for (const Shape& shape : shapes_) {
      const int64_t end = first + count(shape);
      double most = 0;
      for (int64_t k = first; k < end; ++k) most = std::max(most, std::abs(y_.data()[k]));
      for (int64_t k = first; k < end; ++k) {
        const double error = relative(std::abs(y.data()[k].value - y_.data()[k]), most);
        seen(error);
        if (error <= limits_.on_dual) continue;
        return fail("{}: on Dual it has another value: {} instead of {}", where_in_output(k), y.data()[k].value,
                    y_.data()[k]);
      }
      first = end;
    }
  }

  /// Entries begin … end - 1 of u in input i, 0 in all others.
  Arrays part_of(size_t i, const Array<double>& u, int64_t begin, int64_t end) const {
    Array<double> part(u.shape());
    std::copy(u.data() + begin, u.data() + end, part.edit() + begin);
    return only(i, std::move(part));
  }

  /// Goes along random directions in input i, a part of it at a time. The first part that does not agree is halved
  /// until one entry is left. agree(u, begin, end) compares for the entries begin … end - 1 of u.
  template <class Agree>
  std::optional<int64_t> first_wrong(size_t i, int probes, const Agree& agree) {
    const int64_t size = x_[i].size(), length = std::max(kPart, (size + kParts - 1) / kParts);
    for (int probe = 0; probe < probes; ++probe) {
      const Array<double> u = normal_array(x_[i].shape(), units_.scale[i], random_);
      for (int64_t begin = 0; begin < size; begin += length) {
        int64_t first = begin, end = std::min(size, begin + length);
        if (agree(u, first, end)) continue;
        while (end - first > 1) {
          const int64_t middle = first + (end - first) / 2;
          (agree(u, first, middle) ? first : end) = middle;
        }
        return first;
      }
    }
    return std::nullopt;
  }

  void check_dual() {
    if (!takes(Way::dual, limits_.dual)) return;
    for (size_t i = 0; i < x_.size(); ++i) {
      const std::optional<int64_t> wrong = first_wrong(i, kProbes, [&](const auto& u, int64_t begin, int64_t end) {
        return agrees(i, dual_error(i, u, begin, end));
      });
      if (!wrong || slope(i, *wrong).verdict == Slope::Verdict::kink) continue;  // check_differences says so
      fail("{}: analytic {}, numeric {} by Dual", where(i, *wrong), grads_[i].data()[*wrong], partial(i, *wrong));
    }
  }

  /// How far <v, J u> and <J^T v, u> are apart for this u in entries begin … end - 1 of input i.
  double dual_error(size_t i, const Array<double>& u, int64_t begin, int64_t end) const {
    const Sum numeric = dot(v_, along(x_, part_of(i, u, begin, end))), analytic = dot(grads_[i], u, begin, end);
    return relative(std::abs(analytic.total - numeric.total),
                    analytic.terms + numeric.terms + units_.floor(i) * units_.scale[i]);
  }

  /// The partial derivative of <v, f> by Dual.
  double partial(size_t i, int64_t k) const { return dot(v_, along(x_, only(i, unit(x_[i].shape(), k)))).total; }

  /// J, its columns from Dual and its rows from backward.
  void check_jacobian() {
    int64_t inputs = 0;
    for (const Array<double>& x : x_) inputs += x.size();
    if (inputs == 0 || y_.size() == 0 || inputs + y_.size() > limits_.jacobian) return;
    if (!takes(Way::jacobian, limits_.dual)) return;
    std::vector<Arrays> rows;
    for (int64_t j = 0; j < y_.size(); ++j) rows.push_back(Pass<double>(f_.f64, x_, unit(y_.shape(), j)).grads);
    for (size_t i = 0; i < x_.size(); ++i) {
      double most = 0;  // of the Jacobian's part that belongs to this input
      for (const Arrays& row : rows) most = std::max(most, largest(row[i]));
      for (int64_t k = 0; k < x_[i].size(); ++k) {
        const Array<double> column = along(x_, only(i, unit(x_[i].shape(), k)));
        for (int64_t j = 0; j < y_.size(); ++j) {
          const double analytic = rows[static_cast<size_t>(j)][i].data()[k], numeric = column.data()[j];
          const double error = relative(std::abs(analytic - numeric), units_.of(i, most));
          if (agrees(i, error) || slope(i, k).verdict == Slope::Verdict::kink) continue;
          return fail("{}: Jacobian, {}: analytic {}, numeric {} by Dual", where(i, k), where_in_output(j), analytic,
                      numeric);
        }
      }
    }
  }

  /// <v, J u> by differences, judged. `unit` is what errors are relative to, `scale` the size of x along u.
  Slope slope(const Arrays& u, double analytic, double unit, double scale) const {
    const auto rise = [&](double t) {
      Arrays x;
      for (size_t i = 0; i < x_.size(); ++i) x.push_back(moved(x_[i], u[i], t));
      return dot(v_, moved(forward(x), y_, -1)).total;
    };
    const SlopeLimits limits{
        .relative = limits_.difference, .unit = unit, .noise = kEps * (dot(v_, y_).terms + units_.magnitude)};
    return compare_slope(rise, analytic, scale, limits);
  }
  /// The partial derivative.
  Slope slope(size_t i, int64_t k) const {
    return slope(only(i, unit(x_[i].shape(), k)), grads_[i].data()[k], report_.inputs[i].largest * slack_[i],
                 units_.scale[i]);
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

  void check_differences() {
    if (!takes(Way::differences, limits_.difference)) return;
    for (size_t i = 0; i < x_.size(); ++i) check_entries(i);
    for (size_t i = 0; i < x_.size() && !f_.dual; ++i) check_directions(i);
  }

  /// Without Dual: entries that are not looked at one by one, along a random direction.
  void check_directions(size_t i) {
    if (x_[i].size() <= limits_.entries) return;
    const std::optional<int64_t> wrong = first_wrong(i, 1, [&](const auto& u, int64_t begin, int64_t end) {
      const Sum sum = dot(grads_[i], u, begin, end);
      const Slope numeric = slope(part_of(i, u, begin, end), sum.total, sum.terms * slack_[i], 1);
      seen(limits_.difference * relative(std::abs(sum.total - numeric.numeric), numeric.allowed));
      return numeric.verdict == Slope::Verdict::agrees || numeric.verdict == Slope::Verdict::kink;
    });
    if (!wrong) return;
    fail("{}: analytic {}, numeric {} by differences", where(i, *wrong), grads_[i].data()[*wrong],
         slope(i, *wrong).numeric);
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
      const double by_a_unit = f_.dual ? partial(i, k) : numeric.numeric, error = std::abs(analytic - by_a_unit);
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
  double unit_of(size_t i) const { return units_.of(i, report_.inputs[i].largest); }

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

  /// Each of several outputs alone gives what it gives where the others are used, too, with the cotangent 0.
  void check_outputs() {
    if (shapes_.size() < 2 || !takes(Way::outputs, limits_.dual)) return;
    const Want all(x_.size(), true);
    int64_t first = 0;
    for (size_t j = 0; j < shapes_.size(); first += count(shapes_[j++])) {
      Array<double> v(shapes_[j]), zeroed(y_.shape());
      std::copy_n(v_.data() + first, v.size(), v.edit());
      std::copy_n(v_.data() + first, v.size(), zeroed.edit() + first);
      const Arrays alone = Pass<double>([&](const auto& x) { return f_.f64(x)[j]; }, x_, v, all).grads;
      const Arrays among = Pass<double>(f_.f64, x_, zeroed).grads;
      for (size_t i = 0; i < x_.size(); ++i) {
        const double unit = units_.of(i, largest(among[i]));
        for (int64_t k = 0; k < x_[i].size(); ++k) {
          const double a = alone[i].data()[k], b = among[i].data()[k];
          if (agrees(i, relative(std::abs(a - b), unit))) continue;
          return fail("{}: analytic {} of output {} alone, {} with the others used, too", where(i, k), a, j, b);
        }
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
      if (!named && !takes(Way::aliased, limits_.dual)) return;
      named = true;
      check_aliased(same, last);
    }
  }

  /// One leaf with the values of input `last` in place of all inputs that are the `same`.
  void check_aliased(const std::vector<bool>& same, size_t last) {
    Arrays equal, u = zeros();
    const Array<double> direction = normal_array(x_[last].shape(), units_.scale[last], random_);
    for (size_t i = 0; i < x_.size(); ++i) {
      equal.push_back(copied(same[i] ? x_[last] : x_[i]));
      if (same[i]) u[i] = direction;
    }
    const Pass<double> apart(f_.f64, equal, v_);
    const Tensor<double> shared = Tensor<double>::leaf(x_[last]);
    std::vector<Tensor<double>> inputs;
    for (size_t i = 0; i < x_.size(); ++i) inputs.push_back(same[i] ? shared : Tensor<double>(equal[i]));
    const Tensor<double> y = joined(f_.f64(inputs));
    if (y.needs_grad()) backward(y, v_);

    double terms = 0;
    for (int64_t k = 0; k < direction.size(); ++k) {
      Sum sum;
      for (size_t i = 0; i < x_.size(); ++i) sum.add(same[i] ? apart.grads[i].data()[k] : 0);
      terms += sum.terms * std::abs(direction.data()[k]);
      const double analytic = shared.grad().defined() ? shared.grad().data()[k] : 0;
      if (agrees(last, relative(std::abs(analytic - sum.total), sum.terms + units_.floor(last)))) continue;
      return fail("{}, in place of all of its shape: analytic {}, numeric {} as the sum of theirs", where(last, k),
                  analytic, sum.total);
    }
    if (!f_.dual) return;
    const Sum numeric = dot(v_, along(equal, u));
    const double analytic = shared.grad().defined() ? dot(shared.grad(), direction).total : 0;
    const double error =
        relative(std::abs(analytic - numeric.total), numeric.terms + terms + units_.floor(last) * units_.scale[last]);
    if (!agrees(last, error)) {
      fail("{}, in place of all of its shape: analytic {} along a direction, numeric {} by Dual",
           report_.inputs[last].name, analytic, numeric.total);
    }
  }

  /// H u, one part for each input, H being the second derivative of <v, f>.
  Arrays hessian_times(const Arrays& u) const {
    const Pass<Dual> pass(f_.dual, with_slopes(x_, u), cast<Dual>(v_));
    Arrays product;
    for (const Array<Dual>& grad : pass.grads) product.push_back(slopes_of(grad));
    return product;
  }

  void check_backward_on_dual() {
    if (!takes(Way::backward_on_dual, limits_.on_dual)) return;
    const Pass<Dual> pass(f_.dual, with_slopes(x_, random_direction()), cast<Dual>(v_));
    for (size_t i = 0; i < x_.size(); ++i) {
      for (int64_t k = 0; k < x_[i].size(); ++k) {
        const double now = pass.grads[i].data()[k].value, before = grads_[i].data()[k];
        if (agrees(i, relative(std::abs(now - before), unit_of(i)))) continue;
        fail("{}: backward on Dual has another value: {} instead of {}", where(i, k), now, before);
        break;
      }
    }
  }

  void check_hessian() {
    check_backward_on_dual();
    if (!takes(Way::symmetry) && !takes(Way::hessian)) return;
    const Arrays u = random_direction();
    const Arrays hu = hessian_times(u);
    check_symmetry(u, hu);
    if (!takes(Way::hessian, limits_.hessian)) return;
    for (size_t i = 0; i < x_.size(); ++i) check_hessian_part(i, u, hu[i]);
  }

  void check_symmetry(const Arrays& u, const Arrays& hu) {
    if (!takes(Way::symmetry, limits_.symmetry)) return;
    const Arrays w = random_direction(), hw = hessian_times(w);
    Sum whu, uhw;
    for (size_t i = 0; i < x_.size(); ++i) {
      for (int64_t k = 0; k < x_[i].size(); ++k) {
        whu.add(w[i].data()[k] * hu[i].data()[k]);
        uhw.add(u[i].data()[k] * hw[i].data()[k]);
      }
    }
    const double error = relative(std::abs(whu.total - uhw.total), whu.terms + uhw.terms + units_.magnitude);
    seen(error);
    if (!(error <= limits_.symmetry)) {
      fail("the Hessian is not symmetric: <w, H u> = {}, <u, H w> = {}", whu.total, uhw.total);
    }
  }

  /// The gradient of input i at x + c u.
  Array<double> gradient_at(size_t i, const Arrays& u, double c) const {
    Arrays x;
    for (size_t j = 0; j < x_.size(); ++j) x.push_back(moved(x_[j], u[j], c));
    Want want(x_.size(), false);
    want[i] = true;
    return Pass<double>(f_.f64, x, v_, want).grads[i];
  }

  /// Compares the part of H u that belongs to input i with 4-point differences of gradients
  /// (ops/gradcheck/differences.h), of all entries at once, at the step where they are nearest. Those that do not agree
  /// there are judged one by one.
  void check_hessian_part(size_t i, const Arrays& u, const Array<double>& hu) {
    const auto two_point = [&](double h) {
      const Array<double> rise = moved(gradient_at(i, u, h), gradient_at(i, u, -h), -1);
      return moved(Array<double>(rise.shape()), rise, 1 / (2 * h));
    };
    double best = std::numeric_limits<double>::infinity();
    std::vector<int64_t> suspects;
    for (const double step : {0x1p-8, 0x1p-12, 0x1p-16, 0x1p-20, 0x1p-24}) {
      const Array<double> a = two_point(step), b = two_point(step / 2);
      const Array<double> numeric = moved(b, moved(b, a, -1), 1. / 3);
      const double allowed =
          limits_.hessian * slack_[i] * std::max(largest(hu), largest(numeric)) + hessian_noise(i) / step;
      const double worst = relative(largest(moved(hu, numeric, -1)), allowed);
      if (!(worst < best)) continue;
      best = worst;
      suspects.clear();
      for (int64_t k = 0; k < hu.size(); ++k) {
        if (!(std::abs(hu.data()[k] - numeric.data()[k]) <= allowed)) suspects.push_back(k);
      }
      if (best <= kWell) break;
    }
    if (suspects.empty()) return seen(limits_.hessian * best);
    for (const int64_t k : suspects) {
      const auto rise = [&](double t) { return gradient_at(i, u, t).data()[k] - grads_[i].data()[k]; };
      const Slope slope =
          compare_slope(rise, hu.data()[k], 1,
                        {.relative = limits_.hessian * slack_[i], .unit = largest(hu), .noise = hessian_noise(i) / 8});
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
  double hessian_noise(size_t i) const { return 64 * kEps * unit_of(i); }

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
    if (!takes(Way::float32, limits_.float32)) return;
    const Pass<float> pass(f_.f32, cast_all<float>(x_), cast<float>(v_));
    const std::vector<double> moves = moves_by_rounding(f_.f64, x_, v_, y_, grads_, kFloatEps, random_);
    const auto ratio = [&](const Array<float>& computed, const Array<double>& exact, double unit, double slack,
                           const std::string& of) {
      const double error = relative(largest(moved(cast<double>(computed), exact, -1)), unit);
      seen(error / slack);
      if (!(error <= limits_.float32 * slack)) {
        fail("{}: float differs from double by {:.3g}, {:.3g} times what rounding the inputs would do", of,
             error * unit, error);
      }
      return error;
    };
    ratio(pass.y, y_, moves.back() + kFloatEps * largest(y_), 1, "output");
    for (size_t i = 0; i < x_.size(); ++i) {
      const double unit = std::max(report_.inputs[i].largest, units_.tenth(i));  // double does not see float's noise
      report_.inputs[i].float32 = ratio(pass.grads[i], grads_[i], moves[i] + kFloatEps * unit, slack_[i],
                                        "gradient of " + report_.inputs[i].name);
    }
  }

  const Functions& f_;
  GradientLimits limits_;
  RandomStream random_;
  Arrays x_;
  std::vector<double> slack_;  // of each input
  std::vector<Shape> shapes_;  // of the outputs
  Array<double> y_, v_;        // the outputs, joined, and the cotangent
  Arrays grads_;               // what backward computed, to be checked
  Units units_;
  GradientReport report_;
};

}  // namespace

GradientReport gradient_report(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                               const GradientLimits& limits) {
  return Checker(name, inputs, f, limits).run();
}

}  // namespace orthoread
