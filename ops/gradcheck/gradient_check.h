// Is a gradient right? One line for each op:
//
//   GradientReport report = gradient_report("softplus", {{3, 4}}, [](const auto& x) { return softplus(x[0]); });
//
// The function runs on float, double and Dual tensors, or on double alone, and gives one tensor or a vector of them.
// With L = <v, f(x)> for a random cotangent v (a plain sum would hide, for one, the whole backward of softmax), it is
// checked that
//   - the value on Dual is the value on double;
//   - Dual and backward agree: <v, J u> = <J^T v, u> for random u, to rounding, part by part of each input; and, of
//     small functions, the Jacobian entry by entry, its columns from Dual and its rows from backward;
//   - central differences of L converge to the gradient, entry by entry: they know neither Dual nor backward;
//   - an input's gradient has the same bits whichever of the other inputs need one;
//   - of several outputs each one alone gives what it gives as a part of L;
//   - one tensor in place of all inputs of a shape receives the sum of their gradients;
//   - backward on Dual gives a symmetric Hessian, equal to differences of gradients;
//   - a second run, and one on another number of threads, give the same bits;
//   - float's value and gradients are as near to double's as rounding the inputs to float would leave them, times a
//     few.
// A NaN or an infinity anywhere is a failure. Where a function has a kink, its gradient is neither right nor wrong: the
// report says "kink", and the caller chooses inputs on either side of it.
#pragma once

#include "core/tensor.h"

#include <optional>
#include <set>
#include <string>

namespace orthoread {

/// An input of a checked function: numbers drawn uniformly from a range, or given ones.
struct Input {
  /// Numbers of this shape, uniform on [-2, 2).
  Input(std::initializer_list<int64_t> sizes) : Input(Shape(sizes), -2, 2) {}
  /// Numbers of this shape, uniform on [low, high).
  Input(Shape sizes, double low_, double high_) : shape(std::move(sizes)), low(low_), high(high_) {}
  /// These numbers.
  Input(Array<double> numbers, std::string name_ = "")
      : shape(numbers.shape()), given(std::move(numbers)), name(std::move(name_)) {}

  Shape shape;               // of the numbers
  double low = 0, high = 0;  // the range they are drawn from
  Array<double> given = {};  // or the numbers themselves
  std::string name = {};     // "input 0" and so on where it is empty
  double slack = 1;          // times the errors that are allowed of its gradient
};

/// The ways of checking.
enum class Way {
  value,             // on Dual, against the one on double
  dual,              // Dual against backward along random directions
  jacobian,          // Dual against backward entry by entry
  differences,       // against backward
  wanted,            // some inputs need no gradient
  outputs,           // each of several outputs alone
  aliased,           // one tensor passed twice
  repeated,          // a second run, other threads
  backward_on_dual,  // its value, against backward's own
  symmetry,          // of the Hessian
  hessian,           // against differences of gradients
  float32,           // against double
  twin,              // a fused function against the composed one
  twin_float32,      // the errors of the two in float
};
/// In a few words, for a report.
const char* name(Way way);

/// The errors that are allowed, and how many entries are compared.
struct GradientLimits {
  double dual = 1e-12;       // of a sum, relative to the sum of its terms' absolute values
  double difference = 1e-6;  // of a gradient's entry, relative to the largest one
  double on_dual = 1e-12;    // of a value on Dual, or of a gradient's, against the one on double
  double symmetry = 1e-12;   // of the Hessian, relative to the sum of its terms' absolute values
  double hessian = 1e-6;     // of the Hessian times a vector, relative to its largest entry
  double float32 = 16;       // of float, in errors that rounding all inputs to float would make
  int64_t entries = 24;      // of an input whose partial derivatives are taken one by one
  int64_t jacobian = 64;     // inputs and outputs of a function, all together, whose Jacobian is taken entry by entry
  uint64_t seed = 1;         // draws inputs, cotangents and directions
  std::set<Way> off = {};    // ways that are left out
};

/// A function of some tensors that gives some tensors.
template <Real T>
using Function = std::function<std::vector<Tensor<T>>(const std::vector<Tensor<T>>& inputs)>;

/// The same function on the three kinds of number, or on double alone if that is all it takes: the ways that need Dual
/// or float are left out then. f gives a tensor or a vector of them.
struct Functions {
  Function<float> f32;   // empty if it is not for float
  Function<double> f64;  // always there
  Function<Dual> dual;   // empty if it is not for Dual

