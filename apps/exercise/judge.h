// Judges an exercise: is the gradient right, and if not, what is wrong with it?
#pragma once

#include "ops/gradcheck/gradient_check.h"
#include "ops/gradcheck/numbers.h"

namespace orthoread {

class Judge {
 public:
  /// Runs the rest of the program in a child process. If that crashes, writes outside an array, does not end, or throws
  /// (`if_thrown` is the advice then), says so.
  explicit Judge(const std::string& if_thrown = "");

  /// Checks f's gradient at the given inputs against dual numbers and differences. Says of each input what is wrong,
  /// and then `advice`. f gives one tensor.
  void gradient(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                const std::string& advice);
  /// The same with advice that depends on the reader's gradients, which are none if f threw.
  void gradient(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                const std::function<std::string(const std::vector<Array<double>>& yours)>& advice);

  /// Compares numbers, up to rounding errors; whether they are equal.
  bool equal(const std::string& what, const Array<double>& yours, const Array<double>& right,
             const std::string& advice);

  /// Runs `body` in a child process with a small stack, and checks that it ends normally and returns true.
  void survives(const std::string& what, const std::function<bool()>& body, const std::string& advice);

  /// The exit code: 0 if all is right, else 1.
  int verdict() const;

 private:
  void wrong(const std::string& what, const std::string& advice);

  bool right_ = true;
};

}  // namespace orthoread
