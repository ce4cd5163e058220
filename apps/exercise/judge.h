// Judges an exercise: is the gradient right, and if not, what is wrong with it?
#pragma once

#include "ops/gradcheck/gradient_check.h"
#include "ops/gradcheck/numbers.h"

namespace orthoread {

class Judge {
 public:
  /// From here on the program runs in a process of its own. If that crashes or does not end, it is said in words.
  Judge();

  /// Checks f's gradient by dual numbers and by differences. `advice` is what a learner is told when it is wrong.
  void gradient(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                const std::string& advice);

  /// Compares numbers, up to rounding.
  void equal(const std::string& what, const Array<double>& yours, const Array<double>& right,
             const std::string& advice);

  /// Runs `body` in a process of its own, with a small stack, and sees whether it survives and returns true.
  void survives(const std::string& what, const std::function<bool()>& body, const std::string& advice);

  /// What main returns: 0 if all is right, 1 if not.
  int verdict() const;

 private:
  void wrong(const std::string& what, const std::string& advice);

  std::string last_advice_;  // said once, however often it is needed in a row
  bool right_ = true;
};

}  // namespace orthoread
