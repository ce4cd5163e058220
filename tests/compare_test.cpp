// docs/compare.md: training in three styles ends with the same loss, and the line counts on the page are right.
#include "data/files.h"
#include "tests/program.h"

#include <doctest/doctest.h>

#include <algorithm>

using namespace orthoread;

namespace {

const std::string kFolder = std::string(ORTHOREAD_SOURCE_DIR) + "/apps/compare/";

/// The line "loss 0.123456789012" of the output.
std::string loss(const std::string& command) {
  const std::string out = run_shell(command).out;
  return out.substr(0, out.find('\n'));
}

}  // namespace

TEST_CASE("compare: the same loss in every style") {
  const bool python = run_shell("python3 -c ''").exit_code == 0;
  const bool torch = run_shell("/usr/bin/python3 -c 'import torch'").exit_code == 0;
  if (!python) MESSAGE("skipped the scalar engine: no python3");
  if (!torch) MESSAGE("skipped PyTorch: not installed");
  for (const std::string name : {"mlp", "mlstm"}) {
    const std::string ours = loss(fmt::format("'{}/compare/{}'", ORTHOREAD_BUILD_DIR, name));
    CHECK(ours.starts_with("loss 0.") != ours.starts_with("loss 1."));
    if (python) CHECK(loss(fmt::format("python3 '{}{}_scalar.py'", kFolder, name)) == ours);
    if (torch) CHECK(loss(fmt::format("/usr/bin/python3 '{}{}_torch.py'", kFolder, name)) == ours);
  }
}

TEST_CASE("compare: lines") {
  const std::string page = read_file(std::string(ORTHOREAD_SOURCE_DIR) + "/docs/compare.md");
  for (const char* name : {"scalar_engine.py", "mlp_scalar.py", "mlp_torch.py", "mlp.cpp", "mlstm_scalar.py",
                           "mlstm_torch.py", "mlstm.cpp"}) {
    const std::string text = read_file(kFolder + name);
    const auto lines = std::count(text.begin(), text.end(), '\n');
    const std::string shown = fmt::format("[{0}](../apps/compare/{0}), {1} lines", name, lines);
    CHECK_MESSAGE(contains(page, shown), shown);
  }
}
