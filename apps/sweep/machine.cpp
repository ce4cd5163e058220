#include "apps/sweep/machine.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <limits>
#include <sstream>
#include <string>
#include <thread>

namespace orthoread {
namespace {

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

/// The CPUs of a quota and a period in microseconds; "max" and -1 mean no limit.
double cpus_of(const std::string& quota, const std::string& period) {
  const double q = std::strtod(quota.c_str(), nullptr), p = std::strtod(period.c_str(), nullptr);
  return quota != "max" && q > 0 && p > 0 ? q / p : kNoLimit;
}

std::string first_word(const std::string& path) {
  std::ifstream file(path);
  std::string word;
  file >> word;
  return word;
}

/// The smallest limit of a control group and its ancestors.
double group_limit(const std::string& root, std::string group, bool version_2) {
  double limit = kNoLimit;
  for (;;) {
    const std::string folder = root + group;
    if (version_2) {
      std::ifstream file(folder + "/cpu.max");
      std::string quota, period;
      if (file >> quota >> period) limit = std::min(limit, cpus_of(quota, period));
    } else {
      limit =
          std::min(limit, cpus_of(first_word(folder + "/cpu.cfs_quota_us"), first_word(folder + "/cpu.cfs_period_us")));
    }
    const size_t slash = group.rfind('/');
    if (slash == std::string::npos || group == "/") return limit;
    group.erase(slash);
  }
}

}  // namespace

int available_cpus() {
  double limit = std::max(1U, std::thread::hardware_concurrency());
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) == 0) limit = std::min<double>(limit, CPU_COUNT(&set));
  std::ifstream groups("/proc/self/cgroup");  // lines of number:controllers:path
  for (std::string line; std::getline(groups, line);) {
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1), group = line.substr(second + 1);
    if (controllers.empty()) limit = std::min(limit, group_limit("/sys/fs/cgroup", group, true));
    if (("," + controllers + ",").find(",cpu,") != std::string::npos)
      limit = std::min(limit, group_limit("/sys/fs/cgroup/cpu", group, false));
  }
  return std::max(1, static_cast<int>(std::ceil(limit - 1e-9)));
}

}  // namespace orthoread
