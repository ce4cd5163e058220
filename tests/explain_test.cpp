// orthoread explain: the documentation of each op.
#include "apps/json_file.h"
#include "data/files.h"
#include "tests/program.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <sstream>

using namespace orthoread;
namespace fs = std::filesystem;

namespace {

std::vector<std::string> lines_of(const fs::path& file) {
  std::vector<std::string> lines;
  std::istringstream text(read_file(file));
  for (std::string line; std::getline(text, line);) lines.push_back(line);
  return lines;
}

/// The names of functions in each header that return tensors, found independently of the program.
std::set<std::string> declared_ops() {
  std::set<std::string> names;
  for (const auto& entry : fs::directory_iterator(kRoot / "ops")) {
    if (entry.path().extension() != ".h") continue;
    for (std::string line : lines_of(entry.path())) {
      if (line.starts_with("std::vector<Tensor<T>>")) line = line.substr(12);
      if (!line.starts_with("Tensor<T>") || line.find(" operator") != line.npos) continue;
      const size_t begin = line.find(' ') + 1;
      names.insert(line.substr(begin, line.find('(') - begin));
    }
  }
  return names;
}

/// The source line at "ops/conv.h:15".
std::string line_at(const std::string& place) {
  const size_t colon = place.find(':');
  REQUIRE(colon != place.npos);
  return lines_of(kRoot / place.substr(0, colon)).at(static_cast<size_t>(std::stoi(place.substr(colon + 1)) - 1));
}

}  // namespace

TEST_CASE("explain: every op has all parts of its documentation") {
  const ProgramResult result = run_shell("orthoread explain --json");
  REQUIRE(result.exit_code == 0);
  std::set<std::string> explained;
  for (const Json& op : parse_json(result.out, "explain")) {
    const std::string name = op["name"];
    CAPTURE(name);
    explained.insert(name);
    for (const std::string part : {"what", "shapes", "derivative", "use"})
      CHECK_MESSAGE(!op[part].get<std::string>().empty(), (part + " is missing in the doc comment of " + name));
    CHECK(!op["declarations"].empty());
    for (const std::string declaration : op["declarations"])
      CHECK_MESSAGE((declaration.ends_with(")") && contains(declaration, " " + name + "(")), declaration);
    const std::string use = op["use"];
    CHECK(std::count(use.begin(), use.end(), '\n') == 0);  // "use" is one line
    for (const char* place : {"header", "source"}) CHECK(contains(line_at(op[place]), " " + name + "("));
  }
  CHECK(explained == declared_ops());
  CHECK(explained.size() >= 45);
}

TEST_CASE("explain: one op, as text and as JSON") {
  const ProgramResult text = run_shell("orthoread explain log_softmax");
  CHECK(text.exit_code == 0);
  CHECK(contains(text.out, "Tensor<T> log_softmax(const Tensor<T>& x)\n"));
  CHECK(contains(text.out, "computes      log(exp(x_i) / sum_j exp(x_j)) along the last axis, without overflow.\n"));
  CHECK(contains(text.out, "shapes        x (..., V) -> the same\n"));
  CHECK(contains(text.out, "derivative    dx = dy - exp(y) sum(dy), along the last axis.\n"));
  const Json one = parse_json(run_shell("orthoread explain sum --json").out, "explain");
  CHECK(one["declarations"].size() == 2);  // over some axes, and over all
  CHECK(contains(one["declarations"][1], "sum(const Tensor<T>& x)"));
  // Formulas keep their lines.
  CHECK(contains(run_shell("orthoread explain mlstm_composed").out,
                 "\n                C_t = f' C_{t-1} + i' k_t v_t^T     n_t = f' n_{t-1} + i' k_t\n"));
}

TEST_CASE("explain: the list, and an unknown name") {
  const ProgramResult list = run_shell("orthoread explain");
  CHECK(list.exit_code == 0);
  CHECK(contains(list.out, "softplus           log(1 + exp(x)), without overflow"));
  check_refused("orthoread explain softmax", 2, "explain: there is no op 'softmax' (did you mean log_softmax?)");
  check_refused("orthoread explain sofplus", 2, "explain: there is no op 'sofplus' (did you mean softplus?)");
}
