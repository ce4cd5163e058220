// What error messages add when the mistake can be guessed. Private to the ops.
#pragma once

#include "core/shape.h"

namespace orthoread {

/// Advice, if two shapes that should begin with the same (B, S) would do so with batch and time exchanged.
inline const char* advice_on_batch_and_time(const Shape& a, const Shape& b) {
  const bool exchanged = a.size() >= 2 && b.size() >= 2 && a[0] != a[1] && a[0] == b[1] && a[1] == b[0];
  return exchanged ? "; batch and time are exchanged in one of them: permute brings axis 1 to the front" : "";
}

}  // namespace orthoread
