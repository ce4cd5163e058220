// The rules that a compiler does not check: include directions, the size of core, a gradient check for each op.
#include "tests/declared_ops.h"
#include "tests/support.h"

#include <filesystem>
#include <map>
#include <regex>
#include <set>
#include <sstream>

using namespace orthoread;
namespace fs = std::filesystem;

namespace {

/// The .h and .cpp files of a folder.
std::vector<fs::path> sources(const std::string& folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::recursive_directory_iterator(kRoot / folder)) {
    if (entry.path().extension() == ".h" || entry.path().extension() == ".cpp") files.push_back(entry.path());
  }
  REQUIRE(!files.empty());
  return files;
}

std::vector<std::string> includes(const fs::path& file) {
  std::istringstream lines(read_file(file));
  std::vector<std::string> found;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with("#include ")) continue;
    const size_t begin = line.find_first_of("\"<") + 1;
    found.push_back(line.substr(begin, line.find_first_of("\">", begin) - begin));
  }
  return found;
}

std::string without_comments(const std::string& text) {
  std::istringstream lines(text);
  std::string code = "\n";
  for (std::string line; std::getline(lines, line);) code += line.substr(0, line.find("//")) + "\n";
  return code;
}

/// Whether the text calls this function: the whole name, before an opening parenthesis.
bool calls(const std::string& text, const std::string& name) {
  for (size_t at = text.find(name + "("); at != std::string::npos; at = text.find(name + "(", at + 1)) {
    if (!in_a_name(text[at - 1])) return true;
  }
  return false;
}

/// The text of every call check_gradient(…), up to its closing parenthesis.
std::string gradient_checks(const std::string& text) {
  std::string found;
  for (size_t at = text.find("check_gradient("); at != std::string::npos; at = text.find("check_gradient(", at + 1)) {
    size_t end = text.find('(', at) + 1;
    for (int depth = 1; depth > 0 && end < text.size(); ++end)
      depth += text[end] == '(' ? 1 : text[end] == ')' ? -1 : 0;
    found += text.substr(at, end - at);
  }
  return found;
}

}  // namespace

TEST_CASE("structure: include directions") {
  const std::map<std::string, std::set<std::string>> allowed = {{"core", {"core"}},
                                                                {"ops", {"core", "ops"}},
                                                                {"models", {"core", "ops", "models"}},
                                                                {"data", {"core", "data"}},
                                                                {"optim", {"core", "optim"}}};
  const std::set<std::string> ours = {"core", "ops", "models", "data", "optim", "apps", "tests"};
  for (const auto& [folder, may_include] : allowed) {
    for (const fs::path& file : sources(folder)) {
      for (const std::string& include : includes(file)) {
        const std::string from = include.substr(0, include.find('/'));
        CHECK_MESSAGE((!ours.contains(from) || may_include.contains(from)),
                      fmt::format("{} includes {}", file.string(), include));
      }
    }
  }
}

TEST_CASE("structure: include directions inside ops") {
  // A sub-folder may include core, itself, and the folders listed here. The families of ops above it may include all
  // sub-folders.
  const std::map<std::string, std::vector<std::string>> more = {
      {"ops/rows/", {"ops/simd/"}}, {"ops/memory/", {"ops/simd/", "ops/memory_read.h", "ops/instantiate.h"}}};
  size_t folders = 0;
  for (const auto& entry : fs::directory_iterator(kRoot / "ops")) {
    if (!entry.is_directory()) continue;
    ++folders;
    const std::string folder = "ops/" + entry.path().filename().string() + "/";
    std::vector<std::string> may_include = {"core/", folder};
    if (more.contains(folder)) may_include.insert(may_include.end(), more.at(folder).begin(), more.at(folder).end());
    for (const fs::path& file : sources(folder)) {
      for (const std::string& include : includes(file)) {
        const bool ours = fs::exists(kRoot / include);
        const bool allowed = std::any_of(may_include.begin(), may_include.end(),
                                         [&](const std::string& from) { return include.starts_with(from); });
        CHECK_MESSAGE((!ours || allowed), fmt::format("{} includes {}", file.string(), include));
      }
    }
  }
  CHECK(folders >= 4);
}

TEST_CASE("structure: external libraries are used only where allowed") {
  const std::map<std::string, std::set<std::string>> places = {
      {"fmt/", {"core", "apps"}},      {"cblas", {"ops/gemm.cpp", "apps/probe/spectrum.cpp"}},
      {"nlohmann/", {"data", "apps"}}, {"openssl/", {"data/checksum.cpp"}},
      {"boost/", {"data", "apps"}},    {"CLI/", {"apps"}},
      {"doctest/", {"tests"}}};
  for (const char* folder : {"core", "ops", "models", "data", "optim", "apps", "tests"}) {
    for (const fs::path& file : sources(folder)) {
      for (const std::string& include : includes(file)) {
        for (const auto& [library, where] : places) {
          if (!include.starts_with(library)) continue;
          const bool allowed = where.contains(folder) || where.contains(fs::relative(file, kRoot).generic_string());
          CHECK_MESSAGE(allowed, fmt::format("{} includes {}", file.string(), include));
        }
      }
    }
  }
}

TEST_CASE("structure: LAPACK is declared in one place") {
  for (const char* folder : {"core", "ops", "models", "data", "optim", "apps"}) {
    for (const fs::path& file : sources(folder)) {
      const bool has = read_file(file).find("gesdd_") != std::string::npos;
      CHECK_MESSAGE(has == (file.filename() == "spectrum.cpp"), file.string());
    }
  }
}

