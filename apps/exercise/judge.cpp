#include "apps/exercise/judge.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <memory_resource>
#include <utility>

namespace orthoread {
namespace {

using Arrays = std::vector<Array<double>>;

/// The gradients of <v, f(x)>.
struct Gradients {
  Arrays yours, of_twice;  // by backward, with the cotangents v and 2 v
  Arrays right;            // on Dual numbers, one run forward for each number of x
};

Arrays by_backward(const Functions& f, const Arrays& x, const Array<double>& v) {
  std::vector<Tensor<double>> leaves;
  for (const Array<double>& numbers : x) leaves.push_back(Tensor<double>::leaf(numbers));
  backward(f.f64(leaves)[0], v);
  Arrays grads;
  for (const Tensor<double>& leaf : leaves)
    grads.push_back(leaf.grad().defined() ? leaf.grad() : Array<double>(leaf.shape()));
  return grads;
}

double along(const Functions& f, const Arrays& x, size_t input, int64_t entry, const Array<double>& v) {
  std::vector<Tensor<Dual>> point;
  for (size_t i = 0; i < x.size(); ++i) {
    Array<Dual> numbers = cast<Dual>(x[i]);
    if (i == input) numbers.edit()[entry].slope = 1;
    point.emplace_back(numbers);
  }
  const Array<Dual> y = f.dual(point)[0].value();
  double slope = 0;
  for (int64_t i = 0; i < y.size(); ++i) slope += v.data()[i] * y.data()[i].slope;
  return slope;
}

Gradients gradients(const Functions& f, const Arrays& x) {
  std::vector<Tensor<double>> constants;
  for (const Array<double>& numbers : x) constants.emplace_back(numbers);
  const Array<double> v = uniform_array(f.f64(constants)[0].shape(), 7);
  Array<double> twice = v;
  for (int64_t i = 0; i < v.size(); ++i) twice.edit()[i] *= 2;
  Gradients found{by_backward(f, x, v), by_backward(f, x, twice), {}};
  for (size_t i = 0; i < x.size(); ++i) {
    found.right.emplace_back(x[i].shape());
    for (int64_t k = 0; k < x[i].size(); ++k) found.right[i].edit()[k] = along(f, x, i, k, v);
  }
  return found;
}

std::string shown(double x) { return std::isnan(x) ? "NaN" : fmt::format("{:.6g}", x); }

/// "[1, 2]"
std::string place(const Shape& shape, int64_t entry) {
  Shape at = shape;
  for (size_t axis = shape.size(); axis-- > 0; entry /= shape[axis]) at[axis] = entry % shape[axis];
  return fmt::format("{}", at);
}

bool equal(double a, double b, double unit) { return std::abs(a - b) <= 1e-9 * unit; }

double largest(const Array<double>& x) {
  double found = 0;
  for (int64_t i = 0; i < x.size(); ++i) found = std::max(found, std::abs(x.data()[i]));
  return found;
}

bool equal(const Array<double>& a, const Array<double>& b) {
  if (a.shape() != b.shape()) return false;
  const double unit = largest(b);
  return std::equal(a.data(), a.data() + a.size(), b.data(), [&](double p, double q) { return equal(p, q, unit); });
}

/// What the wrong numbers have in common: "is 0", "has the wrong sign", or nothing.
std::string in_common(const std::vector<std::pair<double, double>>& yours_and_right) {
  const auto all = [&](auto holds) { return std::all_of(yours_and_right.begin(), yours_and_right.end(), holds); };
  if (all([](const auto& pair) { return pair.first == 0; })) return "is 0";
  const double factor = yours_and_right[0].first / yours_and_right[0].second;
  if (!std::isfinite(factor) ||
      !all([&](const auto& pair) { return equal(pair.first, factor * pair.second, std::abs(pair.first)); }))
    return "";
  if (equal(factor, -1, 1)) return "has the wrong sign";
  return yours_and_right.size() > 1 ? fmt::format("is {:.4g} times as large as it should be", factor) : "";
}

/// What is wrong with the gradient of an input: a pattern, if there is one, and the first wrong number.
std::string diagnosis(const std::vector<Input>& inputs, const Gradients& g, size_t i) {
  const Array<double>&yours = g.yours[i], &right = g.right[i];
  const double unit = largest(right);
  std::vector<std::pair<double, double>> wrong;
  std::vector<std::string> fine;
  int64_t first = -1;
  for (int64_t k = 0; k < right.size(); ++k) {
    const double mine = yours.data()[k];
    if (equal(mine, right.data()[k], unit)) {
      fine.push_back(place(right.shape(), k));
      continue;
    }
    if (first < 0 || (std::isnan(mine) && !std::isnan(yours.data()[first]))) first = k;
    wrong.emplace_back(mine, right.data()[k]);
  }
  std::string pattern = in_common(wrong);
  if (std::isnan(yours.data()[first])) {
    pattern = ": a number outside its array was used, or 0 / 0";
  } else if (largest(yours) > 0 && equal(yours, g.of_twice[i])) {
    pattern = ": it stays the same when dy is twice as large, and it should be twice as large, too";
  } else if (!fine.empty()) {
    constexpr size_t kFew = 3;
    pattern =
        fmt::format(": {} of its {} numbers {} right{}{}", fine.size(), right.size(), fine.size() == 1 ? "is" : "are",
                    fine.size() <= kFew ? fmt::format(", at {}", fmt::join(fine, " and ")) : "",
                    pattern.empty()     ? ""
                    : wrong.size() == 1 ? ", and the other one " + pattern
                                        : ", and each of the others " + pattern);
  } else if (!pattern.empty()) {
    pattern = (right.size() == 1 ? ": it " : ": each number ") + pattern;
  }
  for (size_t j = 0; j < inputs.size(); ++j) {
    if (j != i && equal(yours, g.right[j]))
      pattern = fmt::format(": yours is the gradient of {}, and backward returns them in the order of the inputs",
                            inputs[j].name);
  }
  return fmt::format("the gradient of {} is wrong{}; at {} yours is {}, and it should be {}", inputs[i].name, pattern,
                     place(right.shape(), first), shown(yours.data()[first]), shown(right.data()[first]));
}

constexpr unsigned kSeconds = 30, kSecondsOfPart = 5;  // limits; a correct program takes one second

void say(const std::string& line) {
  fmt::print("{}\n", line);
  std::fflush(stdout);  // what comes next may crash
}

/// How a process ended, if not normally.
std::string end_of(int status, unsigned seconds) {
  switch (WTERMSIG(status)) {
    case SIGALRM:
      return fmt::format("it had not come to an end after {} seconds", seconds);
    case SIGSEGV:
    case SIGBUS:
      return "it crashed";
    default:
      return fmt::format("it ended by signal {}", WTERMSIG(status));
  }
}

std::string advice_if_thrown, last_advice;  // the last one given

void say_wrong(const std::string& what, const std::string& advice) {
  say("wrong  " + what);
  if (std::exchange(last_advice, advice) != advice) say("       " + advice);
}

[[noreturn]] void give_up(const std::string& what, const std::string& advice) {
  say_wrong(what, advice);
  say("\nNot yet.");
  std::_Exit(1);
}

/// For exceptions that nobody catches, such as a shape that does not fit.
[[noreturn]] void say_what_was_thrown() {
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    give_up(error.what(), advice_if_thrown);
  }
  std::_Exit(1);
}

/// Memory for arrays with NaN on both sides of each: a number that is read there spoils a gradient, and one that is
/// written there is noticed.
class Fenced : public std::pmr::memory_resource {
  using Fence = std::array<uint64_t, 32>;

