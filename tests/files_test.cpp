#include "data/files.h"

#include "core/check.h"
#include "tests/system_calls.h"
#include "tests/temporary_folder.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>

using namespace orthoread;
namespace fs = std::filesystem;

namespace {

/// The message of the exception that `call` throws.
template <class Call>
std::string message(Call call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// While it exists, no file may grow beyond `bytes`. A program that ignores SIGXFSZ sees this like a full disk.
struct FileSizeLimit {
  explicit FileSizeLimit(rlim_t bytes) : handler(std::signal(SIGXFSZ, SIG_IGN)) {
    getrlimit(RLIMIT_FSIZE, &before);
    const rlimit now = {bytes, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &now);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
  }

  void (*handler)(int);
  rlimit before;
};

}  // namespace

TEST_CASE("files: a written file reads back equal, and no other file remains") {
  const TemporaryFolder folder;
  const std::string path = folder / "file";
  for (const size_t size : {size_t{0}, size_t{1}, size_t{4096}, size_t{1} << 20}) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * i % 251);
    write_file_atomically(path, bytes);
    CHECK(read_file(path) == bytes);
  }
  CHECK(folder.entries() == 1);
}

TEST_CASE("files: a file whose size is reported as 0 is read to its end") {
  CHECK(read_file("/proc/self/status").find("VmSize") != std::string::npos);  // its size is reported as 0
}

TEST_CASE("files: a new file has the permissions that the umask allows") {
  const TemporaryFolder folder;
  const mode_t before = umask(022);
  write_file_atomically(folder / "file", "text");
  umask(before);
  CHECK(fs::status(folder / "file").permissions() == fs::perms(0644));
}

TEST_CASE("files: a rewritten file keeps its mode, whatever the umask") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "file", "old");
  for (const auto mode : {fs::perms(0600), fs::perms(0664)}) {
    fs::permissions(folder / "file", mode);
    write_file_atomically(folder / "file", "new");
    CHECK(fs::status(folder / "file").permissions() == mode);
  }
}

TEST_CASE("files: a symbolic link stays, and its target is written") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "far/away");
  const std::string file = folder / "far/away/file";
  write_file_atomically(file, "old");
  fs::create_symlink("away/file", folder / "far/near");
  fs::create_symlink(folder / "far/near", folder / "link");
  fs::create_symlink("far/away/new", folder / "dangling");
  write_file_atomically(folder / "link", "new");
  write_file_atomically(folder / "dangling", "newer");
  CHECK(read_file(file) == "new");
  CHECK(read_file(folder / "far/away/new") == "newer");
  for (const char* link : {"link", "far/near", "dangling"}) CHECK(fs::is_symlink(folder / link));

  fs::create_symlink("round", folder / "round");
  CHECK(message([&] { write_file_atomically(folder / "round", "x"); }) ==
        "cannot write " + (folder / "round") + ": Too many levels of symbolic links");
}

TEST_CASE("files: the previous file stays under another name") {
  const TemporaryFolder folder;
  for (const char* text : {"1", "2", "3"}) write_file_atomically(folder / "file", text, "before");
  CHECK(read_file(folder / "file") == "3");
  CHECK(read_file(folder / "before") == "2");
  fs::remove(folder / "before");
  fs::create_hard_link(folder / "file", folder / "before");  // as after a crash in the last call
  write_file_atomically(folder / "file", "3", "before");
  write_file_atomically(folder / "file", "4", "before");
  CHECK(read_file(folder / "before") == "3");
  write_file_atomically(folder / "file", "3");
  write_file_atomically(folder / "before", "2");
  CHECK(folder.entries() == 2);
  const FileSizeLimit limit(50000);
  CHECK_THROWS(write_file_atomically(folder / "file", std::string(100000, 'x'), "before"));
  CHECK(read_file(folder / "file") == "3");
  CHECK(read_file(folder / "before") == "2");
}

TEST_CASE("files: a signal during a system call is no error") {
  const TemporaryFolder folder;
  const auto interrupted = [](const char* call, auto what) {
    const FailingCall failing(call, EINTR, 3);
    CHECK_MESSAGE(message(what) == "no error", call);
    return failing.failed();
  };
  CHECK(interrupted("fsync", [&] { write_file_atomically(folder / "file", "text"); }) == 3);
  CHECK(interrupted("close", [&] { write_file_atomically(folder / "file", "text"); }) >= 1);
  CHECK(interrupted("ftruncate", [&] { AppendFile(folder / "log", 0).append("line"); }) == 3);
  CHECK(interrupted("fsync", [&] { AppendFile(folder / "log", 4).flush_to_disk(); }) == 3);
  CHECK(read_file(folder / "file") + read_file(folder / "log") == "textline");
}

TEST_CASE("files: a failing disk is a StorageError") {
  const TemporaryFolder folder;
  const auto refused = [&](const char* call, auto what) {
    const FailingCall failing(call, EIO);
    CHECK_THROWS_AS_MESSAGE(what(), StorageError, call);
  };
  refused("fsync", [&] { write_file_atomically(folder / "file", "text"); });
  refused("close", [&] { write_file_atomically(folder / "file", "text"); });
  CHECK(folder.entries() == 0);
  refused("ftruncate", [&] { AppendFile(folder / "log", 0); });
  refused("fsync", [&] { AppendFile(folder / "log", 0).flush_to_disk(); });
}

