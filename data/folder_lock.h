// A lock on a folder: only one process works in it.
#pragma once

#include <string>

namespace orthoread {

/// Part of the error message for a locked folder.
inline constexpr const char* kAnotherProcess = "another process is at work";

/// An exclusive lock: flock on the file `lock` in the folder, released at the latest when the process ends. It locks a
/// file, not the folder, because NFS needs a descriptor open for writing.
class FolderLock {
 public:
  /// Whether to wait for a lock that another process holds.
  enum class Wait { no, yes };

  /// Creates the file if it is missing. An Error if another process holds the lock (unless `wait` is yes), if the
  /// folder is not writable, or if locking fails. A file system without locks is no Error: see warning().
  explicit FolderLock(const std::string& folder, Wait wait = Wait::no);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

  /// A warning if the file system has no locks, so that a second process is not kept out; else empty.
  const std::string& warning() const { return warning_; }
  /// Removes the file, to leave the folder as it was. The lock is held as long as this object lives.
  void remove_file() const;

 private:
  void take(const std::string& folder, Wait wait);
  bool file_is_still_there() const;

  std::string path_, warning_;
  int number_ = -1;
};

/// Whether a process holds the folder's lock. Asking keeps no process out. A lock file that cannot be opened counts as
/// free.
bool is_locked(const std::string& folder);

}  // namespace orthoread
