// Runs every block of docs/python.md, as one session.
#include "data/files.h"
#include "tests/program.h"
#include "tests/support.h"

#include <sstream>

using namespace orthoread;

namespace {

/// A Python with PyTorch and pandas; "" if there is none.
std::string python() {
  for (const std::string name : {"python3", "/usr/bin/python3"}) {
    if (run_shell(name + " -c 'import torch, pandas'").exit_code == 0) return name;
  }
  return "";
}

/// The blocks of the document as one Python program, which runs the shell blocks in their place.
std::string session(const std::string& document) {
  std::istringstream lines(document);
  std::string program = "import subprocess\n", shell;
  enum { text, in_python, in_shell } where = text;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("```")) {
      REQUIRE((where != text || line == "```python" || line == "```sh"));
      if (where == in_shell) program += "subprocess.run(['sh', '-euc', '''" + shell + "'''], check=True)\n";
      where = where != text ? text : line == "```python" ? in_python : in_shell;
      shell.clear();
    } else if (where == in_python) {
      program += line + "\n";
    } else if (where == in_shell) {
      shell += line + "\n";
    }
  }
  CHECK(where == text);
  return program;
}

// Checks at the end of the session.
const char* const kChecks = R"(
import math
assert sorted(results["read"]) == ["ns5", "raw"]
for _, run in results.iterrows():
    with open("runs/" + run["read"] + "/result.json") as file:
        result = json.load(file)
    assert run["accuracy"] == result["final_val_accuracy"] and run["loss"] == result["final_val_loss"]
assert list(steps.index) == list(range(1, 41)) and list(evaluations.index) == [1, 10, 20, 30, 40]
assert not steps.isna().any().any() and not evaluations.isna().any().any()
assert len(probed) == 16 and (probed["memory.effective_rank"] >= 1).all()
assert len(weights) == 18 and embedding.weight.shape == (24, 16)
for path, expected in (("back.safetensors", metadata), ("converted.safetensors", {"trained_read": "ns5"})):
    again, about = read_safetensors(path)
    assert again.keys() == weights.keys() and all(torch.equal(again[name], weights[name]) for name in weights)
    assert expected.items() <= about.items()
assert tokens["inputs"].shape == tokens["targets"].shape == (64, 63)
assert torch.equal(tokens["inputs"][:, 1:], tokens["targets"][:, :-1])
assert math.isfinite(float(loss))
)";

}  // namespace

TEST_CASE("python: every block of docs/python.md runs as described") {
  const std::string interpreter = python();
  if (interpreter.empty()) {
    MESSAGE("skipped: no Python with PyTorch and pandas (Debian: apt-get install python3-torch python3-pandas)");
    return;
  }
  const TemporaryFolder folder;
  write_file_atomically(folder / "session.py", session(read_file(ORTHOREAD_SOURCE_DIR "/docs/python.md")) + kChecks);
  const ProgramResult result = run_shell(fmt::format("PATH=\"$(dirname '{}'):$PATH\"; cd {} && {} session.py",
                                                     ORTHOREAD_PROGRAM, folder.path(), interpreter));
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  const auto eval = [&](const std::string& file) {
    const ProgramResult evaluated = run_shell("orthoread eval --json --data-seed 10011 --checkpoint " + folder / file);
    CHECK_MESSAGE(evaluated.exit_code == 0, evaluated.err);
    return evaluated.out;
  };
  CHECK(eval("back.safetensors") == eval("runs/ns5/model.safetensors"));
  CHECK(eval("converted.safetensors") == eval("runs/ns5/model.safetensors"));
}
