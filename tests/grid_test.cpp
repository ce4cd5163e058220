// The runs of a grid, and its errors.
#include "apps/sweep/grid.h"

#include "apps/sweep/sweep_folder.h"
#include "apps/train/checkpoint.h"
#include "data/files.h"
#include "data/safetensors.h"
#include "tests/program.h"
#include "tests/support.h"

#include <set>

using namespace orthoread;

namespace {

std::vector<GridRun> runs_of(const std::string& grid) {
  const TemporaryFolder folder;
  write_file_atomically(folder / "grid.json", grid);
  return read_grid(folder / "grid.json");
}

/// The message, without the folder's name.
std::string refusal(const std::string& grid) {
  const std::string message = thrown([&] { runs_of(grid); });
  const size_t at = message.find("grid.json");
  return at == std::string::npos ? message : message.substr(at);
}

/// A grid with these fixed settings.
std::string fixed(const std::string& keys) { return R"({"name": "g", "fixed": {)" + keys + "}}"; }

}  // namespace

TEST_CASE("grid: the product of the varying keys, the last one fastest") {
  const std::vector<GridRun> runs = runs_of(R"({"name": "g", "fixed": {"setting": "v88_s768", "steps": 100},
    "vary": {"read": ["raw", "ns5"], "lr": [1e-3, 0.003], "seed": {"from": 11, "to": 13}}})");
  REQUIRE(runs.size() == 12);
  for (size_t i = 0; i < runs.size(); ++i) {
    CAPTURE(i);
    const GridRun& run = runs[i];
    CHECK(run.index == static_cast<int64_t>(i));
    CHECK(run.config.model.read.name() == (i < 6 ? "raw" : "ns5"));
    CHECK(run.config.lr == (i / 3 % 2 == 0 ? 0.001 : 0.003));
    CHECK(run.config.seed == 11 + i % 3);
    CHECK(run.config.data_seed == run.config.seed);
    CHECK(run.config.setting.vocab_size == 88);
    CHECK(run.config.setting.seq_len == 768);
    CHECK(run.config.steps == 100);
    CHECK(run.settings == run.config.to_json());
  }
  CHECK(runs[3].name.starts_with("raw-lr0.003-seed11-"));
  CHECK(runs[3].label() == "raw, lr 0.003, seed 11");
  CHECK(runs[3].hash.size() == 8);
  CHECK(runs[3].name.ends_with("-" + runs[3].hash));
  CHECK(runs[3].hash.find_first_not_of("0123456789abcdef") == std::string::npos);
  std::set<std::string> names;
  for (const GridRun& run : runs) names.insert(run.name);
  CHECK(names.size() == runs.size());
}

TEST_CASE("grid: a value that is there twice, and names that differ in other letters alone") {
  CHECK(refusal(R"({"name": "g", "vary": {"seed": [1, 2, 1]}})") == "grid.json, vary: seed: 1 is there twice");
  CHECK(runs_of(R"({"name": "größe"})")[0].grid != runs_of(R"({"name": "grüße"})")[0].grid);
}

TEST_CASE("grid: different runs with the same hash are refused") {
  // Two seeds found by a search: one pair in 4 billion has the same eight digits.
  const std::string two = R"({"name": "g", "fixed": {"vocab_size": 24, "seq_len": 32, "noise_vocab_size": 8,
    "frac_noise": 0.5, "dim": 8, "heads": 2, "batch_size": 2, "steps": 3, "eval_every": 1, "val_batches": 1},
    "vary": {"read": ["raw"], "seed": [2561, 168379]}})";
  CHECK(refusal(two) ==
        "grid.json, run 1: its settings have the same hash, 0c551a82, as those of raw-seed2561-0c551a82; "
        "change a seed of one of them");
}

TEST_CASE("grid: the hash depends only on settings that define a run") {
  const GridRun plain = runs_of(fixed(R"("seed": 12, "lr": 0.01)"))[0];
  const auto hash = [](const std::string& keys) { return runs_of(fixed(keys))[0].hash; };
  CHECK(hash(R"("lr": 1e-2, "seed": 12)") == plain.hash);
  CHECK(hash(R"("lr": 0.01, "seed": 12, "setting": "v80_s512", "read": "ns5")") ==
        plain.hash);  // the defaults, given explicitly
  CHECK(hash(R"("lr": 0.01, "seed": 12, "data_seed": 12)") == plain.hash);
  CHECK(hash(R"("lr": 0.01, "seed": 12, "checkpoint_every": 7, "keep_checkpoints": true)") == plain.hash);
  CHECK(hash(R"("lr": 0.01, "seed": 12, "instruction_set": "baseline")") == plain.hash);
  CHECK(hash(R"("lr": 0.01, "seed": 12, "eval_every": 7)") != plain.hash);
  CHECK(hash(R"("lr": 0.01, "seed": 12, "data_seed": 13)") != plain.hash);
  CHECK(plain.name == "g-" + plain.hash);  // nothing varies: the grid's name
  const std::vector<GridRun> grown =
      runs_of(R"({"name": "h", "fixed": {"lr": 0.01}, "vary": {"read": ["raw", "ns5"], "seed": [3, 12]}})");
  CHECK(grown[3].hash == plain.hash);
}

