// What a sweep shows on a terminal.
#include "tests/sweep_files.h"

#include <doctest/doctest.h>

#include <sstream>
#include <vector>

namespace orthoread {
namespace {

/// The text left on a terminal after a program's output. `drawn` receives the lines that were overdrawn.
std::string screen_after(const std::string& output, std::string& drawn) {
  std::vector<std::string> lines = {""};
  for (size_t i = 0; i < output.size(); ++i) {
    if (output[i] == '\n') {
      lines.emplace_back();
    } else if (output.compare(i, 2, "\x1b[") == 0) {  // cursor up n lines, or clear to the end
      const size_t end = output.find_first_of("AJ", i);
      const size_t up = output[end] == 'A' ? std::stoul(output.substr(i + 2)) : 0;
      for (size_t n = 0; n < up; ++n) lines.pop_back();
      if (output[end] == 'J') lines.back().clear();
      i = end;
    } else if (output[i] != '\r') {
      lines.back() += output[i];
      if (output.compare(i + 1, 1, "\r") == 0) drawn += lines.back() + "\n";
    }
  }
  std::string screen;
  for (size_t i = 0; i + 1 < lines.size(); ++i) screen += lines[i] + "\n";
  return screen + lines.back();
}

}  // namespace

TEST_CASE("sweep: the live view fits the terminal, and Ctrl-C restores it") {
  const Files files(grid(R"("steps": 100000)", R"("read": ["raw"], "clip": [1, 2], "seed": [123456789])"));
  if (run_shell("script -qfc true /dev/null < /dev/null").exit_code != 0) {
    MESSAGE("skipped: script, which gives a program a terminal, is missing");
    return;
  }
  // Ctrl-C reaches the shell too; some shells end at it, unless they have a trap.
  const std::string session = "trap : INT; stty cols 80 rows 24; stty -g; " ORTHOREAD_PROGRAM " sweep " +
                              files.arguments() + " --jobs 2; echo code $?; stty -g; touch " + files.out +
                              "/session_ended";
  // After both runs have started, watches the view for a second, then types Ctrl-C. The keyboard stays open until the
  // session has ended, because `script` closes the terminal at the end of its input.
  const ProgramResult result =
      run_shell("(for i in $(seq 300); do [ $(cat " + files.out +
                "/runs/*/metrics.jsonl 2> /dev/null | wc -l) -gt 100 ] && break; "
                "sleep 0.1; done; sleep 1; printf '\\003'; "
                "for i in $(seq 300); do [ -e " +
                files.out + "/session_ended ] && break; sleep 0.1; done) | TERM=xterm NO_COLOR=1 script -qfc '" +
                session + "' /dev/null");
  std::string drawn;
  const std::string screen = screen_after(result.out, drawn);
  CAPTURE(screen);
  CAPTURE(drawn);
  std::vector<std::string> lines;
  std::istringstream text(screen);
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  REQUIRE(lines.size() >= 7);
  CHECK(lines[0] == lines[6]);  // the settings of the terminal
  CHECK(lines[1] == "2 runs (2 pending); 2 at once");
  CHECK(lines[2] == "orthoread: signal 2: 2 running jobs save and leave");
  CHECK(lines[3] == "2 interrupted");
  CHECK(lines[4] == "run the same command again to continue");
  CHECK(lines[5] == "code 75");
  CHECK(contains(drawn, "\nlip 1, seed 123456789 [    ] "));
  CHECK(contains(drawn, "/s\n"));  // the last figure of a line is not cut off
  CHECK(contains(drawn, "2 running of 2"));
  std::istringstream of_block(drawn);
  for (std::string line; std::getline(of_block, line);) CHECK_MESSAGE((line.size() < 80 || line == lines[0]), line);
}

}  // namespace orthoread
