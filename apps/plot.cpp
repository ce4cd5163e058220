#include "apps/plot.h"

#include "data/files.h"

#include <sys/wait.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

namespace orthoread {
namespace {

namespace fs = std::filesystem;

/// A temporary folder for gnuplot's files.
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

/// Runs a script in the folder.
void run_gnuplot(const Scratch& scratch, const std::string& script) {
  write_file_atomically(scratch / "script", script);
  const std::string command = fmt::format("cd '{}' && gnuplot script >messages 2>&1", scratch / "");
  constexpr int kNotFound = 127;  // what a shell returns for a command that is missing
  const int status = std::system(command.c_str());
  check<GnuplotMissing>(!(WIFEXITED(status) && WEXITSTATUS(status) == kNotFound),
                        "gnuplot is not installed (Debian: apt-get install gnuplot-nox)");
  if (status != 0) {
    const std::string messages = read_file(scratch / "messages");
    const size_t begin = std::min(messages.find_first_not_of(" \n"), messages.size());
    throw Error(fmt::format("gnuplot says: {}", messages.substr(begin, messages.find('\n', begin) - begin)));
  }
}

}  // namespace

void plot(const std::string& path, const std::string& script, int height) {
  const bool svg = path.ends_with(".svg");
  check(svg || path.ends_with(".png"), "cannot plot {}: .svg and .png are allowed", path);
  const Scratch scratch;
  const std::string picture = scratch / "picture";
  try {
    run_gnuplot(scratch, fmt::format("set terminal {} size 760,{} font 'sans-serif,13'\nset output '{}'\n{}\n",
                                     svg ? "svg background 'white'" : "pngcairo", height, picture, script));
  } catch (const Error& error) {
    throw Error(fmt::format("cannot plot {}: {}", path, error.what()));
  }
  write_file_atomically(path, read_file(picture));
}

std::vector<std::string> svg_plots(const std::vector<PlotScript>& scripts) {
  const Scratch scratch;
  std::string all;
  for (size_t i = 0; i < scripts.size(); ++i) {
    all += fmt::format(
        "reset\nset terminal svg size {},{} noenhanced font 'sans-serif,14' background 'white'\n"
        "set output '{}.svg'\n{}\n",
        scripts[i].width, scripts[i].height, i, scripts[i].script);
  }
  run_gnuplot(scratch, all + "set output\n");
  std::vector<std::string> pictures;
  for (size_t i = 0; i < scripts.size(); ++i) pictures.push_back(read_file(scratch / fmt::format("{}.svg", i).c_str()));
  return pictures;
}

std::string plot_text(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? "''" : static_cast<unsigned char>(c) < ' ' ? " " : std::string(1, c);
  return quoted + "'";
}

}  // namespace orthoread
