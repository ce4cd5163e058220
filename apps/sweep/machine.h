// The CPUs that this process may use.
#pragma once

namespace orthoread {

/// The CPUs that the affinity mask and the control groups (v2 cpu.max, v1 cpu.cfs_quota_us) of this process allow, at
/// least 1. A fraction of a CPU counts as one.
int available_cpus();

}  // namespace orthoread