  /// From anything that can be called with a vector of tensors, such as a generic lambda.
  template <class F>
  Functions(F f) : f32(on<float>(f)), f64(on<double>(f)), dual(on<Dual>(f)) {
    static_assert(std::is_invocable_v<F&, const std::vector<Tensor<double>>&>, "a function of double at least");
  }

 private:
  template <Real T, class F>
  static Function<T> on(const F& f) {
    if constexpr (std::is_invocable_v<F&, const std::vector<Tensor<T>>&>)
      return [f](const std::vector<Tensor<T>>& x) mutable { return outputs(f(x)); };
    else
      return nullptr;
  }
  template <Real T>
  static std::vector<Tensor<T>> outputs(Tensor<T> y) {
    return {std::move(y)};
  }
  template <Real T>
  static std::vector<Tensor<T>> outputs(std::vector<Tensor<T>> ys) {
    return ys;
  }
};

/// One partial derivative: by backward, by Dual, and by differences.
struct EntryReport {
  std::string at;                     // "[1, 2]"
  double analytic, dual, difference;  // by backward, by Dual, by differences
  double absolute, relative;          // error of backward against Dual
};

/// The gradient of one input, the entries that were compared one by one. Errors are relative to the largest entry, or,
/// of a gradient that cancels out, to the size of its terms.
struct InputReport {
  std::string name;                                   // the input's
  Shape shape;                                        // and its shape
  double largest = 0;                                 // the largest entry of the gradient
  int64_t compared = 0;                               // how many entries
  double dual_median = 0, dual_most = 0;              // error of backward against Dual
  double difference_median = 0, difference_most = 0;  // against differences
  std::optional<double> order2 = {}, order4 = {};     // observed of 2- and 4-point differences: none if all is rounding
  double float32 = 0;                                 // error of float, in those of rounding the inputs
  std::vector<EntryReport> worst = {};                // the three largest errors against Dual
};

/// One way of checking: the worst error that it found, and what was allowed.
struct WayReport {
  Way way;              // which
  double worst, limit;  // the error, and what was allowed
};

/// All that a check found.
struct GradientReport {
  /// The result. A kink is a point without a derivative.
  enum class Verdict { right, kink, wrong };

  std::string name;                      // of the function
  std::vector<WayReport> ways = {};      // those taken that measure an error
  std::vector<InputReport> inputs = {};  // one for each
  /// What is wrong, one line each, which names the function, the input, the entry, the gradient that backward computed
  /// (analytic) and what it should be (numeric). None if all is well.
  std::vector<std::string> failures = {};
  /// Entries at a kink, one line each.
  std::vector<std::string> kinks = {};

  /// wrong if anything failed.
  Verdict verdict() const {
    return !failures.empty() ? Verdict::wrong : !kinks.empty() ? Verdict::kink : Verdict::right;
  }
  /// Whether the gradient is right.
  bool passed() const { return verdict() == Verdict::right; }
};

/// Checks the gradients of f at these inputs. Whatever f throws is a failure.
GradientReport gradient_report(const std::string& name, const std::vector<Input>& inputs, const Functions& f,
                               const GradientLimits& limits = {});

/// Compares a fused function with its twin composed of other ops: the value and every gradient under a random
/// cotangent, in float64 (allowed: `limit`, relative to the largest entry, or to the size of what cancelled out) and,
/// as the ratio of their errors against float64, in float32 (allowed: limits.float32).
GradientReport twin_report(const std::string& name, const std::vector<Input>& inputs, const Functions& fused,
                           const Functions& composed, double limit = 1e-13, const GradientLimits& limits = {});

/// Both at once: the gradients of a fused function, and its twin.
GradientReport fused_report(const std::string& name, const std::vector<Input>& inputs, const Functions& fused,
                            const Functions& composed, double limit = 1e-13, const GradientLimits& limits = {});

/// For a person: the verdict, each way's worst error, a table of the inputs with their worst entries.
std::string to_text(const GradientReport& report);
/// "right", "kink" or "wrong".
const char* name(GradientReport::Verdict verdict);

}  // namespace orthoread