TEST_CASE("files: new folders are flushed to disk, with the entry in their parent") {
  const TemporaryFolder folder;
  const std::string top = fs::canonical(folder.path());
  {
    const SyncedPaths synced;
    CHECK(make_folders(top + "/a/b/") == std::vector<std::string>{top + "/a", top + "/a/b"});
    CHECK(synced.paths() == std::vector<std::string>{top, top + "/a"});
  }
  CHECK(make_folders(top + "/a").empty());
  CHECK(make_folders(".").empty());
  write_file_atomically(top + "/file", "x");
  const auto refused = [](const std::string& path) { return message([&] { make_folders(path); }); };
  CHECK(refused(top + "/file") == "cannot make the folder " + top + "/file: there is a file of that name");
  CHECK(refused(top + "/file/a") == "cannot make the folder " + top + "/file: there is a file of that name");
  CHECK(refused("").starts_with("cannot make the folder : "));
  CHECK(refused("/proc/orthoread").starts_with("cannot make the folder /proc/orthoread: "));
}

TEST_CASE("files: a new text is flushed to disk, then the folder with its name") {
  const TemporaryFolder folder;
  const std::string top = fs::canonical(folder.path());
  for (const char* previous : {"", "before"}) {
    const SyncedPaths synced;
    write_file_atomically(top + "/file", "x", previous);
    REQUIRE(synced.paths().size() == 2);
    CHECK(synced.paths()[0].starts_with(top + "/"));  // under its temporary name
    CHECK(synced.paths()[1] == top);
  }
}

TEST_CASE("files: a rename is flushed to disk") {
  const TemporaryFolder folder;
  const std::string top = fs::canonical(folder.path());
  write_file_atomically(top + "/a", "x");
  write_file_atomically(top + "/b", "y");
  const SyncedPaths synced;
  rename_file(top + "/a", top + "/b");
  CHECK(read_file(top + "/b") == "x");
  CHECK(synced.paths() == std::vector<std::string>{top});
  CHECK(message([&] { rename_file(top + "/a", top + "/b"); }) ==
        "cannot write " + top + "/b: No such file or directory");
}

TEST_CASE("files: a path without a folder means the current folder") {
  const TemporaryFolder folder;
  const fs::path before = fs::current_path();
  fs::current_path(folder.path());
  write_file_atomically("file", "text");
  fs::current_path(before);
  CHECK(read_file(folder / "file") == "text");
}

TEST_CASE("files: on a full disk only the old file remains") {
  const TemporaryFolder folder;
  const std::string path = folder / "file", large(100000, 'x');
  write_file_atomically(path, "old");
  {
    const FileSizeLimit limit(50000);
    CHECK(message([&] { write_file_atomically(path, large); }) == "cannot write " + path + ": File too large");
    CHECK(folder.entries() == 1);
  }
  CHECK(read_file(path) == "old");
  write_file_atomically(path, large);
  CHECK(read_file(path) == large);
}

TEST_CASE("files: errors of writing") {
  const TemporaryFolder folder;
  const auto write = [](const std::string& path) { return message([&] { write_file_atomically(path, "x"); }); };
  CHECK(write(folder / "none/file") == "cannot write " + (folder / "none/file") + ": No such file or directory");
  CHECK(write("").starts_with("cannot write : "));
  CHECK(write(folder.path()) == "cannot write " + folder.path() + ": it is a folder");
  mkfifo((folder / "pipe").c_str(), 0600);
  CHECK(write(folder / "pipe") == "cannot write " + (folder / "pipe") + ": it is not a regular file");
  CHECK(fs::is_fifo(folder / "pipe"));                                  // not replaced by a file
  CHECK(write("/proc/file").starts_with("cannot write /proc/file: "));  // a folder that root cannot write either

  write_file_atomically(folder / "file", "old");
  CHECK(write(folder / "file/below") == "cannot write " + (folder / "file/below") + ": Not a directory");
  if (geteuid() != 0) {  // root may write anywhere
    fs::permissions(folder.path(), fs::perms(0500));
    CHECK(write(folder / "file") == "cannot write " + (folder / "file") + ": Permission denied");
    fs::permissions(folder.path(), fs::perms(0700));
  }
  CHECK(read_file(folder / "file") == "old");
  CHECK(folder.entries() == 2);
}

TEST_CASE("files: an AppendFile keeps the first `keep` bytes") {
  const TemporaryFolder folder;
  const std::string path = folder / "file";
  write_file_atomically(path, "0123456789");
  {
    AppendFile file(path, 4);
    file.append("ab");
    CHECK(file.size() == 6);
  }
  CHECK(read_file(path) == "0123ab");
  CHECK(message([&] { AppendFile(path, 7); }) == path + ": 7 bytes must be there, there are only 6");
  CHECK(read_file(path) == "0123ab");
}

TEST_CASE("files: errors of reading") {
  const TemporaryFolder folder;
  const auto read = [](const std::string& path) { return message([&] { read_file(path); }); };
  CHECK(read(folder / "none") == "cannot read " + (folder / "none") + ": No such file or directory");
  CHECK(read(folder.path()) == "cannot read " + folder.path() + ": it is a folder");
  CHECK(read("/dev/zero") == "cannot read /dev/zero: it is not a regular file");
  mkfifo((folder / "pipe").c_str(), 0600);
  CHECK(read(folder / "pipe") == "cannot read " + (folder / "pipe") + ": it is not a regular file");
  if (geteuid() != 0) {
    write_file_atomically(folder / "secret", "x");
    fs::permissions(folder / "secret", fs::perms(0));
    CHECK(read(folder / "secret") == "cannot read " + (folder / "secret") + ": Permission denied");
  }
}