  /// Signalling NaN: adding to one makes it quiet, which changes its bits.
  static const Fence& fence() {
    static const Fence one = [] {
      Fence numbers;
      numbers.fill(0xfff7ffffffffffff);
      return numbers;
    }();
    return one;
  }
  void* do_allocate(size_t bytes, size_t alignment) override {
    auto* memory =
        static_cast<std::byte*>(std::pmr::new_delete_resource()->allocate(bytes + 2 * sizeof(Fence), alignment));
    std::memcpy(memory, &fence(), sizeof(Fence));
    std::memcpy(memory + sizeof(Fence) + bytes, &fence(), sizeof(Fence));
    return memory + sizeof(Fence);
  }
  void do_deallocate(void* array, size_t bytes, size_t alignment) override {
    auto* memory = static_cast<std::byte*>(array) - sizeof(Fence);
    if (std::memcmp(memory, &fence(), sizeof(Fence)) != 0 ||
        std::memcmp(memory + sizeof(Fence) + bytes, &fence(), sizeof(Fence)) != 0)
      give_up("your program: it wrote a number outside its array",
              "Where does each index begin, and where does it end?");
    std::pmr::new_delete_resource()->deallocate(memory, bytes + 2 * sizeof(Fence), alignment);
  }
  bool do_is_equal(const memory_resource& other) const noexcept override { return this == &other; }
};

/// The function of a thread, for pthread_create.
struct Task {
  const std::function<bool()>& body;
  bool right = false;
};
void* perform(void* task) {
  auto* one = static_cast<Task*>(task);
  one->right = one->body();
  return nullptr;
}

}  // namespace

