// Whole files: read at once, and written so that nobody ever meets half of one.
#pragma once

#include "core/check.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orthoread {

/// The storage gave up while it was written to: full, over a limit, broken. No fault of what the caller asked for.
struct StorageError : Error {
  using Error::Error;
};

/// The bytes of a regular file. Throws Error "cannot read PATH: reason".
std::string read_file(const std::string& path);

/// Makes `bytes` the content of the file, all or nothing: they go to a new file in the same folder (PATH.123.tmp or
/// another number), to the disk, and then over the old file by rename, so that a crash or a full disk leaves the old
/// file as it was. The new file has the old one's mode and, where that is allowed, owner; a symbolic link stays, and
/// what it leads to is written. The old file stays under the name `previous` in the same folder, if one is given. On
/// failure the new file is removed; throws Error (or StorageError) "cannot write PATH: reason". A file-size limit is
/// such a failure if the program ignores SIGXFSZ.
void write_file_atomically(const std::string& path, std::string_view bytes, const std::string& previous = "");

/// rename, and the folder to the disk. Throws as write_file_atomically does.
void rename_file(const std::string& from, const std::string& to);

/// Makes the folder and what is missing above it, and sees to it that the new entries are on the disk. Returns the
/// folders it made, outermost first. Throws Error "cannot make the folder PATH: reason".
std::vector<std::string> make_folders(const std::string& path);

/// A file that grows at its end, such as a log. Throws as write_file_atomically does.
class AppendFile {
 public:
  /// Opens the file, or makes it, and cuts off what stands after the first `keep` bytes; an error if it has fewer.
  AppendFile(std::string path, int64_t keep);
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  ~AppendFile();

  /// Writes behind the end.
  void append(std::string_view bytes);
  /// Returns when all that was written is on the disk.
  void flush_to_disk();
  /// Bytes of the file so far.
  int64_t size() const { return size_; }

 private:
  std::string path_;
  int number_ = -1;
  int64_t size_;
};

}  // namespace orthoread
