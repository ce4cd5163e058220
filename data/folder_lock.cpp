#include "data/folder_lock.h"

#include "core/check.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <thread>

namespace orthoread {
namespace {

std::string lock_file(const std::string& folder) { return folder + "/lock"; }

/// 0 or errno. Repeated if a signal interrupts it.
int try_lock(int file, int operation) {
  while (::flock(file, operation) != 0) {
    if (errno != EINTR) return errno;
  }
  return 0;
}

int opened(const std::string& path, int flags) {
  for (;;) {
    const int file = ::open(path.c_str(), flags | O_CLOEXEC, 0666);
    if (file >= 0 || errno != EINTR) return file;
  }
}

/// On NFS without its lock daemon, Lustre without its flock option, and others.
bool cannot_lock(int error) { return error == ENOLCK || error == ENOSYS || error == EOPNOTSUPP; }

}  // namespace

FolderLock::FolderLock(const std::string& folder, Wait wait) : path_(lock_file(folder)) {
  constexpr int kAttempts = 100;  // some file systems give a file a new inode number at each query
  for (int attempt = 1;; ++attempt) {
    number_ = opened(path_, O_RDWR | O_CREAT);
    check(number_ >= 0, "cannot write into {}: {}", folder, std::strerror(errno));
    try {
      take(folder, wait);
    } catch (...) {
      ::close(number_);
      throw;
    }
    if (attempt == kAttempts || file_is_still_there()) return;  // the previous holder may have removed it
    ::close(number_);
  }
}

FolderLock::~FolderLock() { ::close(number_); }

void FolderLock::take(const std::string& folder, Wait wait) {
  for (;;) {
    const int error = try_lock(number_, LOCK_EX | (wait == Wait::yes ? 0 : LOCK_NB));
    if (error == 0) return;
    if (cannot_lock(error)) {
      warning_ = fmt::format("{}: this file system cannot lock ({}): make sure that no second process works here",
                             folder, std::strerror(error));
      return;
    }
    check(error == EWOULDBLOCK, "cannot lock {}: {}", path_, std::strerror(error));
    // is_locked takes a shared lock for a moment; a process at work holds an exclusive one.
    check(try_lock(number_, LOCK_SH | LOCK_NB) == 0, "{} in {}; wait for it, or give another folder", kAnotherProcess,
          folder);
    try_lock(number_, LOCK_UN);
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

bool FolderLock::file_is_still_there() const {
  struct stat here, there;
  return ::fstat(number_, &here) == 0 && ::stat(path_.c_str(), &there) == 0 && here.st_dev == there.st_dev &&
         here.st_ino == there.st_ino;
}

void FolderLock::remove_file() const { ::unlink(path_.c_str()); }

bool is_locked(const std::string& folder) {
  const int file = opened(lock_file(folder), O_RDONLY);
  if (file < 0) return false;
  const int error = try_lock(file, LOCK_SH | LOCK_NB);
  ::close(file);
  return error == EWOULDBLOCK;
}

}  // namespace orthoread
