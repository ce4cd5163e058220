#include "apps/environment.h"

#include "core/parallel.h"
#include "ops/gemm.h"
#include "ops/simd/instruction_set.h"

#include <fstream>

namespace orthoread {
namespace {

std::string processor() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);) {
    const size_t colon = line.find(": ");
    if (line.starts_with("model name") && colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

}  // namespace

Json environment() {
  return {{"version", version()},
          {"build", ORTHOREAD_BUILD_TYPE},
          {"compiler", __VERSION__},
          {"processor", processor()},
          {"instruction_set", name(instruction_set())},
          {"threads", threads()},
          {"blas", blas_description()}};
}

}  // namespace orthoread