TEST_CASE("grid: an init file counts by its content, and {seed} is replaced by the seed") {
  const TemporaryFolder folder;
  for (const std::string name : {"a11", "a12", "b11", "b12", "wider11"}) {
    const RecallModelConfig config{.dim = name == "wider11" ? 96 : 94};
    SafetensorsWriter weights;
    add_parameters(weights, RecallModel<float>(config, RandomStream(name.ends_with('1') ? 11 : 12)).parameters());
    weights.write(folder / name);
  }
  write_file_atomically(folder / "letter11", "none");
  const auto with_init = [&](const std::string& init) {
    return runs_of(R"({"name": "g", "fixed": {"init": ")" + folder / init + R"("}, "vary": {"seed": [11, 12]}})");
  };
  const std::vector<GridRun> a = with_init("a{seed}"), b = with_init("b{seed}"), same = with_init("a11");
  CHECK(a[0].config.init == folder / "a11");
  CHECK(a[1].config.init == folder / "a12");
  CHECK(a[0].hash == b[0].hash);
  CHECK(a[1].hash == b[1].hash);
  CHECK(same[0].hash == a[0].hash);
  CHECK(same[1].hash != a[1].hash);
  CHECK(thrown([&] { with_init("c{seed}"); }).find("c11") != std::string::npos);
  CHECK(thrown([&] { with_init("letter{seed}"); }).find("letter11: not a safetensors file") != std::string::npos);
  const std::string misfit = thrown([&] { with_init("wider{seed}"); });
  CHECK_MESSAGE(misfit.find("must have shape [80, 94], it has [80, 96]") != std::string::npos, misfit);
  // A text without characters is what config.json says of random weights.
  const std::vector<GridRun> random =
      runs_of(fmt::format(R"({{"name": "g", "vary": {{"init": ["", "{}"], "seed": [11]}}}})", folder / "a{seed}"));
  CHECK(random[0].hash == runs_of(fixed(R"("seed": 11)"))[0].hash);
  CHECK(random[1].hash == a[0].hash);
}

TEST_CASE("grid: a list of grids, in order") {
  const std::vector<GridRun> runs = runs_of(R"([{"name": "a", "vary": {"seed": [5, 6]}},
    {"name": "b", "fixed": {"single_query": true, "vocab_size": 32, "seq_len": 64}, "vary": {"read": ["raw"]}}])");
  REQUIRE(runs.size() == 3);
  CHECK(runs[2].index == 2);
  CHECK(runs[2].config.setting.single_query);
  CHECK(runs[0].name.starts_with("seed5-"));
  CHECK(runs[2].name.starts_with("raw-"));
}

