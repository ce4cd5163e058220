// What became of a run, by its accuracies on the validation set.
#pragma once

#include <string>

namespace orthoread {

/// It has left the plateau: at least 80 % are right.
bool has_escaped(double accuracy);
/// Below .5 %, under what guessing gives.
bool has_collapsed(double accuracy);

/// By the final accuracy: solved, if it has escaped, mid (at least 20 %), collapsed, flat between those, and diverged
/// where it is no number.
std::string outcome_of(double accuracy);

}  // namespace orthoread
