// `orthoread report` as a command: its documents, and what it refuses.
#include "data/files.h"
#include "tests/report_runs.h"

#include <filesystem>
#include <sstream>

using namespace orthoread;
namespace fs = std::filesystem;

TEST_CASE("report: the documents") {
  const TemporaryFolder folder;
  write_synthetic_runs(folder / "runs");
  Json settings = settings_of("<b>&'\"ns7\\\"", 1);  // as a name it must not break any document
  write_run(folder / "runs/odd", settings, accuracies(1000));
  const ProgramResult result =
      run_shell(fmt::format("orthoread report '{}' --out '{}' --json", folder / "runs", folder / "out/report"));
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  CHECK(result.err.empty());
  CHECK(result.out == read_file(folder / "out/report/comparison.json"));

  const std::string page = read_file(folder / "out/report/index.html");
  for (const char* outside : {"http://", "https://", "src=", "@import", "url("}) CHECK_FALSE(contains(page, outside));
  CHECK_FALSE(contains(page, "<b>"));
  CHECK(page.find("solves") < page.find("<svg"));  // the answer first
  CHECK(page.find("<svg") < page.find("<table"));
  size_t pictures = 0, texts = 0;
  for (size_t at = page.find("<svg"); at != page.npos; at = page.find("<svg", at + 1)) {
    ++pictures;
    texts += contains(page.substr(at, page.find('>', at) - at), "aria-label=\"") ? 1 : 0;
  }
  CHECK(pictures == 9);  // the solved runs, and four of each setting
  CHECK(texts == pictures);
  CHECK_FALSE(contains(page, "gnuplot"));

  size_t files = 0;
  for (const auto& file : fs::directory_iterator(folder / "out/report/plots"))
    files += file.path().extension() == ".svg" ? 1 : 0;
  CHECK(files == pictures);
  const std::string markdown = read_file(folder / "out/report/report.md");
  CHECK(contains(markdown, "| v80_s512 | raw | 2 of 8 | 25 % [7, 59] |"));
  CHECK(contains(markdown, "(plots/solved.svg)"));
  CHECK(contains(markdown, "| \\<b>&"));
  CHECK_FALSE(contains(markdown, " <b>"));

  std::istringstream csv(read_file(folder / "out/report/results.csv"));
  std::string line;
  std::getline(csv, line);
  CHECK(line ==
        "folder,setting,read,steps,lr,seed,data_seed,outcome,accuracy,loss,escape_step,collapse_step,seconds,"
        "steps_run,version");
  size_t rows = 0;
  for (; std::getline(csv, line); ++rows) {
    if (contains(line, "80_raw_6"))
      CHECK(contains(line, ",v80_s512,raw,2000,0.003,6,6,solved,0.9,0.09999999999999998,1400,,100.0,2000,7.8.9"));
  }
  CHECK(rows == 33);

  // A report about other runs replaces these plots, and nothing else.
  write_text(folder / "out/report/plots/mine.svg", "");
  CHECK(fs::exists(folder / "out/report/plots/escape_v88_s512.svg"));
  const ProgramResult again =
      run_shell(fmt::format("orthoread report '{}' --out '{}'", folder / "runs/80_raw_1", folder / "out/report"));
  CHECK(again.exit_code == 0);
  CHECK(fs::exists(folder / "out/report/plots/escape_v80_s512.svg"));
  CHECK_FALSE(fs::exists(folder / "out/report/plots/escape_v88_s512.svg"));
  CHECK(fs::exists(folder / "out/report/plots/mine.svg"));
}

TEST_CASE("report: without gnuplot the page has no plots, and says so") {
  const TemporaryFolder folder;
  write_run(folder / "runs/a", settings_of("raw", 1), accuracies(1000));
  const ProgramResult result =
      run_shell(fmt::format("PATH=/nowhere; orthoread report '{}' --out '{}'", folder / "runs", folder / "out"));
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  const std::string missing = "The plots: gnuplot is not installed (Debian: apt-get install gnuplot-nox).";
  CHECK(contains(result.out, "missing: " + missing));
  for (const char* file : {"index.html", "report.md"})
    CHECK(contains(read_file(folder / fmt::format("out/{}", file)), missing));
  for (const char* file : {"results.csv", "comparison.json"}) CHECK(fs::exists(folder / fmt::format("out/{}", file)));
}

TEST_CASE("report: what is damaged or not allowed is one line, and nothing is written") {
  const TemporaryFolder folder;
  write_run(folder / "runs/a", settings_of("raw", 1), accuracies(1000));
  const auto refused = [&](const std::string& arguments) {
    const ProgramResult result = run_shell(fmt::format("orthoread report {} --out '{}'", arguments, folder / "out"));
    CHECK(result.exit_code == 2);
    CHECK(result.out.empty());
    CHECK(result.err.find('\n') == result.err.size() - 1);
    CHECK_FALSE(fs::exists(folder / "out"));
    return result.err.substr(0, result.err.size() - 1);
  };
  const std::string runs = "'" + folder / "runs" + "'";
  CHECK(refused("'" + folder / "none" + "'") ==
        "orthoread: report: " + (folder / "none") +
            " is not a folder; allowed are run folders, sweeps, and folders that contain them");
  fs::create_directories(folder / "empty");
  CHECK(refused("'" + folder / "empty" + "'") ==
        "orthoread: report: " + (folder / "empty") +
            " contains no run folder (with a config.json) and no sweep, at any depth");
  CHECK(refused(runs + " --until 0") == "orthoread: --until: a whole number from 1 is allowed, not 0");
  CHECK(refused(runs + " --compare rate")
            .starts_with("orthoread: --compare: the runs have no setting 'rate'; setting, "));
  CHECK(contains(refused(""), "folders is required"));

  const auto damaged = [&](const char* file, const std::string& text, const std::string& message) {
    const std::string path = folder / fmt::format("runs/a/{}", file), before = read_file(path);
    write_file_atomically(path, text);
    CHECK(refused(runs) == "orthoread: " + path + message);
    write_file_atomically(path, before);
  };
  damaged("config.json", "{\"settings\": {", ": damaged: not well-formed JSON");
  damaged("config.json", "{}", ": it must have an object \"settings\", as the config.json of a run");
  damaged("config.json", "{\"settings\": {\"read\": \"raw\", \"seed\": \"one\"}}",
          ": seed must be a whole number, it is \"one\"");
  damaged("result.json", "", ": damaged: not well-formed JSON");
  damaged("result.json", "{\"final_val_accuracy\": \"high\"}",
          ": final_val_accuracy must be a number or null, it is \"high\"");
  damaged("metrics.jsonl", "{\"step\": 1, \"val_accuracy\": 0.5}\n{\"step\": 2, \"va",
          ", line 2: damaged: it must be one JSON object");
  damaged("metrics.jsonl", "{\"step\": 1, \"val_accuracy\": }\n", ", line 1: damaged: not well-formed JSON");
  damaged("metrics.jsonl", "{\"val_accuracy\": 0.5}\n", ", line 1: step must be a whole number, it is missing");
  damaged("metrics.jsonl", "{\"step\": 2, \"val_accuracy\": 0.5}\n{\"step\": 2, \"val_accuracy\": 0.5}\n",
          ", line 2: damaged: steps must rise, step 2 follows step 2");
}