TEST_CASE("grid: errors are one line that names the key") {
  CHECK(refusal(fixed(R"("sed": 1)")) ==
        "grid.json, fixed: unknown key 'sed' (did you mean seed?); the flags of train are allowed, with underscores");
  CHECK(refusal(R"({"name": "g", "vary": {"learning_rate": [1]}})") ==
        "grid.json, vary: unknown key 'learning_rate'; the flags of train are allowed, with underscores");
  CHECK(refusal(fixed(R"("batchsize": 4)")).find("(did you mean batch_size?)") != std::string::npos);
  CHECK(refusal(fixed(R"("eval-every": 4)")).find("(did you mean eval_every?)") != std::string::npos);
  for (const std::string key : {"out", "resume", "threads", "json", "quiet"})
    CHECK(refusal(fixed("\"" + key + "\": 1")) ==
          "grid.json, fixed: " + key + " is not allowed in a grid: the sweep sets it");
  CHECK(refusal(fixed(R"("steps": 2.5)")) == "grid.json, fixed: steps: a whole number is expected, not 2.5");
  CHECK(refusal(fixed(R"("steps": "100")")) == "grid.json, fixed: steps: a whole number is expected, not \"100\"");
  CHECK(refusal(fixed(R"("lr": "0.1")")) == "grid.json, fixed: lr: a number is expected, not \"0.1\"");
  CHECK(refusal(fixed(R"("lr": null)")) == "grid.json, fixed: lr: a number is expected, not null");
  CHECK(refusal(fixed(R"("read": 5)")) == "grid.json, fixed: read: a text is expected, not 5");
  CHECK(refusal(fixed(R"("single_query": 1)")) == "grid.json, fixed: single_query: true or false is expected, not 1");
  CHECK(refusal(R"({"name": "g", "vary": {"seed": [1, "2"]}})") ==
        "grid.json, vary: seed: a whole number is expected, not \"2\"");
  CHECK(refusal(R"({"name": "g", "vary": {"seed": 11}})").find("a list of values, or") != std::string::npos);
  CHECK(refusal(R"({"name": "g", "vary": {"seed": []}})").find("a list of values, or") != std::string::npos);
  CHECK(refusal(R"({"name": "g", "vary": {"seed": {"from": 3, "to": 2}}})").find("A <= B") != std::string::npos);
  CHECK(refusal(R"({"name": "g", "vary": {"seed": {"from": 1}}})").find("A <= B") != std::string::npos);
  for (const char* to : {"2305843009213693953", "9223372036854775807", "18446744073709551615"})
    CHECK(refusal(fmt::format(R"({{"name": "g", "vary": {{"seed": {{"from": 0, "to": {}}}}}}})", to)).find("2^61") !=
          std::string::npos);
  CHECK(refusal(fixed(R"("seed": 1, "seed": 2)")) == "grid.json: the key \"seed\" is there twice");
  CHECK(refusal(fixed(R"("setting": "")")).starts_with("grid.json, run 0: unknown setting ''"));
  CHECK(refusal(fixed(R"("instruction_set": "sse")")).starts_with("grid.json, run 0: --instruction-set: "));
  CHECK(refusal(R"({"name": "g", "vary": {"seed": {"from": -2305843009213693952, "to": 2305843009213693952}}})")
            .find("more than") != std::string::npos);
  CHECK(refusal(R"({"name": "g", "vary": {"seed": {"from": 0, "to": 99999999999}}})").find("more than") !=
        std::string::npos);
  CHECK(refusal(R"({"name": "g", "fixed": {"seed": 1}, "vary": {"seed": [2]}})") ==
        "grid.json: seed is both in fixed and in vary");
  CHECK(refusal(R"({"name": "g", "fix": {}})") ==
        "grid.json: unknown part 'fix' (did you mean fixed?); name, fixed and vary are allowed");
  CHECK(refusal(R"({"vary": {}})") == "grid.json: name must be a text that is not empty");
  CHECK(refusal(R"({"name": "g", "vary": [1]})") == "grid.json: vary must be an object of keys and lists of values");
  CHECK(refusal("[]") == "grid.json: holds no grid");
  CHECK(refusal("7") == "grid.json: a grid is a JSON object, or a list of them");
  CHECK(refusal("[7]") == "grid.json, grid 0: a grid is a JSON object with name, fixed and vary");
  CHECK(refusal("{").find("not well-formed JSON") != std::string::npos);
  // Errors of `train`.
  CHECK(refusal(R"({"name": "g", "vary": {"lr": [0.1, -1]}})") ==
        "grid.json, run 1: --lr: a number above 0 is allowed, not -1");
  CHECK(refusal(fixed(R"("heads": 5)")).find("run 0: heads: must divide the inner width 192") != std::string::npos);
  CHECK(refusal(fixed(R"("seed": -1)")).find("--seed") != std::string::npos);
  CHECK(refusal(fixed(R"("read": "orth")")).find("'orth'") != std::string::npos);
}

TEST_CASE("sweep folder: the same run has the same folder in every grid") {
  const TemporaryFolder folder;
  const SweepFolder sweep(folder.path());
  const GridRun plain = runs_of(fixed(R"("seed": 12)"))[0];
  const GridRun varied = runs_of(R"({"name": "h", "vary": {"seed": [12]}})")[0];
  REQUIRE(plain.name != varied.name);
  CHECK(sweep.folder_of(varied) == folder / "runs/" + varied.name);
  CHECK(sweep.make_folder(plain) == folder / "runs/" + plain.name);
  CHECK(sweep.folder_of(varied) == folder / "runs/" + plain.name);
  CHECK(sweep.make_folder(varied) == folder / "runs/" + plain.name);
}

TEST_CASE("sweep folder: indices in the format of a job array") {
  CHECK(index_ranges({}).empty());
  CHECK(index_ranges({4}) == "4");
  CHECK(index_ranges({0, 1, 2, 3, 7}) == "0-3,7");
  CHECK(index_ranges({1, 3, 4, 9, 10, 11}) == "1,3-4,9-11");
}
