// A grid of small runs and the folder of its sweep, for the tests of `orthoread sweep`.
#pragma once

#include "data/files.h"
#include "tests/program.h"

namespace orthoread {

// Runs that take a fraction of a second.
inline const std::string kSmall =
    R"("vocab_size": 24, "seq_len": 32, "noise_vocab_size": 8, "frac_noise": 0.5, "dim": 16,
  "batch_size": 4, "lr": 0.01, "eval_every": 20, "val_batches": 2, "checkpoint_every": 5)";

/// A grid of such runs, with these fixed and varying keys.
inline std::string grid(const std::string& fixed, const std::string& vary) {
  return R"({"name": "small", "fixed": {)" + kSmall + (fixed.empty() ? "" : ", " + fixed) + R"(}, "vary": {)" + vary +
         "}}";
}

/// A grid file, and the folder for its sweep beside it.
struct Files {
  TemporaryFolder folder;
  std::string grid_file = folder / "grid.json", out = folder / "sweep";

  explicit Files(const std::string& text) { write_file_atomically(grid_file, text); }
  std::string arguments() const { return grid_file + " --out " + out; }
  ProgramResult sweep(const std::string& flags = "") const {
    return run_shell("orthoread sweep " + arguments() + " --quiet " + flags);
  }
};

}  // namespace orthoread
