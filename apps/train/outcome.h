// The outcome of a run, from its validation accuracy.
#pragma once

#include <string>

namespace orthoread {

/// accuracy >= .8: the run has left the plateau.
bool has_escaped(double accuracy);
/// accuracy < .005, below chance.
bool has_collapsed(double accuracy);

/// The outcome for a final accuracy: solved (escaped), mid (>= .2), collapsed, diverged (NaN), else flat.
std::string outcome_of(double accuracy);

}  // namespace orthoread
