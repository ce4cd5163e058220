// Who is at work in a folder.
#pragma once

#include <string>

namespace orthoread {

/// What the message of a folder that is taken contains.
inline constexpr const char* kAnotherProcess = "another process is at work";

/// An exclusive lock: flock on the file `lock` in the folder, which ends with the process at the latest. It is a file,
/// not the folder, because an exclusive lock on NFS needs a descriptor that is open for writing.
class FolderLock {
 public:
  /// Whether to wait for a lock that another process holds.
  enum class Wait { no, yes };

  /// Makes the file if it is missing. An Error if another process holds the lock (unless it is to be waited for), if
  /// the folder cannot be written into, or if locking fails. A file system that cannot lock at all is no error: see
  /// warning().
  explicit FolderLock(const std::string& folder, Wait wait = Wait::no);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

  /// One line if the file system cannot lock, so that nothing keeps a second process out; else empty.
  const std::string& warning() const { return warning_; }
  /// Removes the file, of a folder that is to be as it was before. The lock ends with this object only.
  void remove_file() const;

 private:
  void take(const std::string& folder, Wait wait);
  bool file_is_still_there() const;

  std::string path_, warning_;
  int number_ = -1;
};

/// Whether somebody holds the folder's lock. Nobody is kept out by the question. A lock that may not be asked for
/// counts as free.
bool is_locked(const std::string& folder);

}  // namespace orthoread
