// System calls that fail when a test asks for it: the tests define fsync, ftruncate, close and flock, which take
// precedence over the C library's.
#pragma once

#include <string>
#include <vector>

namespace orthoread {

/// While it exists, the first `times` calls of that name fail with `error`. (close still closes, as on Linux.) Only one
/// may exist at a time.
class FailingCall {
 public:
  FailingCall(const char* name, int error, int times = 1 << 30);
  FailingCall(const FailingCall&) = delete;
  FailingCall& operator=(const FailingCall&) = delete;
  ~FailingCall();
  /// How many calls have failed.
  int failed() const;
};

/// While it exists, notes the path of every file and folder that fsync flushes.
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
