#include "data/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <random>
#include <system_error>
#include <utility>

namespace orthoread {
namespace {

namespace fs = std::filesystem;

void require(bool ok) {
  if (!ok) throw std::system_error(errno, std::generic_category());
}

/// The result of a system call, which is repeated if a signal interrupts it.
template <class Call>
size_t retried(Call call) {
  for (;;) {
    const auto result = call();
    if (result >= 0) return static_cast<size_t>(result);
    require(errno == EINTR);
  }
}

void write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) bytes.remove_prefix(retried([&] { return write(file, bytes.data(), bytes.size()); }));
}

[[noreturn]] void throw_write_error(const std::string& path, const std::error_code& reason) {
  const std::string message = fmt::format("cannot write {}: {}", path, reason.message());
  for (const int storage : {ENOSPC, EDQUOT, EFBIG, EIO}) {
    if (reason.value() == storage) throw StorageError(message);
  }
  throw Error(message);
}

int open_file(const std::string& path, int flags) {
  return static_cast<int>(retried([&] { return open(path.c_str(), flags | O_CLOEXEC, 0666); }));
}

/// An open file, closed by the destructor. Its functions throw std::system_error with errno.
class File {
 public:
  File(const std::string& path, int flags) : number_(open_file(path, flags)) {}
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  ~File() {
    if (number_ >= 0) close(number_);
  }

  struct stat status() const {
    struct stat status;
    require(fstat(number_, &status) == 0);
    return status;
  }
  /// The number of bytes read; 0 at the end of the file.
  size_t read_some(char* bytes, size_t most) {
    return retried([&] { return read(number_, bytes, most); });
  }
  void write_all(std::string_view bytes) { orthoread::write_all(number_, bytes); }
  void flush_to_disk() {
    retried([&] { return fsync(number_); });
  }
  /// Copies mode and, where permitted, owner of another file.
  void take_after(const struct stat& other) {
    constexpr mode_t kRights = 07777;
    if (fchown(number_, other.st_uid, other.st_gid) != 0) require(errno == EPERM || errno == EINVAL);
    retried([&] { return fchmod(number_, other.st_mode & kRights); });
  }
  /// Some file systems report a failed write only here. Linux closes the file even if a signal interrupts the call.
  void close_checked() { require(close(std::exchange(number_, -1)) == 0 || errno == EINTR); }

 private:
  int number_;
};

void check_regular(const char* what, const std::string& path, mode_t mode) {
  check(!S_ISDIR(mode), "cannot {} {}: it is a folder", what, path);
  check(S_ISREG(mode), "cannot {} {}: it is not a regular file", what, path);
}

std::string temporary_name(const std::string& path) {
  std::random_device random;
  return fmt::format("{}.{:08x}{:08x}.tmp", path, random(), random());
}

std::string folder_of(const std::string& path) {
  const std::string parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent;
}

/// The target of symbolic links, whether or not it exists.
std::string behind_links(std::string path) {
  constexpr int kMostLinks = 40;
  std::error_code none;
  for (int links = 0; fs::is_symlink(fs::symlink_status(path, none)); ++links) {
    if (links == kMostLinks) throw std::system_error(ELOOP, std::generic_category());
    path = fs::path(folder_of(path)) / fs::read_symlink(path);  // an absolute link replaces all of it
  }
  return path;
}

/// Gives the file a second name, atomically replacing a file of that name. Without hard links, moves it.
void keep_as(const std::string& path, const std::string& second) {
  const std::string temporary = temporary_name(path);
  if (link(path.c_str(), temporary.c_str()) != 0) {
    require(errno == EPERM || errno == EOPNOTSUPP || errno == ENOSYS || errno == EMLINK);
    require(rename(path.c_str(), second.c_str()) == 0);
    return;
  }
  const bool renamed = rename(temporary.c_str(), second.c_str()) == 0;
  const int reason = errno;
  unlink(temporary.c_str());  // remains if both names already denote the same file
  errno = reason;
  require(renamed);
}

