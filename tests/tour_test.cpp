// The pages of the tour show the compiled programs and their actual output.
#include "core/check.h"
#include "data/files.h"
#include "tests/program.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <set>

using namespace orthoread;
namespace fs = std::filesystem;

namespace {

/// The files of a folder with this extension, sorted by name.
std::vector<fs::path> files(const char* folder, const char* extension) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(kRoot / folder))
    if (entry.path().extension() == extension) found.push_back(entry.path());
  std::sort(found.begin(), found.end());
  return found;
}

/// The contents of the page's code blocks of a language, in order.
std::vector<std::string> blocks(const std::string& page, const std::string& language) {
  std::vector<std::string> found;
  const std::string fence = "```" + language + "\n";
  for (size_t at = page.find(fence); at != page.npos; at = page.find(fence, at + 1)) {
    const size_t begin = at + fence.size(), end = page.find("```", begin);
    REQUIRE(end != page.npos);
    found.push_back(page.substr(begin, end - begin));
  }
  return found;
}

/// The page without code blocks.
std::string prose(std::string page) {
  for (size_t begin; (begin = page.find("```")) != page.npos;)
    page.erase(begin, page.find("```", begin + 3) + 3 - begin);
  return page;
}

std::string joined(const std::vector<std::string>& texts) { return fmt::format("{}", fmt::join(texts, "")); }

}  // namespace

TEST_CASE("tour: twelve stops, with their programs on their pages") {
  std::set<std::string> stops;
  for (const fs::path& program : files("apps/tour", ".cpp")) {
    const std::string text = read_file(program), stop = program.filename().string().substr(0, 2);
    CAPTURE(program.string());
    CHECK(std::count(text.begin(), text.end(), '\n') < 60);
    bool shown = false;
    for (const fs::path& page : files("docs/tour", ".md")) {
      if (!page.filename().string().starts_with(stop)) continue;
      const std::vector<std::string> code = blocks(read_file(page), "cpp");
      shown = shown || std::find(code.begin(), code.end(), text) != code.end();
    }
    CHECK_MESSAGE(shown, "the page does not show this text");
    stops.insert(stop);
  }
  CHECK(stops.size() == 12);
}

TEST_CASE("tour: every command prints what its page shows") {
  size_t commands = 0;
  for (const fs::path& page : files("docs/tour", ".md")) {
    CAPTURE(page.string());
    if (page.filename() == "answers.md") continue;
    const std::string text = read_file(page);
    const bool overview = page.filename() == "README.md";
    const std::string stop = overview ? "1" : std::to_string(std::stoi(page.filename().string()));
    const std::vector<std::string> shown = blocks(text, "sh");
    REQUIRE(!shown.empty());
    REQUIRE(shown[0] == "./dev tour " + stop + "\n");
    for (size_t i = 1; i < shown.size(); ++i) {  // without build/: the program is in the path here
      const TemporaryFolder folder;
      REQUIRE(shown[i].starts_with("build/orthoread "));
      CHECK(run_shell("cd '" + folder.path() + "' && " + shown[i].substr(shown[i].find('/') + 1)).exit_code == 0);
      CHECK(!fs::is_empty(folder.path()));
      ++commands;
    }
    const ProgramResult result = run_shell(
        fmt::format("cd '{}' && DEV_BUILD_FOLDER='{}' ./dev tour {}", kRoot.string(), ORTHOREAD_BUILD_DIR, stop));
    CHECK(result.exit_code == 0);
    if (!overview) CHECK_MESSAGE(result.out == joined(blocks(text, "text")), (result.out + result.err));
    ++commands;
  }
  CHECK(commands == 14);
}

TEST_CASE("tour: what the pages ask the reader to try prints what the answers show") {
  const std::string page = read_file(kRoot / "docs/tour/answers.md");
  const auto dev = [](const std::string& words) {
    return run_shell(
        fmt::format("cd '{}' && DEV_BUILD_FOLDER='{}' ./dev tour {}", kRoot.string(), ORTHOREAD_BUILD_DIR, words));
  };
  int tried = 0;
  for (int stop = 1; stop <= 12; ++stop) {
    CAPTURE(stop);
    const size_t begin = page.find(fmt::format("\n## Stop {}\n", stop));
    REQUIRE(begin != page.npos);
    const std::string section = page.substr(begin, page.find("\n## ", begin + 1) - begin);
    const std::vector<std::string> printed = blocks(section, "text"), commands = blocks(section, "sh");
    CHECK(blocks(section, "diff").size() == printed.size());
    for (size_t i = 0; i < printed.size(); ++i, ++tried) {
      const ProgramResult result = dev(fmt::format("{} try {}", stop, i + 1));
      CHECK_MESSAGE(contains(result.out, printed[i]), (result.out + result.err));
    }
    for (const std::string& command : commands) {
      const TemporaryFolder folder;
      CHECK(run_shell("cd '" + folder.path() + "' && " + command.substr(command.find('/') + 1)).exit_code == 0);
    }
  }
  CHECK(tried == 14);
  CHECK(dev("4 try").err == "dev: docs/tour/answers.md has no such change of stop 4's program\n");
  CHECK(dev("4 tyr").err == "dev: try may follow tour 4, not 'tyr'\n");
}

TEST_CASE("tour: an unknown stop") {
  const ProgramResult result = run_shell("cd '" + kRoot.string() + "' && ./dev tour 13");
  CHECK(result.exit_code == 2);
  CHECK(result.err == "dev: the tour has the stops 1 to 12, not '13'\n");
  CHECK(contains(run_shell("cd '" + kRoot.string() + "' && ./dev tour").out,
                 "4: backward, and why newest first is enough\n"));
}

TEST_CASE("tour: links point to files") {
  for (const fs::path& page : files("docs/tour", ".md")) {
    const std::string text = prose(read_file(page));
    for (size_t at = text.find("]("); at != text.npos; at = text.find("](", at + 1)) {
      std::string link = text.substr(at + 2, text.find(')', at) - at - 2);
      link = link.substr(0, link.find('#'));
      CHECK_MESSAGE(fs::exists(page.parent_path() / link), (page.string() + ": " + link));
    }
  }
}
