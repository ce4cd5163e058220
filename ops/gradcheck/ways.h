// The ways of checking (enum Way): each asks the subject and tells the findings what it saw. One that draws random
// numbers changes the subject's. They are in against_dual.cpp, against_differences.cpp, against_itself.cpp, hessian.cpp
// and float32.cpp.
#pragma once

#include "ops/gradcheck/findings.h"

namespace orthoread {

// Against Dual.

/// The value on Dual, of each output relative to its largest number.
void check_value(Subject& s, Findings& found);
/// <v, J u> = <J^T v, u> for random u, part by part of each input.
void check_dual(Subject& s, Findings& found);
/// J of a small function, its columns from Dual and its rows from backward.
void check_jacobian(const Subject& s, Findings& found);

// Against differences of values.

/// Entry by entry; without Dual also along random directions.
void check_differences(Subject& s, Findings& found);

// Backward against itself, asked in another way.

/// The same bits whichever of the other inputs need a gradient.
void check_wanted(const Subject& s, Findings& found);
/// Each of several outputs alone gives what it gives where the others are used, too, with the cotangent 0.
void check_outputs(const Subject& s, Findings& found);
/// One tensor in place of all inputs of a shape receives the sum of their gradients.
void check_aliased(Subject& s, Findings& found);
/// The same bits on a second run, and on another number of threads.
void check_repeated(const Subject& s, Findings& found);

// Second derivatives, by backward on Dual.

/// Backward on Dual has the value that backward has.
void check_backward_on_dual(Subject& s, Findings& found);
/// The Hessian is symmetric, and its product with a direction is what differences of gradients say.
void check_hessian(Subject& s, Findings& found);

// Float against double.

/// The error of float, in units of what rounding every input (and the cotangent) to float would do to the result, and
/// of rounding the result itself.
void check_float(Subject& s, Findings& found);

}  // namespace orthoread
