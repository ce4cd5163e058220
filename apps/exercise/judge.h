// Judges an exercise: is the gradient right, and if not, what is wrong with it?
#pragma once

#include "ops/gradcheck/gradient_check.h"
#include "ops/gradcheck/numbers.h"

namespace orthoread {

class Judge {
 public:
  /// Checks f's gradient by dual numbers and by differences. `advice` is what a learner is told when it is wrong.
  void gradient(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                const std::string& advice);

  /// Compares numbers, up to rounding.
  void equal(const std::string& what, const Array<double>& yours, const Array<double>& right,
             const std::string& advice);

  /// Runs `body` in a process of its own, with a small stack, and sees whether it survives.
  void survives(const std::string& what, const std::function<void()>& body, const std::string& advice);

  /// Prints what was found; what main returns: 0 if all is right, 1 if not.
  int verdict() const;

 private:
  void wrong(const std::string& what, const std::string& advice);

  std::vector<std::string> lines_;
  std::string last_advice_;  // said once, however often it is needed in a row
  bool right_ = true;
};

}  // namespace orthoread
