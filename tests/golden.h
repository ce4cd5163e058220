// The golden files: see tests/golden/README.md.
#pragma once

#include "core/check.h"

#include <string>

namespace orthoread {

/// The path of a golden file.
inline std::string golden(const std::string& file) { return fmt::format("{}/{}", ORTHOREAD_GOLDEN_DIR, file); }

}  // namespace orthoread
