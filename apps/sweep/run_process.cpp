#include "apps/sweep/run_process.h"

#include "apps/leave_signals.h"
#include "apps/sweep/sweep_folder.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

namespace orthoread {
namespace {

int64_t size_of(const std::string& path) {
  struct stat status;
  return ::stat(path.c_str(), &status) == 0 ? status.st_size : 0;
}

/// The complete lines of a file from offset `begin`, which advances past them.
std::string new_lines(const std::string& path, int64_t& begin) {
  std::ifstream file(path, std::ios::binary);
  file.seekg(begin);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t end = text.rfind('\n');
  text.resize(end == std::string::npos ? 0 : end + 1);
  begin += static_cast<int64_t>(text.size());
  return text;
}

/// In the child process: executes `train`. Only system calls are safe after fork. Signals that ask to leave stay
/// blocked until `train` can follow them; before that they would kill it.
[[noreturn]] void become(pid_t parent, int log, int nothing, char* const* arguments) {
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != parent) ::_exit(75);  // the sweep died before prctl
  const sigset_t leave = leave_signals();
  ::sigprocmask(SIG_SETMASK, &leave, nullptr);
  ::dup2(nothing, STDIN_FILENO);
  ::dup2(nothing, STDOUT_FILENO);
  ::dup2(log, STDERR_FILENO);
  ::execv("/proc/self/exe", arguments);
  constexpr std::string_view message = "orthoread: cannot start the process of a run\n";
  [[maybe_unused]] const ssize_t written = ::write(STDERR_FILENO, message.data(), message.size());
  ::_exit(1);
}

}  // namespace

RunProcess::RunProcess(std::string folder, const std::vector<std::string>& flags, int threads)
    : folder_(std::move(folder)) {
  const std::string log_path = folder_ + "/log.txt";
  std::vector<std::string> words = {"orthoread",        "train",     "--resume",
                                    "--out=" + folder_, "--threads", std::to_string(threads)};
  words.insert(words.end(), flags.begin(), flags.end());
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);

  reached_.first = reached_.step = trained_at_checkpoint(folder_).steps;
  metrics_read_ = size_of(folder_ + "/metrics.jsonl");
  log_begin_ = size_of(log_path);
  const int log = ::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  check<StorageError>(log >= 0, "cannot write {}: {}", log_path, std::strerror(errno));
  const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  const pid_t parent = ::getpid();
  process_ = ::fork();
  if (process_ == 0) become(parent, log, nothing, arguments.data());
  const int reason = errno;
  ::close(log);
  ::close(nothing);
  check<StorageError>(process_ > 0, "cannot start another process: {}", std::strerror(reason));
}

RunProcess::~RunProcess() {
  if (exit_code_) return;
  ask_to_leave();
  ::waitpid(process_, nullptr, 0);
}

bool RunProcess::ended() {
  int status = 0;
  if (!exit_code_ && ::waitpid(process_, &status, WNOHANG) == process_)
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return exit_code_.has_value();
}

std::string RunProcess::last_words() const {
  if (exit_code() > 128)
    return fmt::format("killed by signal {} ({})", exit_code() - 128, ::strsignal(exit_code() - 128));
  int64_t begin = log_begin_;
  std::string text = new_lines(folder_ + "/log.txt", begin);
  while (text.ends_with('\n')) text.pop_back();
  const size_t last = text.rfind('\n');
  std::string line = last == std::string::npos ? text : text.substr(last + 1);
  const std::string program = "orthoread: ";
  if (line.starts_with(program)) line.erase(0, program.size());
  return line.empty() ? fmt::format("exit code {}", exit_code()) : line;
}

void RunProcess::ask_to_leave() const { ::kill(process_, SIGTERM); }

const RunProcess::Reached& RunProcess::follow() {
  const std::string path = folder_ + "/metrics.jsonl";
  // A resumed run first removes the lines after its checkpoint.
  if (size_of(path) < metrics_read_) metrics_read_ = size_of(path);
  std::string lines = new_lines(path, metrics_read_);
  for (size_t begin = 0, end; (end = lines.find('\n', begin)) != std::string::npos; begin = end + 1) {
    const Json line = Json::parse(lines.begin() + static_cast<std::ptrdiff_t>(begin),
                                  lines.begin() + static_cast<std::ptrdiff_t>(end), nullptr, false);
    if (!line.is_object()) continue;
    const auto number = [&](const char* key, double otherwise) {
      return line.contains(key) && line[key].is_number() ? line[key].get<double>() : otherwise;
    };
    reached_.step = static_cast<int64_t>(number("step", static_cast<double>(reached_.step)));
    reached_.loss = number("loss", reached_.loss);
    reached_.accuracy = number("val_accuracy", reached_.accuracy);
  }
  reached_.seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  return reached_;
}

}  // namespace orthoread
