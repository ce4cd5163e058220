#include "apps/exercise/judge.h"

#include <fmt/format.h>
#include <pthread.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <exception>
#include <utility>

namespace orthoread {
namespace {

/// The pattern in the wrong entries, if there is one; in any case the first one.
std::string diagnosis(const InputReport& input) {
  const std::vector<EntryReport>& entries = input.worst;
  if (entries.empty()) return "";
  const EntryReport& first = entries[0];
  const auto all = [&](auto holds) { return std::all_of(entries.begin(), entries.end(), holds); };
  const auto near = [](double a, double b) { return std::abs(a - b) <= 1e-9 * std::max(std::abs(a), std::abs(b)); };
  const double factor = first.dual == 0 ? 0 : first.analytic / first.dual;
  std::string common;
  const bool enough = entries.size() > 1;  // to see a pattern
  if (all([](const EntryReport& e) { return e.analytic == 0 && e.dual != 0; })) {
    common = ": yours is 0 everywhere";
  } else if (enough && factor != 0 && !near(factor, 1) &&
             all([&](const EntryReport& e) { return near(e.analytic, factor * e.dual); })) {
    common = near(factor, -1) ? ": the sign is the wrong way round"
                              : fmt::format(": yours is {:.4g} times as large", factor);
  }
  return fmt::format("the gradient of {} is wrong{}; at {} yours is {:.6g}, and it should be {:.6g}", input.name,
                     common, first.at, first.analytic, first.dual);
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

/// For exceptions that nobody catches, such as a shape that does not fit.
[[noreturn]] void say_what_was_thrown() {
  try {
    if (const std::exception_ptr thrown = std::current_exception()) std::rethrow_exception(thrown);
  } catch (const std::exception& error) {
    say(fmt::format("wrong  {}\n\nNot yet.", error.what()));
  }
  std::_Exit(1);
}

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

Judge::Judge() {
  const pid_t child = fork();
  check(child >= 0, "judge: cannot start a process");
  if (child == 0) {
    std::set_terminate(say_what_was_thrown);
    alarm(kSeconds);
    return;
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFEXITED(status)) std::_Exit(WEXITSTATUS(status));
  say("wrong  your program: " + end_of(status, kSeconds));
  say(WTERMSIG(status) == SIGALRM ? "       Does each loop come closer to its end?"
                                  : "       An index outside its array? Something used that is not there yet "
                                    "(defined() is false, a pointer is null)?");
  say("\nNot yet.");
  std::_Exit(1);
}

void Judge::wrong(const std::string& what, const std::string& advice) {
  right_ = false;
  say("wrong  " + what);
  if (std::exchange(last_advice_, advice) != advice) say("       " + advice);
}

void Judge::gradient(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                     const std::string& advice) {
  const GradientReport report = gradient_report(name, inputs, f);
  if (report.passed()) {
    for (const InputReport& input : report.inputs)
      say(fmt::format("right  the gradient of {} {}, by dual numbers and by differences", input.name, input.shape));
    return;
  }
  std::string what;
  for (const InputReport& input : report.inputs) {
    constexpr double kWrong = 1e-9;
    if (what.empty() && input.dual_most > kWrong) what = diagnosis(input);
  }
  if (what.empty() && !report.failures.empty()) what = report.failures[0];
  wrong(what, advice);
}

void Judge::equal(const std::string& what, const Array<double>& yours, const Array<double>& right,
                  const std::string& advice) {
  if (yours.shape() != right.shape()) {
    wrong(fmt::format("{}: yours has the shape {}, and it should be {}", what, yours.shape(), right.shape()), advice);
  } else if (!(relative_error(yours, right) <= 1e-9)) {
    int64_t at = 0;
    while (std::abs(yours.data()[at] - right.data()[at]) <= 1e-9 * std::abs(right.data()[at])) ++at;
    wrong(fmt::format("{}: yours is {:.6g}, and it should be {:.6g}", what, yours.data()[at], right.data()[at]),
          advice);
  } else {
    say("right  " + what);
  }
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
