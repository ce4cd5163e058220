// Reads whole files, and writes them atomically: no reader ever sees a partial file.
#pragma once

#include "core/check.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace orthoread {

/// A write failed because of the storage (full, over a limit, broken), not because of the caller's request.
struct StorageError : Error {
  using Error::Error;
};

/// The bytes of a regular file. Throws Error "cannot read PATH: reason".
std::string read_file(const std::string& path);

/// Replaces the file's content with `bytes`, all or nothing. They go to a new file in the same folder (PATH.123.tmp or
/// another number), which is flushed to disk and renamed to the old file. So after a crash, or on a full disk, the old
/// file is as before. The new file keeps the mode and, where permitted, the owner. Symbolic links are followed. If
/// `previous` is given, the old file is kept under that name in the same folder. On failure the new file is removed and
/// an Error (or StorageError) "cannot write PATH: reason" is thrown. Exceeding a file-size limit is such a failure if
/// the program ignores SIGXFSZ.
void write_file_atomically(const std::string& path, std::string_view bytes, const std::string& previous = "");

/// Renames the file and flushes the folder to disk. Throws as write_file_atomically does.
void rename_file(const std::string& from, const std::string& to);

/// Creates the folder and its missing parents, and flushes the new entries to disk. Returns the folders it created,
/// outermost first. Throws Error "cannot make the folder PATH: reason".
std::vector<std::string> make_folders(const std::string& path);

/// A file to append to, such as a log. Throws as write_file_atomically does.
class AppendFile {
 public:
  /// Opens or creates the file and truncates it to its first `keep` bytes. An Error if it has fewer.
  AppendFile(std::string path, int64_t keep);
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  ~AppendFile();

  /// Appends the bytes.
  void append(std::string_view bytes);
  /// Returns when everything written is on disk.
  void flush_to_disk();
  /// The size of the file in bytes.
  int64_t size() const { return size_; }

 private:
  std::string path_;
  int number_ = -1;
  int64_t size_;
};

}  // namespace orthoread
