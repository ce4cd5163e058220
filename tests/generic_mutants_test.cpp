// Generic mutants: the mistakes that the backward of any op may make, injected by the engine.
//
// backward shows each gradient to its observer before using it (core/tensor.h). Here the observer corrupts the gradient
// of one input of one op, and the checks of `orthoread gradcheck` must notice. This covers every op, every input and
// every kind of mistake without any code per op. Mistakes inside kernels are in tests/mutants.txt.
#include "apps/gradcheck/matrix_checks.h"
#include "apps/gradcheck/op_checks.h"
#include "core/parallel.h"
#include "ops/gradcheck/sampling.h"
#include "ops/mlstm_composed.h"
#include "tests/declared_ops.h"

#include <doctest/doctest.h>

#include <map>

using namespace orthoread;

namespace {

/// The gradient that backward has computed for one input of the visited node.
template <Real T>
struct Visit {
  const Node<T>& node;
  const Grads<T>& grads;
  size_t input;

  const Array<T>& right() const { return grads[input]; }
  /// The correct gradient times a factor.
  Array<T> times(double factor) const {
    Array<T> y = right();
    T* to = y.edit();
    for (int64_t i = 0; i < y.size(); ++i) to[i] *= number<T>(factor);
    return y;
  }
  /// The correct gradient with another value in this entry.
  Array<T> with(int64_t entry, T value) const {
    Array<T> y = right();
    y.edit()[entry] = value;
    return y;
  }
  /// The gradient, doubled where the condition holds for another input.
  template <class Condition>
  Array<T> doubled_where(const Condition& of_another) const {
    for (size_t j = 0; j < node.inputs.size(); ++j)
      if (j != input && of_another(node.inputs[j])) return times(2);
    return right();
  }
};

/// Corrupts a gradient, for each scalar type. Gradients that it does not apply to stay unchanged.
struct Mistake {
  const char* name;
  std::function<Array<float>(const Visit<float>&)> f32;
  std::function<Array<double>(const Visit<double>&)> f64;
  std::function<Array<Dual>(const Visit<Dual>&)> dual;

  template <class F>
  Mistake(const char* name_, F spoil) : name(name_), f32(spoil), f64(spoil), dual(spoil) {}

