// How the programs of the tour print an array.
#pragma once

#include "core/array.h"

#include <fmt/format.h>

#include <string>

namespace orthoread {

/// "[2, 3]: 1 2 3 | 4 5 6": the shape and the numbers, row by row.
inline std::string show(const Array<double>& x) {
  std::string text = fmt::format("{}:", x.shape());
  for (int64_t i = 0; i < x.size(); ++i) {
    const bool new_row = x.rank() > 1 && i > 0 && i % x.dim(-1) == 0;
    text += fmt::format("{} {:.4g}", new_row ? " |" : "", x.data()[i]);
  }
  return text;
}

}  // namespace orthoread
