// Judges an exercise: is the gradient right, and if not, what is wrong with it?
#pragma once

#include "ops/gradcheck/gradient_check.h"
#include "ops/gradcheck/numbers.h"

namespace orthoread {

class Judge {
 public:
  /// Runs the rest of the program in a child process. If that crashes or does not end, says so.
  Judge();

  /// Checks f's gradient against dual numbers and differences. `advice` is printed if it is wrong.
  void gradient(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                const std::string& advice);

  /// Compares numbers, up to rounding errors.
  void equal(const std::string& what, const Array<double>& yours, const Array<double>& right,
             const std::string& advice);

  /// Runs `body` in a child process with a small stack, and checks that it ends normally and returns true.
  void survives(const std::string& what, const std::function<bool()>& body, const std::string& advice);

  /// The exit code: 0 if all is right, else 1.
  int verdict() const;

 private:
  void wrong(const std::string& what, const std::string& advice);

  std::string last_advice_;  // not repeated if it is the same again
  bool right_ = true;
};

}  // namespace orthoread
