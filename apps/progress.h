// The progress of a long command, on stderr.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace orthoread {

/// Is it a terminal on which a line can be redrawn?
bool is_terminal(int file_descriptor);

/// "42 s", "3:07 min", "2:15 h".
std::string duration_text(double seconds);

/// May the text be coloured? Not without a terminal, with NO_COLOR set, or with TERM=dumb.
bool terminal_has_colour(int file_descriptor);

/// A progress bar if stderr is a terminal, else a line every 20 s. Nothing if quiet.
class Progress {
 public:
  /// `first`: the step at which a resumed command starts.
  Progress(std::string what, int64_t first, int64_t total, bool quiet);
  ~Progress();
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  /// `done` of the total are done. `detail` is a short text such as "loss 3.466".
  void update(int64_t done, const std::string& detail);
  /// Prints a line, unless quiet.
  void note(const std::string& line);
  /// Prints a line, even if quiet: for errors.
  void warn(const std::string& line);

 private:
  using Clock = std::chrono::steady_clock;
  std::string line(int64_t done, const std::string& detail) const;

  std::string what_;
  int64_t first_, total_;
  bool quiet_, bar_, colour_;
  bool drawn_ = false;  // the current line shows the bar
  Clock::time_point start_, last_;
};

}  // namespace orthoread
