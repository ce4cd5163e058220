#include "apps/progress.h"

#include "apps/console.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>

namespace orthoread {
namespace {

constexpr auto kRedraw = std::chrono::milliseconds(100);
constexpr auto kPlainLine = std::chrono::seconds(20);  // at least every 30 s even if a step takes some

}  // namespace

bool is_terminal(int file_descriptor) {
  const char* type = std::getenv("TERM");
  return ::isatty(file_descriptor) != 0 && type != nullptr && std::string(type) != "dumb";
}

std::string duration_text(double seconds) {
  const auto s = std::llround(seconds);
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return fmt::format("{}:{:02} min", s / 60, s % 60);
  return fmt::format("{}:{:02} h", s / 3600, s / 60 % 60);
}

bool terminal_has_colour(int file_descriptor) {
  const char* no_colour = std::getenv("NO_COLOR");
  return is_terminal(file_descriptor) && (no_colour == nullptr || *no_colour == '\0');
}

Progress::Progress(std::string what, int64_t first, int64_t total, bool quiet)
    : what_(std::move(what)),
      first_(first),
      total_(total),
      quiet_(quiet),
      bar_(is_terminal(STDERR_FILENO)),
      colour_(terminal_has_colour(STDERR_FILENO)),
      start_(Clock::now()),
      last_(start_) {}

Progress::~Progress() {
  if (drawn_) log("\n");
}

std::string Progress::line(int64_t done, const std::string& detail) const {
  const double seconds = std::chrono::duration<double>(Clock::now() - start_).count();
  const double rate = static_cast<double>(done - first_) / std::max(seconds, 1e-9);
  std::string text = what_;
  if (bar_) {
    constexpr int64_t kWidth = 24;
    const auto filled = static_cast<size_t>(kWidth * done / std::max<int64_t>(1, total_));
    const std::string full(filled, '='), rest(kWidth - filled, ' ');
    text += colour_ ? fmt::format(" [\x1b[32m{}\x1b[0m{}]", full, rest) : fmt::format(" [{}{}]", full, rest);
  }
  text += fmt::format(" {}/{}  {}  {:.2f}/s", done, total_, detail, rate);
  if (done < total_ && rate > 0)
    text += fmt::format("  {} left", duration_text(static_cast<double>(total_ - done) / rate));
  return text;
}

void Progress::update(int64_t done, const std::string& detail) {
  const auto now = Clock::now();
  if (quiet_ || (done < total_ && now - last_ < (bar_ ? Clock::duration(kRedraw) : Clock::duration(kPlainLine))))
    return;
  last_ = now;
  log(fmt::format("{}{}{}", bar_ ? "\r\x1b[K" : "", line(done, detail), bar_ ? "" : "\n"));
  drawn_ = bar_;
}

void Progress::note(const std::string& line) {
  if (!quiet_) warn(line);
}

void Progress::warn(const std::string& line) {
  log(fmt::format("{}{}\n", drawn_ ? "\r\x1b[K" : "", printable(line)));
  drawn_ = false;
}

}  // namespace orthoread
