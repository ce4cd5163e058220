// What the ways of checking have found out about a subject, on its way into the report.
#pragma once

#include "ops/gradcheck/subject.h"

namespace orthoread {

struct Findings {
  const Subject& subject;
  GradientReport report = {};

  Findings(const std::string& name, const Subject& subject_) : subject(subject_) {
    report.name = name;
    for (size_t i = 0; i < subject.x.size(); ++i)
      report.inputs.push_back({.name = title(subject.inputs, i), .shape = subject.x[i].shape()});
  }

  bool takes(Way way) const { return !subject.limits.off.contains(way); }
  /// Whether this way is taken. If so the errors `seen` from now on are its own.
  bool takes(Way way, double limit) {
    if (takes(way)) report.ways.push_back({way, 0, limit});
    return takes(way);
  }
  void seen(double error) { report.ways.back().worst = std::max(report.ways.back().worst, error); }
  /// Notes an error of input i, in units of its slack; whether it is allowed.
  bool agrees(size_t i, double error) {
    const double slack = subject.inputs[i].slack;
    seen(error / slack);
    return error <= report.ways.back().limit * slack;
  }

  /// One line of what is wrong.
  template <class... Args>
  void fail(fmt::format_string<Args...> format, Args&&... args) {
    report.failures.push_back(line(format, std::forward<Args>(args)...));
  }
  /// One line of where there is no derivative.
  template <class... Args>
  void kink(fmt::format_string<Args...> format, Args&&... args) {
    report.kinks.push_back(line(format, std::forward<Args>(args)...));
  }

 private:
  template <class... Args>
  std::string line(fmt::format_string<Args...> format, Args&&... args) const {
    return report.name + ": " + fmt::format(format, std::forward<Args>(args)...);
  }
};

}  // namespace orthoread
