#include "apps/console.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <system_error>

namespace orthoread {
namespace {

int stdout_error = 0;  // errno of the first write that failed

/// Bytes of the UTF-8 character at the start of `text`; 0 if it is invalid. Overlong forms, surrogates and code points
/// above U+10FFFF are (table 3-7 of the Unicode standard).
size_t character_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = byte(0), second = byte(1);
  const auto within = [](unsigned x, unsigned low, unsigned high) { return low <= x && x <= high; };
  const auto more = [&](size_t i) { return within(byte(i), 0x80, 0xbf); };
  if (first < 0x80) return 1;
  if (within(first, 0xc2, 0xdf)) return more(1) ? 2 : 0;
  if (within(first, 0xe0, 0xef)) {
    const bool fits = within(second, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf);
    return fits && more(2) ? 3 : 0;
  }
  if (!within(first, 0xf0, 0xf4)) return 0;
  const bool fits = within(second, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf);
  return fits && more(2) && more(3) ? 4 : 0;
}

}  // namespace

void prepare_console() {
  for (const int number : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (fcntl(number, F_GETFD) < 0 && errno == EBADF) {
      // open() returns the lowest free number, which is this one. stdout becomes read-only, so that writing to it
      // fails.
      static_cast<void>(open("/dev/null", number == STDERR_FILENO ? O_WRONLY : O_RDONLY));
    }
  }
  std::signal(SIGPIPE, SIG_IGN);
}

std::string printable(std::string_view text) {
  std::string shown;
  while (!text.empty()) {
    const size_t length = character_length(text);
    const auto first = static_cast<unsigned char>(text[0]);
    // C0, DEL, and C1 (U+0080 to U+009F), which some terminals treat like escape sequences.
    const bool control =
        first < 0x20 || first == 0x7f || (length == 2 && first == 0xc2 && static_cast<unsigned char>(text[1]) < 0xa0);
    if (first == '\n') {
      shown += "\\n";
    } else if (length == 0 || control) {
      for (const char byte : text.substr(0, std::max<size_t>(1, length)))
        shown += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
    } else {
      shown += text.substr(0, length);
    }
    text.remove_prefix(std::max<size_t>(1, length));
  }
  return shown;
}

void log(std::string_view text) { static_cast<void>(std::fwrite(text.data(), 1, text.size(), stderr)); }

void write_to_stdout(std::string_view text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) < text.size() && stdout_error == 0) stdout_error = errno;
}

std::string finish_stdout() {
  if (std::fflush(stdout) != 0 && stdout_error == 0) stdout_error = errno;
  return stdout_error == 0 ? "" : std::generic_category().message(stdout_error);
}

}  // namespace orthoread
