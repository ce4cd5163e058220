// The singular spectrum of a matrix: how many directions it uses.
#pragma once

#include "core/array.h"

#include <vector>

namespace orthoread {

/// The singular values of a matrix (m, n), largest first, computed in its precision. An Error if an entry is not
/// finite.
template <class T>
std::vector<double> singular_values(const Array<T>& matrix);

/// exp(-sum p log p), where p are the singular values over their sum: n for n equal ones, 1 for a single one (Roy and
/// Vetterli, 2007). 0 for a zero matrix.
double effective_rank(const std::vector<double>& singular_values);
/// The largest singular value over their sum; 0 for a zero matrix.
double first_share(const std::vector<double>& singular_values);
/// log10 of the largest over the smallest; infinite if the smallest is 0.
double log10_condition(const std::vector<double>& singular_values);

}  // namespace orthoread