TEST_CASE("structure: core stays small") {
  int64_t lines = 0;
  for (const fs::path& file : sources("core")) {
    const std::string text = read_file(file);
    lines += std::count(text.begin(), text.end(), '\n');
  }
  CHECK(lines <= 700);
}

TEST_CASE("structure: every file of tests is built and run") {
  const std::string list = read_file(kRoot / "tests/CMakeLists.txt");
  for (const fs::path& file : sources("tests")) {
    const std::string stem = file.stem().string();
    if (!stem.ends_with("_test")) continue;
    const std::string name = " " + stem.substr(0, stem.size() - 5);
    const bool listed =
        list.find(name + " ") != list.npos || list.find(name + "\n") != list.npos || list.find(name + ")") != list.npos;
    CHECK_MESSAGE(listed, fmt::format("{} is not in the list of tests/CMakeLists.txt", stem));
  }
  CHECK_MESSAGE(!std::regex_search(list, std::regex("apps/\\S*\\.cpp")),
                "tests link libraries, and compile no file of apps");
}

TEST_CASE("structure: every op has a gradient check, here and in orthoread gradcheck") {
  std::string tests, program;
  for (const fs::path& file : sources("tests")) {
    const std::string text = read_file(file);
    const bool of_the_checker = text.find("tests/wrong_backward.h") != text.npos;  // with functions of its own
    if (file.extension() == ".cpp" && !of_the_checker) tests += gradient_checks(text);
  }
  for (const fs::path& file : sources("apps/gradcheck")) program += read_file(file);
  program += read_file(kRoot / "apps/op_table.cpp");
  const std::set<std::string> ops = declared_ops();
  for (const std::string& op : ops) {
    CHECK_MESSAGE(calls(tests, op), (op + ": no test gives it to check_gradient"));
    CHECK_MESSAGE(calls(program, op), (op + ": apps/op_table.cpp lacks it"));
  }
  CHECK(ops.size() >= 40);
}

TEST_CASE("structure: an op is a header, a source, a test, and a line in the table") {
  // Other files that have the name of an op in quotes: the operators of expressions; the ops that gradcheck checks in
  // depth; those that the bench measures beside what they replace; "max" of a control group; "split", the training or
  // the validation part.
  const std::map<std::string, std::set<std::string>> others = {
      {"apps/graph/expression.cpp", {"add", "sub", "mul", "div", "neg", "matmul"}},
      {"apps/bench/fused_ops.cpp",
       {"norm_linear_split", "causal_conv_silu", "linear_maps", "gated_norm_linear", "norm_linear", "cross_entropy"}},
      {"apps/gradcheck/gradcheck.cpp", {"newton_schulz"}},
      {"apps/gradcheck/targets.cpp", {"newton_schulz"}},
      {"apps/sweep/machine.cpp", {"max"}},
      {"apps/data.cpp", {"split"}}};
  std::map<std::string, std::vector<std::string>> headers, definitions, names;  // by op
  const std::set<std::string> ops = declared_ops();
  for (const char* folder : {"core", "ops", "models", "data", "optim", "apps"}) {
    for (const fs::path& path : sources(folder)) {
      const std::string file = fs::relative(path, kRoot).generic_string(), text = without_comments(read_file(path));
      const auto other = others.find(file);
      for (const std::string& op : ops) {
        const auto declared = [&](const std::string& before) {
          return text.find(before + "Tensor<T> " + op + "(") != text.npos ||
                 text.find(before + "std::vector<Tensor<T>> " + op + "(") != text.npos;
        };
        if (path.extension() == ".h" && declared("\n")) headers[op].push_back(file);
        const bool defined = path.extension() == ".cpp" && file.starts_with("ops/") && declared("template ");
        if (defined) definitions[op].push_back(file);
        if (defined || text.find('"' + op + '"') == text.npos) continue;
        if (other == others.end() || !other->second.contains(op)) names[op].push_back(file);
      }
    }
  }
  for (const std::string& op : ops) {
    CAPTURE(op);
    CHECK_MESSAGE(headers[op].size() == 1, fmt::format("headers: {}", fmt::join(headers[op], ", ")));
    CHECK_MESSAGE(definitions[op].size() == 1, fmt::format("sources: {}", fmt::join(definitions[op], ", ")));
    CHECK_MESSAGE(names[op] == std::vector<std::string>{"apps/op_table.cpp"},
                  fmt::format("named in: {}", fmt::join(names[op], ", ")));
  }
}

TEST_CASE("structure: the gradient checker needs only core, and no op needs it") {
  for (const fs::path& file : sources("ops")) {
    const bool checker = file.parent_path().filename() == "gradcheck";
    for (const std::string& include : includes(file)) {
      if (!include.starts_with("ops/")) continue;
      CHECK_MESSAGE(include.starts_with("ops/gradcheck/") == checker,
                    fmt::format("{} includes {}", file.string(), include));
    }
  }
}

TEST_CASE("structure: the guide shows the compiled example") {
  const std::string example = read_file(kRoot / "tests/package/check_my_op.cpp");
  CHECK(read_file(kRoot / "docs/gradient-checking.md").find("```cpp\n" + example + "```\n") != std::string::npos);
}