  Array<float> operator()(const Visit<float>& visit) const { return f32(visit); }
  Array<double> operator()(const Visit<double>& visit) const { return f64(visit); }
  Array<Dual> operator()(const Visit<Dual>& visit) const { return dual(visit); }
};

constexpr double kBillionth = 1 + 1e-9;

const std::vector<Mistake> kMistakes = {
    {"missing", []<Real T>(const Visit<T>&) { return Array<T>(); }},
    {"zero", []<Real T>(const Visit<T>& at) { return Array<T>(at.right().shape()); }},
    {"negated", []<Real T>(const Visit<T>& at) { return at.times(-1); }},
    {"doubled", []<Real T>(const Visit<T>& at) { return at.times(2); }},
    {"too large by a billionth", []<Real T>(const Visit<T>& at) { return at.times(kBillionth); }},
    {"too large by a billionth in the largest entry",
     []<Real T>(const Visit<T>& at) {
       const T *g = at.right().data(), *end = g + at.right().size();
       const auto less = [](T a, T b) { return std::abs(value_of(a)) < std::abs(value_of(b)); };
       const int64_t entry = std::max_element(g, end, less) - g;
       return at.with(entry, g[entry] * number<T>(kBillionth));
     }},
    {"zero in the last entry", []<Real T>(const Visit<T>& at) { return at.with(at.right().size() - 1, T(0)); }},
    {"NaN in one entry",
     []<Real T>(const Visit<T>& at) {
       return at.with(at.right().size() / 2, number<T>(std::numeric_limits<double>::quiet_NaN()));
     }},
    {"transposed",  // the last two axes, read by columns
     []<Real T>(const Visit<T>& at) {
       const Array<T>& g = at.right();
       if (g.rank() < 2) return g;
       const int64_t rows = g.dim(-2), columns = g.dim(-1), n = rows * columns;
       Array<T> y = g;
       for (int64_t i = 0; i < g.size(); ++i) y.edit()[i] = g.data()[i / n * n + i % n % rows * columns + i % n / rows];
       return y;
     }},
    {"moved by one entry",
     []<Real T>(const Visit<T>& at) {
       Array<T> y = at.right();
       T* to = y.edit();
       std::rotate(to, to + 1, to + y.size());
       return y;
     }},
    {"that of the first row in all rows",
     []<Real T>(const Visit<T>& at) {
       Array<T> y = at.right();
       const int64_t row = y.rank() == 0 ? 1 : y.size() / y.dim(0);
       for (int64_t i = row; i < y.size(); ++i) y.edit()[i] = y.data()[i % row];
       return y;
     }},
    {"that of another input",
     []<Real T>(const Visit<T>& at) {
       for (size_t j = 0; j < at.grads.size(); ++j)
         if (j != at.input && at.grads[j].defined() && at.grads[j].shape() == at.right().shape()) return at.grads[j];
       return at.right();
     }},
    {"not summed where the input was broadcast",
     []<Real T>(const Visit<T>& at) {
       return at.node.shapes[0] == at.right().shape() ? at.right() : at.node.grads[0];
     }},
    {"doubled where another input needs none",
     []<Real T>(const Visit<T>& at) {
       return at.doubled_where([](const Edge<T>& other) { return other.node == nullptr; });
     }},
    {"doubled where one tensor is two inputs",
     []<Real T>(const Visit<T>& at) {
       return at.doubled_where([&](const Edge<T>& other) { return other.node == at.node.inputs[at.input].node; });
     }},
    {"doubled in float", []<Real T>(const Visit<T>& at) { return at.times(std::same_as<T, float> ? 2 : 1); }},
    {"too large by a billionth on Dual",
     []<Real T>(const Visit<T>& at) { return at.times(std::same_as<T, Dual> ? kBillionth : 1); }},
    {"right, but its own derivative is forgotten",
     []<Real T>(const Visit<T>& at) {
       Array<T> y = at.right();
       for (int64_t i = 0; i < y.size(); ++i) y.edit()[i] = number<T>(value_of(y.data()[i]));
       return y;
     }},
    {"too large by a billionth on two threads",
     []<Real T>(const Visit<T>& at) { return at.times(threads() == 2 ? kBillionth : 1); }},
};

/// The place of a mistake: an input of the n-th node of its op that a backward pass visits.
struct Site {
  std::string op;
  int occurrence;
  size_t input;
  auto operator<=>(const Site&) const = default;
};

template <Real T>
double slope_of(T x) {
  if constexpr (std::same_as<T, Dual>) return x.slope;
  return 0;
}

/// Whether the corrupted gradient differs from the correct one by more than rounding errors. Cotangents are normal
/// numbers. Some gradients are zero by nature, or equal to their neighbours.
template <Real T>
bool differ(const Array<T>& wrong, const Array<T>& right) {
  if (!wrong.defined()) return differ(Array<T>(right.shape()), right);
  const auto agree = [](double a, double b) { return std::abs(a - b) <= 1e-12; };  // false for NaN
  return wrong.shape() != right.shape() ||
         !std::equal(right.data(), right.data() + right.size(), wrong.data(),
                     [&](T a, T b) { return agree(value_of(a), value_of(b)) && agree(slope_of(a), slope_of(b)); });
}

/// While it exists, backward uses a corrupted gradient at a site.
class Spoiled {
 public:
  Spoiled(const Site& site, const Mistake& mistake) : site_(site), mistake_(mistake) {
    backward_observer<float> = observer<float>();
    backward_observer<double> = observer<double>();
    backward_observer<Dual> = observer<Dual>();
  }
  ~Spoiled() {
    backward_observer<float> = nullptr;
    backward_observer<double> = nullptr;
    backward_observer<Dual> = nullptr;
  }
  Spoiled(const Spoiled&) = delete;
  Spoiled& operator=(const Spoiled&) = delete;

  /// Whether the mistake has changed any number.
  bool changed() const { return changed_; }

 private:
  template <Real T>
  std::function<void(const Node<T>&, Grads<T>&)> observer() {
    return [this, last = uint64_t{0}, seen = 0](const Node<T>& node, Grads<T>& grads) mutable {
      if (node.spent) return;
      if (node.number > std::exchange(last, node.number)) seen = 0;  // visits are newest first: a new pass
      if (node.op != site_.op || seen++ != site_.occurrence) return;
      if (node.inputs[site_.input].node == nullptr || !grads[site_.input].defined() || grads[site_.input].size() == 0)
        return;
      Array<T> wrong = mistake_(Visit<T>{node, grads, site_.input});
      changed_ |= differ(wrong, grads[site_.input]);
      grads[site_.input] = std::move(wrong);
    };
  }

