// What the program says: results on stdout, everything else on stderr. Text from files and flags may hold anything, and
// either stream may be closed or full.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace orthoread {

/// Puts /dev/null in place of those of stdin, stdout and stderr that are closed, or the next file to be opened would
/// take their number and be written into; writing to a closed stdout still fails. A reader who leaves a pipe is an
/// error of write(), too, instead of SIGPIPE.
void prepare_console();

/// The text on one line and without effect on a terminal: control characters and bytes that are not UTF-8 as \n or
/// \x1b. Other text stays as it is.
std::string printable(std::string_view text);

/// To stderr. What cannot be written there is lost: a log never ends a run.
void log(std::string_view text);

void write_to_stdout(std::string_view text);

/// A result, to stdout. Whether all arrived there is known at the end, from finish_stdout.
template <class... Args>
void print_out(fmt::format_string<Args...> format, Args&&... args) {
  write_to_stdout(fmt::format(format, std::forward<Args>(args)...));
}

/// The reason why something did not arrive at stdout; empty if all did.
std::string finish_stdout();

}  // namespace orthoread
