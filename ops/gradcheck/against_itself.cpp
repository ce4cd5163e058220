// Backward against itself, asked in another way: of fewer inputs, of one output, of one tensor passed twice, once more.
#include "core/parallel.h"
#include "ops/gradcheck/sampling.h"
#include "ops/gradcheck/ways.h"

namespace orthoread {
namespace {

/// The same numbers in a buffer of its own.
Array<double> copied(const Array<double>& x) { return {x.shape(), values(x)}; }

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

/// Names the first entry of a gradient that is not, bit by bit, what it was.
void check_bits(const Subject& s, Findings& found, size_t i, const Array<double>& now, const std::string& when) {
  const Array<double>& before = s.grads[i];
  if (same_bits(now, before)) return;
  int64_t k = 0;
  while (k + 1 < now.size() && now.data()[k] == before.data()[k]) ++k;
  found.fail("{}: {} {}, before {}", s.where(i, k), when, now.data()[k], before.data()[k]);
}

/// One leaf with the values of input `last` in place of all inputs that are the `same`.
void check_shared(Subject& s, Findings& found, const std::vector<bool>& same, size_t last) {
  Arrays equal, u = zeros_like(s.x);
  const Array<double> direction = normal_array(s.x[last].shape(), s.units.scale[last], s.random);
  for (size_t i = 0; i < s.x.size(); ++i) {
    equal.push_back(copied(same[i] ? s.x[last] : s.x[i]));
    if (same[i]) u[i] = direction;
  }
  const Pass<double> apart(s.f.f64, equal, s.v);
  const Tensor<double> shared = Tensor<double>::leaf(s.x[last]);
  std::vector<Tensor<double>> inputs;
  for (size_t i = 0; i < s.x.size(); ++i) inputs.push_back(same[i] ? shared : Tensor<double>(equal[i]));
  const Tensor<double> y = joined(s.f.f64(inputs));
  if (y.needs_grad()) backward(y, s.v);

  double terms = 0;
  for (int64_t k = 0; k < direction.size(); ++k) {
    Sum sum;
    for (size_t i = 0; i < s.x.size(); ++i) sum.add(same[i] ? apart.grads[i].data()[k] : 0);
    terms += sum.terms * std::abs(direction.data()[k]);
    const double analytic = shared.grad().defined() ? shared.grad().data()[k] : 0;
    const double error = relative(std::abs(analytic - sum.total), sum.terms + s.units.floor(last));
    if (found.agrees(last, error)) continue;
    return found.fail("{}, in place of all of its shape: analytic {}, numeric {} as the sum of theirs",
                      s.where(last, k), analytic, sum.total);
  }
  if (!s.f.dual) return;
  const Sum numeric = dot(s.v, s.along(equal, u));
  const double analytic = shared.grad().defined() ? dot(shared.grad(), direction).total : 0;
  const double error =
      relative(std::abs(analytic - numeric.total), numeric.terms + terms + s.units.floor(last) * s.units.scale[last]);
  if (!found.agrees(last, error)) {
    found.fail("{}, in place of all of its shape: analytic {} along a direction, numeric {} by Dual",
               title(s.inputs, last), analytic, numeric.total);
  }
}

}  // namespace

void check_wanted(const Subject& s, Findings& found) {
  if (!found.takes(Way::wanted) || s.x.size() < 2) return;
  for (size_t i = 0; i < s.x.size(); ++i) {
    Want alone(s.x.size(), false), others(s.x.size(), true);
    alone[i] = true;
    others[i] = false;
    check_bits(s, found, i, Pass<double>(s.f.f64, s.x, s.v, alone).grads[i], "when no other input needs a gradient");
    const Pass<double> pass(s.f.f64, s.x, s.v, others);
    for (size_t j = 0; j < s.x.size(); ++j) {
      if (j != i) check_bits(s, found, j, pass.grads[j], fmt::format("when {} needs no gradient", title(s.inputs, i)));
    }
  }
}

void check_outputs(const Subject& s, Findings& found) {
  if (s.shapes.size() < 2 || !found.takes(Way::outputs, s.limits.dual)) return;
  const Want all(s.x.size(), true);
  int64_t first = 0;
  for (size_t j = 0; j < s.shapes.size(); first += count(s.shapes[j++])) {
    Array<double> v(s.shapes[j]), zeroed(s.y.shape());
    std::copy_n(s.v.data() + first, v.size(), v.edit());
    std::copy_n(s.v.data() + first, v.size(), zeroed.edit() + first);
    const Arrays alone = Pass<double>([&](const auto& x) { return s.f.f64(x)[j]; }, s.x, v, all).grads;
    const Arrays among = Pass<double>(s.f.f64, s.x, zeroed).grads;
    for (size_t i = 0; i < s.x.size(); ++i) {
      const double unit = s.units.of(i, largest(among[i]));
      for (int64_t k = 0; k < s.x[i].size(); ++k) {
        const double a = alone[i].data()[k], b = among[i].data()[k];
        if (found.agrees(i, relative(std::abs(a - b), unit))) continue;
        return found.fail("{}: analytic {} of output {} alone, {} with the others used, too", s.where(i, k), a, j, b);
      }
    }
  }
}

void check_aliased(Subject& s, Findings& found) {
  bool named = false;
  for (size_t last = s.x.size(); last-- > 1;) {  // the last input of each shape
    std::vector<bool> same(s.x.size());
    for (size_t i = 0; i < s.x.size(); ++i) same[i] = s.x[i].shape() == s.x[last].shape();
    const auto first_after = std::find(same.begin() + static_cast<std::ptrdiff_t>(last) + 1, same.end(), true);
    if (first_after != same.end() || std::count(same.begin(), same.end(), true) < 2) continue;
    if (!named && !found.takes(Way::aliased, s.limits.dual)) return;
    named = true;
    check_shared(s, found, same, last);
  }
}

void check_repeated(const Subject& s, Findings& found) {
  if (!found.takes(Way::repeated)) return;
  for (const int n : {1, 2}) {
    const WithThreads with(n);
    const Pass<double> pass(s.f.f64, s.x, s.v);
    if (!same_bits(pass.y, s.y)) found.fail("output: other bits on a second run, {} threads", n);
    for (size_t i = 0; i < s.x.size(); ++i)
      check_bits(s, found, i, pass.grads[i], fmt::format("on a second run, {} threads", n));
  }
}

}  // namespace orthoread