  Site site_;
  const Mistake& mistake_;
  bool changed_ = false;
};

struct Check {
  std::string name;  // the op's name
  std::function<GradientReport()> report;
  /// The gradients of its inputs, because in a composite of many ops a mistake can cancel on the way to them.
  std::function<Arrays()> gradients = nullptr;
};

/// The memory composed of other ops, with one head and three tokens.
Check composed_memory(const MemoryRead& read) {
  const Shape vectors = {1, 3, 2}, gates = {1, 3, 1};
  const std::vector<Input> inputs = {
      {vectors, -2, 2}, {vectors, -2, 2}, {vectors, -2, 2}, {gates, -1, 1}, {gates, -2, 0}};
  const auto f = [read](const auto& x) { return mlstm_composed(x[0], x[1], x[2], x[3], x[4], read); };
  const std::set<Way> off = {Way::jacobian, Way::differences, Way::wanted, Way::aliased, Way::repeated,
                             Way::symmetry, Way::hessian,     Way::float32};  // Dual suffices, and is fast
  return {"mlstm_composed", [=] { return gradient_report("mlstm_composed", inputs, f, {.off = off}); },
          [=] {
            RandomStream random(1);
            const Arrays x = drawn(inputs, random);
            return Pass<double>(Functions(f).f64, x, normal_array(vectors, 1, random)).grads;
          }};
}

/// The checks of `orthoread gradcheck`, without the memory's long sequences.
std::vector<Check> checks() {
  std::vector<Check> all;
  for (const std::string& op : checked_ops()) all.push_back({op, [op] { return check_op(op, 1); }});
  for (const std::string polynomial : {"cubic", "quintic"}) {
    all.push_back({"newton_schulz", [polynomial] {
                     return check_newton_schulz({.polynomial = polynomial, .steps = 2, .width = 3, .rank = 3});
                   }});
  }
  for (const char* read : {"raw", "ns0", "ns3"}) {
    all.push_back(
        {"mlstm", [read] { return check_read({.read = read, .width = 2, .rank = 2, .sequences = 1, .tokens = 3}); }});
  }
  for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(1), MemoryRead::ns(1, 0.5)})
    all.push_back(composed_memory(read));
  return all;
}

/// Whether the gradients of all inputs are correct in spite of the mistake.
bool cancels_out(const Check& check, const Site& site, const Mistake& mistake) {
  if (!check.gradients) return false;
  const Arrays right = check.gradients();
  const Spoiled spoiled(site, mistake);
  const Arrays wrong = check.gradients();
  return std::equal(right.begin(), right.end(), wrong.begin(),
                    [](const auto& a, const auto& b) { return !differ(b, a); });
}

/// The sites of the first pass of a check.
std::set<Site> sites_of(const Check& check) {
  std::set<Site> sites;
  std::map<std::string, int> seen;
  uint64_t last = std::numeric_limits<uint64_t>::max();
  backward_observer<double> = [&](const Node<double>& node, Grads<double>& grads) {
    if (node.spent) return;
    last = node.number < last ? node.number : 0;
    if (last == 0) return;
    for (size_t i = 0; i < grads.size(); ++i)
      if (grads[i].defined()) sites.insert({node.op, seen[node.op], i});
    ++seen[node.op];
  };
  check.report();
  backward_observer<double> = nullptr;
  return sites;
}

}  // namespace

TEST_CASE("generic mutants: without a mistake all checks pass") {
  std::vector<Check> all = checks();
  const std::vector<MatrixCase> memories = {
      {.read = "ns5", .alpha = 0.3, .sequences = 1, .tokens = 6},  // a blend
      {.read = "ns6", .sequences = 1, .tokens = 6},                // float input, computed in double
      {.read = "ns5", .rank = 1, .sequences = 1, .tokens = 6},
      {.read = "ns5", .normed = true, .masked = true}};  // two sequences of two chunks
  for (const MatrixCase& memory : memories) all.push_back({"mlstm", [memory] { return check_read(memory); }});
  for (const Check& check : all) {
    const GradientReport report = check.report();
    CHECK_MESSAGE(report.passed(), to_text(report));
  }
}

TEST_CASE("generic mutants: the check of each op notices every mistake in a gradient of its backward" *
          doctest::test_suite("long")) {
  std::map<std::string, int> by_check, by_mistake;
  std::map<std::pair<std::string, size_t>, int> by_input;  // for ops that are recorded under their own name
  for (const Check& check : checks()) {
    for (const Site& site : sites_of(check)) {
      const bool own = site.op == check.name;
      for (const Mistake& mistake : kMistakes) {
        if (!own && &mistake != kMistakes.data()) break;  // a part of the op, with its own check
        bool passed = false;
        {
          const Spoiled spoiled(site, mistake);
          passed = check.report().passed();
          if (!spoiled.changed()) continue;
        }
        if (passed && cancels_out(check, site, mistake)) continue;
        CHECK_MESSAGE(!passed, fmt::format("{}: the gradient of input {} of {} (visit {}) is {}", check.name,
                                           site.input, site.op, site.occurrence, mistake.name));
        ++by_check[check.name];
        ++by_mistake[mistake.name];
        if (own) ++by_input[{site.op, site.input}];
      }
    }
  }
  // No op is left out. Mistakes that change no number do not count, such as the transpose of a vector.
  for (const std::string& op : declared_ops()) CHECK_MESSAGE(by_check[op] > 0, op);
  for (const Mistake& mistake : kMistakes) CHECK_MESSAGE(by_mistake[mistake.name] > 0, mistake.name);
  constexpr int kFewest = 14;
  for (const auto& of : by_input) {  // clang 14 does not capture bindings
    const auto& [op, input] = of.first;
    const std::string text = fmt::format("{}, input {}: {} mistakes", op, input, of.second);
    CHECK_MESSAGE(of.second >= kFewest, text);
  }
}
