#include "apps/train/outcome.h"

#include <cmath>

namespace orthoread {

bool has_escaped(double accuracy) { return accuracy >= 0.8; }
bool has_collapsed(double accuracy) { return accuracy < 0.005; }

std::string outcome_of(double accuracy) {
  return std::isnan(accuracy)      ? "diverged"
         : has_escaped(accuracy)   ? "solved"
         : accuracy >= 0.2         ? "mid"
         : has_collapsed(accuracy) ? "collapsed"
                                   : "flat";
}

}  // namespace orthoread
