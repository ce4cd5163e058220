// The singular spectrum of a matrix: how many directions it uses.
#pragma once

#include "core/array.h"

#include <vector>

namespace orthoread {

/// The singular values of a matrix (m, n), largest first, computed in its precision. An error where a number of it is
/// not finite.
template <class T>
std::vector<double> singular_values(const Array<T>& matrix);

/// exp(-sum p log p), p the singular values over their sum: n for n equal ones, 1 for a single one (Roy and Vetterli,
/// 2007). 0 for a matrix of zeros.
double effective_rank(const std::vector<double>& singular_values);
/// The largest singular value over the sum of all; 0 for a matrix of zeros.
double first_share(const std::vector<double>& singular_values);
/// log10 of the largest over the smallest: infinite where that is 0.
double log10_condition(const std::vector<double>& singular_values);

}  // namespace orthoread
