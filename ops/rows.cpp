#include "ops/rows.h"

#include "ops/instantiate.h"
#include "ops/mlstm_lane.h"

namespace orthoread {

namespace baseline {
template <Real T>
const RowKernels<T>& rows();
}
#if defined(ORTHOREAD_X86)
namespace avx2 {
template <Real T>
const RowKernels<T>& rows();
}
namespace avx512 {
template <Real T>
const RowKernels<T>& rows();
}
#endif

template <Real T>
const RowKernels<T>& row_kernels() {
#if defined(ORTHOREAD_X86)
  if (instruction_set() == InstructionSet::avx512) return avx512::rows<T>();
  if (instruction_set() == InstructionSet::avx2) return avx2::rows<T>();
#endif
  return baseline::rows<T>();
}

#define INSTANTIATE(T) template const RowKernels<T>& row_kernels();
ORTHOREAD_FOR_EACH_REAL(INSTANTIATE)

}  // namespace orthoread
