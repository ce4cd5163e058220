#include "apps/plot.h"

#include "data/files.h"

#include <sys/wait.h>

#include <cstdlib>
#include <filesystem>

namespace orthoread {
namespace {

namespace fs = std::filesystem;

/// A new folder for files that gnuplot reads and writes, gone at the end.
class Scratch {
 public:
  Scratch() {
    std::string pattern = (fs::temp_directory_path() / "orthoread-plot-XXXXXX").string();
    check<StorageError>(mkdtemp(pattern.data()) != nullptr, "cannot make a folder in {}",
                        fs::temp_directory_path().string());
    path_ = pattern;
  }
  ~Scratch() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  std::string operator/(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace

void plot(const std::string& path, const std::string& script) {
  const bool svg = path.ends_with(".svg");
  check(svg || path.ends_with(".png"), "cannot plot {}: .svg and .png are allowed", path);
  const Scratch scratch;
  const std::string picture = scratch / "picture", terminal = svg ? "svg background 'white'" : "pngcairo";
  write_file_atomically(scratch / "script", fmt::format("set terminal {} size 760,480 font 'sans-serif,13'\n"
                                                        "set output '{}'\n{}\n",
                                                        terminal, picture, script));
  const std::string command = fmt::format("cd '{}' && gnuplot script >messages 2>&1", scratch / "");
  constexpr int kNotFound = 127;  // what a shell returns for a command that is missing
  const int status = std::system(command.c_str());
  check(!(WIFEXITED(status) && WEXITSTATUS(status) == kNotFound),
        "cannot plot {}: gnuplot is not installed (Debian: apt-get install gnuplot-nox)", path);
  if (status != 0) {
    const std::string messages = read_file(scratch / "messages");
    throw Error(fmt::format("cannot plot {}: gnuplot says: {}", path, messages.substr(0, messages.find('\n'))));
  }
  write_file_atomically(path, read_file(picture));
}

}  // namespace orthoread
