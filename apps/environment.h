// The environment in which a result was computed.
#pragma once

#include "apps/train/train_config.h"

namespace orthoread {

/// The version and, if it was built in a git checkout, the commit: "0.1.0+49e297c40ab1", with ".changed" where files
/// differed from it. Written by version.cmake.
std::string version();

/// Version, compiler, processor, threads and BLAS, for config.json and `orthoread info`.
Json environment();

}  // namespace orthoread
