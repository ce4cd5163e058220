#include "tests/system_calls.h"

#include <sys/file.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <filesystem>
#include <string_view>

namespace orthoread {
namespace {

struct {
  std::string_view name;
  int error = 0;
  std::atomic<int> left = 0, failed = 0;
} failing;
SyncedPaths* synced = nullptr;

/// Whether this call must fail; sets errno.
bool fails(std::string_view name) {
  if (failing.left == 0 || failing.name != name) return false;
  --failing.left;
  ++failing.failed;
  errno = failing.error;
  return true;
}

int called(long number, long first, long second = 0) { return static_cast<int>(syscall(number, first, second)); }

}  // namespace

FailingCall::FailingCall(const char* name, int error, int times) {
  failing.name = name;
  failing.error = error;
  failing.failed = 0;
  failing.left = times;
}
FailingCall::~FailingCall() { failing.left = 0; }
int FailingCall::failed() const { return failing.failed; }

SyncedPaths::SyncedPaths() { synced = this; }
SyncedPaths::~SyncedPaths() { synced = nullptr; }

extern "C" int fsync(int file) {
  if (fails("fsync")) return -1;
  if (synced) synced->add(std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(file)));
  return called(SYS_fsync, file);
}

extern "C" int ftruncate(int file, off_t size) noexcept {
  return fails("ftruncate") ? -1 : called(SYS_ftruncate, file, size);
}

extern "C" int close(int file) {
  const int result = called(SYS_close, file);
  return fails("close") ? -1 : result;
}

extern "C" int flock(int file, int operation) noexcept {
  return fails("flock") ? -1 : called(SYS_flock, file, operation);
}

}  // namespace orthoread
