// ./dev book: one page without broken links, and the reference of all public names.
#include "data/files.h"
#include "tests/program.h"

#include <doctest/doctest.h>

#include <filesystem>
#include <set>

using namespace orthoread;

namespace {

/// The values of all attributes with this name.
std::vector<std::string> attributes(const std::string& page, const std::string& name) {
  std::vector<std::string> found;
  const std::string start = " " + name + "=\"";
  for (size_t at = page.find(start); at != page.npos; at = page.find(start, at + 1)) {
    const size_t begin = at + start.size();
    found.push_back(page.substr(begin, page.find('"', begin) - begin));
  }
  return found;
}

}  // namespace

TEST_CASE("book: all pages in one, without broken links and without loading from the network") {
  if (run_shell("command -v pandoc && command -v doxygen").exit_code != 0) {
    MESSAGE("skipped: pandoc or doxygen is not installed (./dev book installs them)");
    return;
  }
  const TemporaryFolder folder;
  const ProgramResult result =
      run_shell(fmt::format("cd '{}' && DEV_BOOK_FOLDER='{}' ./dev book", ORTHOREAD_SOURCE_DIR, folder.path()));
  CHECK_MESSAGE(result.exit_code == 0, result.err);  // fails for a public name without a doc comment
  CHECK(contains(read_file(folder / "reference/classorthoread_1_1Tensor.html"), "An Array and where it came from."));
  const std::string page = read_file(folder / "orthoread.html");
  std::set<std::string> ids;
  for (const std::string& id : attributes(page, "id")) ids.insert(id);
  size_t links = 0;
  for (const std::string& link : attributes(page, "href")) {
    if (link.starts_with("http")) continue;  // further reading
    CHECK_MESSAGE((link.starts_with("#") && ids.contains(link.substr(1))), link);
    ++links;
  }
  CHECK(links > 100);
  for (const std::string& source : attributes(page, "src")) CHECK(source.starts_with("data:"));
  for (const char* pages : {"/docs", "/docs/tour"}) {
    for (const auto& entry : std::filesystem::directory_iterator(std::string(ORTHOREAD_SOURCE_DIR) + pages)) {
      const std::string name = entry.path().filename() == "README.md" ? "tour" : entry.path().filename();
      if (entry.path().extension() == ".md") CHECK_MESSAGE(ids.contains(name), (name + " is not in the book"));
    }
  }
  // If a line happens to start with "1." at the end of a sentence, it must not start a list.
  for (size_t at = page.find("<ol"); at != page.npos; at = page.find("<ol", at + 1)) {
    const std::string list = page.substr(at, page.find("</ol>", at) - at);
    CHECK_MESSAGE(list.find("<li") != list.rfind("<li"), list.substr(0, 200));
  }
  for (const char* part : {"Stop 12: AdamW", "id=\"core-tensor.cpp\"", "id=\"teaching.md\"", "<nav id=\"TOC\""})
    CHECK_MESSAGE(contains(page, part), part);
}
