// The environment in which a result was computed.
#pragma once

#include "apps/train/train_config.h"

namespace orthoread {

/// Version, compiler, processor, threads and BLAS, for config.json and `orthoread info`.
Json environment();

}  // namespace orthoread
