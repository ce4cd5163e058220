#include "data/folder_lock.h"

#include "core/check.h"
#include "tests/program.h"
#include "tests/support.h"
#include "tests/system_calls.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <thread>

using namespace orthoread;
namespace fs = std::filesystem;

namespace {

std::string refusal(const std::string& folder) {
  return thrown([&] { const FolderLock lock(folder); });
}

}  // namespace

TEST_CASE("folder lock: one holder at a time") {
  const TemporaryFolder folder;
  CHECK_FALSE(is_locked(folder.path()));
  {
    const FolderLock lock(folder.path());
    CHECK(lock.warning().empty());
    CHECK(is_locked(folder.path()));
    CHECK(refusal(folder.path()) ==
          "another process is at work in " + folder.path() + "; wait for it, or give another folder");
    CHECK(is_locked(folder.path()));  // still
  }
  CHECK_FALSE(is_locked(folder.path()));
  CHECK(refusal(folder.path()) == "no error");
  CHECK_FALSE(is_locked(folder / "none"));
}

TEST_CASE("folder lock: another process holds it") {
  const TemporaryFolder folder;
  REQUIRE(run_shell("touch " + folder / "lock").exit_code == 0);
  const FolderLock lock(folder.path());
  CHECK(run_shell("flock --nonblock " + folder / "lock true").exit_code == 1);
}

TEST_CASE("folder lock: it can be waited for") {
  const TemporaryFolder folder;
  auto lock = std::make_unique<FolderLock>(folder.path());
  std::atomic<bool> taken = false;
  std::thread waiting([&] {
    const FolderLock next(folder.path(), FolderLock::Wait::yes);
    taken = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  CHECK_FALSE(taken);
  lock->remove_file();  // the waiting process must not lock the removed file
  lock.reset();
  waiting.join();
  CHECK(taken);
  CHECK(fs::exists(folder / "lock"));
}

TEST_CASE("folder lock: is_locked keeps no process out") {
  const TemporaryFolder folder;
  REQUIRE(run_shell("touch " + folder / "lock").exit_code == 0);
  const int asking = open((folder / "lock").c_str(), O_RDONLY);
  REQUIRE(flock(asking, LOCK_SH) == 0);  // as is_locked does for a moment
  std::thread soon_done([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    close(asking);
  });
  CHECK(refusal(folder.path()) == "no error");
  soon_done.join();
}

TEST_CASE("folder lock: a file system without locks is a warning, other errors are reported") {
  const TemporaryFolder folder;
  for (const int error : {ENOLCK, ENOSYS, EOPNOTSUPP}) {
    const FailingCall failing("flock", error);
    const FolderLock lock(folder.path());
    CHECK(lock.warning().starts_with(folder.path() + ": this file system cannot lock ("));
    CHECK_FALSE(is_locked(folder.path()));
  }
  for (const auto& [error, text] : {std::pair(EBADF, "Bad file descriptor"), {EIO, "Input/output error"}}) {
    const FailingCall failing("flock", error);
    CHECK(refusal(folder.path()) == "cannot lock " + folder / "lock: " + text);
  }
  const FailingCall failing("flock", EINTR, 3);
  CHECK(refusal(folder.path()) == "no error");
  CHECK(failing.failed() == 3);
}

TEST_CASE("folder lock: a folder that cannot be written into") {
  const TemporaryFolder folder;
  CHECK(refusal(folder / "none") == "cannot write into " + folder / "none: No such file or directory");
  CHECK(refusal("/proc").starts_with("cannot write into /proc: "));
}