void write_and_rename(const std::string& path, std::string_view bytes, const std::string& previous) {
  struct stat old;
  const bool replaces = stat(path.c_str(), &old) == 0;
  if (replaces) check_regular("write", path, old.st_mode);  // rename would replace even /dev/null
  File folder(folder_of(path), O_RDONLY | O_DIRECTORY);
  const std::string temporary = temporary_name(path);
  File file(temporary, O_WRONLY | O_CREAT | O_EXCL);
  try {
    if (replaces) file.take_after(old);
    file.write_all(bytes);
    file.flush_to_disk();
    file.close_checked();
    if (replaces && !previous.empty()) keep_as(path, folder_of(path) + "/" + previous);
    require(rename(temporary.c_str(), path.c_str()) == 0);
  } catch (...) {
    unlink(temporary.c_str());
    throw;
  }
  folder.flush_to_disk();  // the renames themselves
}

void make_folder(const std::string& path, std::vector<std::string>& made) {
  std::error_code none;
  if (fs::is_directory(path, none)) return;
  const std::string parent = folder_of(path);
  if (parent != path) make_folder(parent, made);
  if (mkdir(path.c_str(), 0777) == 0) {
    made.push_back(path);
    File(parent, O_RDONLY | O_DIRECTORY).flush_to_disk();
    return;
  }
  const int reason = errno;
  if (reason == EEXIST && fs::is_directory(path, none)) return;  // another process created it
  check(reason != EEXIST, "cannot make the folder {}: there is a file of that name", path);
  throw Error(fmt::format("cannot make the folder {}: {}", path, std::generic_category().message(reason)));
}

}  // namespace

std::string read_file(const std::string& path) {
  try {
    File file(path, O_RDONLY | O_NONBLOCK);  // O_NONBLOCK: never wait for a pipe
    const auto status = file.status();
    check_regular("read", path, status.st_mode);
    std::string bytes(static_cast<size_t>(status.st_size) + 1, '\0');  // 1 more, to see the end in the same pass
    size_t size = 0;
    while (const size_t n = file.read_some(bytes.data() + size, bytes.size() - size)) {
      size += n;
      if (size == bytes.size()) bytes.resize(2 * size);
    }
    bytes.resize(size);
    return bytes;
  } catch (const std::system_error& error) {
    throw Error(fmt::format("cannot read {}: {}", path, error.code().message()));
  }
}

void write_file_atomically(const std::string& path, std::string_view bytes, const std::string& previous) {
  try {
    write_and_rename(behind_links(path), bytes, previous);
  } catch (const std::system_error& error) {
    throw_write_error(path, error.code());
  }
}

void rename_file(const std::string& from, const std::string& to) {
  try {
    require(rename(from.c_str(), to.c_str()) == 0);
    File(folder_of(to), O_RDONLY | O_DIRECTORY).flush_to_disk();
  } catch (const std::system_error& error) {
    throw_write_error(to, error.code());
  }
}

std::vector<std::string> make_folders(const std::string& path) {
  std::vector<std::string> made;
  try {
    make_folder(path, made);
  } catch (const std::system_error& error) {
    throw Error(fmt::format("cannot make the folder {}: {}", path, error.code().message()));
  }
  return made;
}

AppendFile::AppendFile(std::string path, int64_t keep) : path_(std::move(path)), size_(keep) {
  try {
    number_ = open_file(path_, O_WRONLY | O_CREAT | O_APPEND);
    struct stat status;
    require(fstat(number_, &status) == 0);
    check(status.st_size >= keep, "{}: {} bytes must be there, there are only {}", path_, keep, status.st_size);
    retried([&] { return ftruncate(number_, keep); });
  } catch (const std::system_error& error) {
    if (number_ >= 0) close(number_);
    throw_write_error(path_, error.code());
  } catch (...) {
    close(number_);
    throw;
  }
}

AppendFile::~AppendFile() { close(number_); }

void AppendFile::append(std::string_view bytes) {
  try {
    write_all(number_, bytes);
  } catch (const std::system_error& error) {
    throw_write_error(path_, error.code());
  }
  size_ += static_cast<int64_t>(bytes.size());
}

void AppendFile::flush_to_disk() {
  try {
    retried([&] { return fsync(number_); });
  } catch (const std::system_error& error) {
    throw_write_error(path_, error.code());
  }
}

}  // namespace orthoread
