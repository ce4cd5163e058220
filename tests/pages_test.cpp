// The commands that README.md and docs/ mention are commands that the program and ./dev take.
#include "data/files.h"
#include "tests/program.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <regex>
#include <set>

using namespace orthoread;
namespace fs = std::filesystem;

namespace {

/// All pages, one after the other.
std::string pages() {
  std::string text = read_file(kRoot / "README.md");
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / "docs"))
    if (entry.path().extension() == ".md") text += read_file(entry.path());
  return text;
}

/// What the pattern's first group matches, each text once.
std::set<std::string> all(const std::string& text, const std::string& pattern) {
  const std::regex expression(pattern);
  std::set<std::string> found;
  for (std::sregex_iterator match(text.begin(), text.end(), expression), end; match != end; ++match)
    found.insert((*match)[1]);
  return found;
}

}  // namespace

TEST_CASE("pages: the program knows every command and flag that they mention") {
  // At the start of a line, or of code in a line; up to a comment or the end of either.
  std::set<std::string> commands = all(pages(), "[\n`](?:build/)?orthoread ([a-z]+ [^\n`#>]*[^\n`#> ])");
  std::erase_if(commands, [](const std::string& command) {
    return std::regex_search(command, std::regex("\\b[A-Z]+\\b|…|\\$")) && !contains(command, "\"");  // placeholders
  });
  CHECK(commands.size() >= 30);
  for (const std::string& command : commands) {
    const TemporaryFolder folder;  // what is read is not there; what would run long is stopped
    const ProgramResult result = run_shell(
        fmt::format("cd '{}' && timeout -s KILL .3 '{}' {} </dev/null", folder.path(), ORTHOREAD_PROGRAM, command));
    CHECK_MESSAGE(!contains(result.err, "--help"),
                  ("orthoread " + command + "\n" + result.err));  // named in errors of usage alone
  }
}

TEST_CASE("pages: ./dev has every command that they mention") {
  const std::string usage = run_shell("cd '" + kRoot.string() + "' && ./dev help").out;
  const std::set<std::string> commands = all(pages(), "\\./dev ([a-z]+)");
  CHECK(commands.size() >= 7);
  for (const std::string& command : commands) CHECK_MESSAGE(contains(usage, "\n  " + command + " "), command);
}
