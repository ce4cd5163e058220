#include "apps/sweep/view.h"

#include "apps/console.h"
#include "apps/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>

namespace orthoread {
namespace {

constexpr double kRedrawSeconds = 0.25;
constexpr size_t kShortestBar = 4, kLongestBar = 16, kShortestLabel = 12;

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

struct TerminalSize {
  size_t columns = 80, rows = 24;
};
TerminalSize terminal_size() {
  winsize size{};
  if (::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0 || size.ws_row == 0) return {};
  return {size.ws_col, size.ws_row};
}

/// The progress of a job in a fixed width.
std::string figures_of(const SweepView::Job& job) {
  std::string text = fmt::format("{:>{}}/{}", job.step, std::to_string(job.steps).size(), job.steps);
  text += std::isnan(job.loss) ? std::string(12, ' ') : fmt::format("  loss {:.3f}", job.loss);
  text += std::isnan(job.accuracy) ? std::string(16, ' ') : fmt::format("  accuracy {:.3f}", job.accuracy);
  text += job.step_seconds > 0 ? fmt::format("  {:>5.4g}/s", 1 / job.step_seconds) : std::string(9, ' ');
  return text;
}

}  // namespace

SweepView::SweepView(bool quiet)
    : quiet_(quiet), live_(!quiet && is_terminal(STDERR_FILENO)), colour_(terminal_has_colour(STDERR_FILENO)) {}

void SweepView::update(const RunCounts& counts, const std::vector<Job>& jobs, double seconds_left) {
  if (!live_ || now() - last_ < kRedrawSeconds) return;
  last_ = now();
  const TerminalSize screen = terminal_size();
  const size_t most = screen.rows > 3 ? screen.rows - 3 : 1, shown = std::min(jobs.size(), most);
  size_t label_width = 0, figures_width = 0;
  for (size_t i = 0; i < shown; ++i) {
    label_width = std::max(label_width, jobs[i].label.size());
    figures_width = std::max(figures_width, figures_of(jobs[i]).size());
  }
  // If there is too little room, the bar shrinks first, then the label, whose end tells jobs apart.
  const size_t room = screen.columns - 1, taken = figures_width + std::string_view(" [] ").size(),
               left = room > taken ? room - taken : 0;
  label_width = std::min(label_width, std::max(left, kShortestLabel + kShortestBar) - kShortestBar);
  const size_t bar_width = std::clamp(left - std::min(left, label_width), kShortestBar, kLongestBar);

  std::string block;
  // Lines are cut at the edge of the terminal: a wrapped line would change the block's height.
  const auto add = [&](const std::string& before, const std::string& bar, const std::string& after) {
    const std::string plain = before + bar + after;
    if (!colour_ || bar.empty() || plain.size() > room)
      block += plain.substr(0, room);
    else
      block += before + "\x1b[32m" + bar + "\x1b[0m" + after;
    block += '\n';
  };
  for (size_t i = 0; i < shown; ++i) {
    const Job& job = jobs[i];
    const double share = static_cast<double>(job.step) / static_cast<double>(std::max<int64_t>(1, job.steps));
    const auto filled = static_cast<size_t>(static_cast<double>(bar_width) * std::clamp(share, 0.0, 1.0));
    std::string label = job.label.substr(job.label.size() - std::min(label_width, job.label.size()));
    label.resize(label_width, ' ');
    add(label + " [", std::string(filled, '='), std::string(bar_width - filled, ' ') + "] " + figures_of(job));
  }
  if (shown < jobs.size()) add(fmt::format("and {} more", jobs.size() - shown), "", "");
  add(fmt::format("{} of {}{}", counts.text(), counts.total(),
                  seconds_left >= 0 ? fmt::format(", {} left", duration_text(seconds_left)) : ""),
      "", "");
  clear();
  log(block);
  drawn_ = static_cast<int>(std::count(block.begin(), block.end(), '\n'));
}

void SweepView::note(const std::string& line) {
  if (!quiet_) warn(line);
}

void SweepView::warn(const std::string& line) {
  clear();
  log(printable(line) + "\n");
  last_ = 0;
}

void SweepView::clear() {
  if (drawn_ > 0) log(fmt::format("\x1b[{}A\r\x1b[J", drawn_));
  drawn_ = 0;
}

}  // namespace orthoread
