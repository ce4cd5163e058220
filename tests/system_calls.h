// System calls of this process that fail when a test says so: the tests' own fsync, ftruncate, close and flock stand
// before the C library's.
#pragma once

#include <string>
#include <vector>

namespace orthoread {

/// While it lives, calls of that name fail with `error`, the first `times` of them. (close closes all the same, as
/// Linux does.) One at a time.
class FailingCall {
 public:
  FailingCall(const char* name, int error, int times = 1 << 30);
  FailingCall(const FailingCall&) = delete;
  FailingCall& operator=(const FailingCall&) = delete;
  ~FailingCall();
  /// How many have failed.
  int failed() const;
};

/// While it lives, notes the path of everything that fsync brings to the disk.
class SyncedPaths {
 public:
  SyncedPaths();
  SyncedPaths(const SyncedPaths&) = delete;
  SyncedPaths& operator=(const SyncedPaths&) = delete;
  ~SyncedPaths();
  const std::vector<std::string>& paths() const { return paths_; }
  void add(std::string path) { paths_.push_back(std::move(path)); }

 private:
  std::vector<std::string> paths_;
};

}  // namespace orthoread