Judge::Judge(const std::string& if_thrown) {
  advice_if_thrown = if_thrown;
  const pid_t child = fork();
  check(child >= 0, "judge: cannot start a process");
  if (child == 0) {
    std::set_terminate(say_what_was_thrown);
    std::pmr::set_default_resource(new Fenced);  // for as long as the process
    alarm(kSeconds);
    return;
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status)) std::_Exit(WEXITSTATUS(status));
  give_up("your program: " + end_of(status, kSeconds),
          WTERMSIG(status) == SIGALRM
              ? "Does each loop come closer to its end?"
              : "An index outside its array? Something used that is not there yet (defined() is "
                "false, a pointer is null)?");
}

void Judge::wrong(const std::string& what, const std::string& advice) {
  right_ = false;
  say_wrong(what, advice);
}

void Judge::gradient(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                     const std::function<std::string(const std::vector<Array<double>>& yours)>& advice) {
  Arrays x;
  for (const Input& input : inputs) x.push_back(input.given);
  Gradients found;
  try {
    found = gradients(f, x);
  } catch (const std::exception& error) {
    return wrong(error.what(), advice({}));
  }
  std::vector<bool> same;
  for (size_t i = 0; i < x.size(); ++i) same.push_back(orthoread::equal(found.yours[i], found.right[i]));
  if (std::find(same.begin(), same.end(), false) == same.end()) {
    const GradientReport report = gradient_report(name, inputs, f);
    if (!report.passed()) return wrong(report.failures.at(0), advice(found.yours));
    for (const Input& input : inputs)
      say(fmt::format("right  the gradient of {} {}, by dual numbers and by differences", input.name, input.shape));
    return;
  }
  for (size_t i = 0; i < x.size(); ++i) {
    if (same[i])
      say(fmt::format("right  the gradient of {} {}", inputs[i].name, inputs[i].shape));
    else
      wrong(diagnosis(inputs, found, i), advice(found.yours));
  }
}

void Judge::gradient(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                     const std::string& advice) {
  gradient(name, inputs, f, [&](const Arrays&) { return advice; });
}

bool Judge::equal(const std::string& what, const Array<double>& yours, const Array<double>& right,
                  const std::string& advice) {
  if (yours.shape() != right.shape()) {
    wrong(fmt::format("{}: yours has the shape {}, and it should be {}", what, yours.shape(), right.shape()), advice);
  } else if (!(relative_error(yours, right) <= 1e-9)) {
    int64_t at = 0;
    while (std::abs(yours.data()[at] - right.data()[at]) <= 1e-9 * std::abs(right.data()[at])) ++at;
    wrong(fmt::format("{}: yours is {}, and it should be {}", what, shown(yours.data()[at]), shown(right.data()[at])),
          advice);
  } else {
    say("right  " + what);
    return true;
  }
  return false;
}

void Judge::survives(const std::string& what, const std::function<bool()>& body, const std::string& advice) {
  const pid_t child = fork();
  check(child >= 0, "judge: cannot start a process");
  if (child == 0) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 1 << 17);
    pthread_t thread{};
    Task task{body};
    alarm(kSecondsOfPart);
    pthread_create(&thread, &attributes, perform, &task);
    pthread_join(thread, nullptr);
    _exit(task.right ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) {
    wrong(fmt::format("{}: {}", what, end_of(status, kSecondsOfPart)), advice);
  } else if (WEXITSTATUS(status) != 0) {
    wrong(what + ": no", advice);
  } else {
    say("right  " + what);
  }
}

int Judge::verdict() const {
  say(right_ ? "\nSolved." : "\nNot yet.");
  return right_ ? 0 : 1;
}

}  // namespace orthoread
