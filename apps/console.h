// Output: results to stdout, everything else to stderr. Text from files and flags may contain any bytes, and either
// stream may be closed or full.
#pragma once

#include <fmt/format.h>

#include <string>
#include <string_view>

namespace orthoread {

/// Opens /dev/null in place of a closed stdin, stdout or stderr: otherwise the next file would take that number, and
/// output would go into it. Writing to a closed stdout still fails. Ignores SIGPIPE, so that write() fails when a pipe
/// has no reader.
void prepare_console();

/// The text on one line, safe to show on a terminal: control characters and bytes that are not UTF-8 become \n or \x1b.
/// Other text is unchanged.
std::string printable(std::string_view text);

/// To stderr. Write errors are ignored: a log never ends a run.
void log(std::string_view text);

void write_to_stdout(std::string_view text);

/// Prints a result to stdout. Write errors are reported at the end, by finish_stdout.
template <class... Args>
void print_out(fmt::format_string<Args...> format, Args&&... args) {
  write_to_stdout(fmt::format(format, std::forward<Args>(args)...));
}

/// Flushes stdout. Returns why output was lost; empty if all of it was written.
std::string finish_stdout();

}  // namespace orthoread
