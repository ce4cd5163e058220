// Which run folders `orthoread report` takes, and which of them are a cell: unfinished ones, one of each, the same run
// twice, settings of older versions.
#include "data/files.h"
#include "tests/report_runs.h"

#include <filesystem>
#include <set>

using namespace orthoread;

namespace {

namespace fs = std::filesystem;

struct Place {
  double right, down;
};

/// Where in an SVG of gnuplot's a text begins.
Place place_of(const std::string& svg, const std::string& text) {
  const size_t found = svg.find("<text>" + text + "</text>");
  REQUIRE_MESSAGE(found < svg.size(), text);
  const std::string before = "translate(";
  const size_t last = svg.rfind(before, found), at = last + before.size();
  REQUIRE(last < found);
  return {std::stod(svg.substr(at)), std::stod(svg.substr(svg.find(',', at) + 1))};
}

}  // namespace

TEST_CASE("report: what follows from the seed does not part a cell, wherever it is written") {
  // The number of cells of runs with seeds 11 to 14 of raw and ns5, and what varies between these.
  const auto cells = [](const std::function<void(Json&)>& change) {
    const TemporaryFolder folder;
    for (const std::string read : {"raw", "ns5"}) {
      for (int64_t seed = 11; seed <= 14; ++seed) {
        Json settings = settings_of(read, seed);
        change(settings);
        write_run(folder / fmt::format("{}{}", read, seed), settings, accuracies(0));
      }
    }
    const Json comparison = compare({folder.path()});
    return fmt::format("{} {}", comparison["cells"].size(), comparison["varying"].dump());
  };
  const auto init = [](Json& settings, const std::string& folder, const std::string& weights = "") {
    const std::string seed = settings["seed"].dump();
    settings["init"] = folder + "/seed" + seed + ".safetensors";
    settings["init_sha256"] = "ab" + weights + seed;
  };
  CHECK(cells([&](Json& run) { init(run, "/disk12/weights"); }) == "2 []");
  // One folder of weights on two machines; and a table's runs, which name only the file.
  CHECK(cells([&](Json& run) { init(run, run["read"] == "raw" ? "/home/a" : "/scratch/b"); }) == "2 []");
  CHECK(cells([&](Json& run) { init(run, run["seed"] < 13 ? "" : "/home/a"); }) == "2 []");
  // Other weights under the same names are another way to start.
  CHECK(cells([&](Json& run) { init(run, run["read"] == "raw" ? "/a" : "/b", run["read"]); }) == "2 [\"init\"]");
  CHECK(cells([](Json& run) { run["init"] = run["seed"] < 13 ? "/a/same" : "/b/same"; }) == "4 [\"init\"]");
  // The same data for all seeds, which one of them has for its seed.
  CHECK(cells([](Json& run) { run["data_seed"] = 12; }) == "2 []");
  CHECK(cells([](Json& run) { run["data_seed"] = run["read"] == "raw" ? Json(12) : run["seed"]; }) ==
        "2 [\"data_seed\"]");
}

TEST_CASE("report: runs with the least that a config.json says") {
  const TemporaryFolder folder;
  for (const std::string read : {"raw", "ns5"}) write_run(folder / read, {{"read", read}, {"seed", 1}}, accuracies(0));
  const ProgramResult result =
      run_shell(fmt::format("orthoread report '{}' --out '{}'", folder.path(), folder / "out"));
  CHECK_MESSAGE(result.exit_code == 0, result.err);
  check_usage_error(fmt::format("orthoread report '{}' --out ''", folder.path()),
                    "--out: a folder is expected, not ''");
}

TEST_CASE("report: the page of 600 runs is below 2 MB" * doctest::test_suite("long")) {
  const TemporaryFolder folder;
  for (const std::string read : {"raw", "ns0", "ns1", "ns3", "ns5"}) {
    for (int64_t i = 0; i < 120; ++i) {
      Json settings = settings_of(read, i % 24);
      settings["lr"] = 0.001 * static_cast<double>(1 + i / 24);
      write_run(folder / fmt::format("runs/{}{}", read, i), settings, accuracies(i % 3 == 0 ? 0 : 1000 + i / 24 * 200));
    }
  }
  REQUIRE(run_shell(fmt::format("orthoread report '{}' --out '{}'", folder / "runs", folder / "out")).exit_code == 0);
  CHECK(read_file(folder / "out/index.html").size() < 2'000'000);
}

TEST_CASE("report: half of a sweep") {
  const TemporaryFolder folder;
  write_synthetic_runs(folder / "runs");
  for (const char* name : {"80_ns5_2", "80_ns5_3", "80_ns5_4", "88_raw_7"})
    fs::remove(folder / fmt::format("runs/{}/result.json", name));
  const Json comparison = compare({folder.path()});
  CHECK(comparison["runs"] == 28);
  REQUIRE(comparison["unfinished"].size() == 4);
  CHECK(comparison["unfinished"][0] == folder / "runs/80_ns5_2");
  const Json cell = entry(comparison["cells"], {{"read", "ns5"}, {"setting", "v80_s512"}});
  CHECK(cell["runs"] == 5);
  CHECK(comparison["failed"] == 0);
  write_text(folder / "runs/80_ns5_2/failure.json", "{}");
  CHECK(compare({folder.path()})["failed"] == 1);
  CHECK(cell["missing_seeds"] == Json({2, 3, 4}));
  CHECK(entry(comparison["pairs"], {{"setting", "v80_s512"}})["seed_pairs"] == 5);
  const Json pooled = entry(comparison["pooled"], {{"read", "ns5"}});
  CHECK(contains(pooled["warnings"].dump(), "different numbers of runs in some settings"));
  CHECK(pooled["matched_pairs"] == 12);  // of 16 seeds

  const ProgramResult result =
      run_shell(fmt::format("orthoread report '{}' --out '{}'", folder / "runs", folder / "out"));
  CHECK(result.exit_code == 0);
  CHECK(contains(result.out, "missing: 4 of 32 runs are not finished (no result.json); 1 of them failed."));
  CHECK(contains(result.out, "missing: v80_s512, ns5 lacks seeds that other cells have: 2 to 4."));
  CHECK(contains(read_file(folder / "out/index.html"), "v80_s512, ns5 lacks seeds that other cells have: 2 to 4."));
}

TEST_CASE("report: where the reads have other shares of their runs in some settings, matched runs are compared") {
  // Equal in each setting: all are solved at one learning rate, none at the other. ns5 lacks most runs at the latter.
  const TemporaryFolder folder;
  for (const std::string read : {"raw", "ns5"}) {
    for (int64_t seed = 1; seed <= 10; ++seed) {
      Json settings = settings_of(read, seed);
      settings["lr"] = 0.003;
      write_run(folder / fmt::format("runs/good_{}_{}", read, seed), settings, accuracies(1000));
      settings["lr"] = 0.1;
      if (read == "raw" || seed == 1)
        write_run(folder / fmt::format("runs/bad_{}_{}", read, seed), settings, accuracies(0));
    }
  }
  const Json comparison = compare({folder.path()});
  const Json pooled = entry(comparison["pooled"], {{"read", "ns5"}});
  CHECK(pooled["fisher_p"] < 0.05);
  CHECK(pooled["matched_pairs"] == 11);
  CHECK(pooled["matched_solved"] == 10);
  CHECK(pooled["matched_solved_of_other"] == 10);
  CHECK(pooled["matched_mcnemar_p"] == doctest::Approx(1));
  const std::string answer = comparison["answer"].dump();
  CHECK_MESSAGE(contains(answer,
                         "ns5 against raw: in the pairs of runs with equal settings and seed, 11, ns5 solves 10 "
                         "and raw 10; the difference in solved runs is not significant at the 5 % level "
                         "(McNemar's test, p 1)"),
                answer);
}

TEST_CASE("report: no run done, one run, a single read") {
  const TemporaryFolder folder;
  write_run(folder / "runs/a", settings_of("ns5", 1), accuracies(0), false);
  const std::string command = fmt::format("orthoread report '{}' --out '{}'", folder / "runs", folder / "out");
  ProgramResult result = run_shell(command);
  CHECK(result.exit_code == 0);
  CHECK(contains(result.out, "No run is finished yet."));
  CHECK(contains(result.out, "missing: 1 of 1 runs are not finished"));
  CHECK(Json::parse(read_file(folder / "out/comparison.json"))["cells"].empty());

  write_run(folder / "runs/a", settings_of("ns5", 1), accuracies(1200));
  result = run_shell(command);
  CHECK(result.exit_code == 0);
  CHECK(contains(result.out, "ns5 solves 1 of 1 runs (100 %, 95 % interval 21 to 100 %)."));
  CHECK(contains(result.out, "All runs have the same read, so nothing is compared."));
  const Json one = Json::parse(read_file(folder / "out/comparison.json"));
  CHECK(one["cells"].size() == 1);
  CHECK(one["cells"][0]["read"] == "ns5");
  CHECK(one["cells"][0]["setting"] == "v80_s512");
  CHECK(contains(one["cells"][0]["warnings"].dump(), "fewer than 8 runs (1); the interval is wide"));
  CHECK(one["pairs"].empty());
  CHECK(one["hazard"].empty());

  write_run(folder / "runs/b", settings_of("ns5", 2), accuracies(0));
  CHECK(compare({folder / "runs/a", folder / "runs/b"})["cells"][0]["runs"] == 2);

  write_run(folder / "runs/c", settings_of("raw", 2), accuracies(0));
  CHECK(run_shell(command).exit_code == 0);
  const std::string svg = read_file(folder / "out/plots/solved.svg");
  CHECK(place_of(svg, "ns5").down - place_of(svg, "raw").down >= 14);  // the size of the letters
}

TEST_CASE("report: the key of a plot has as many lines as it needs") {
  const TemporaryFolder folder;
  const auto check_key = [&](const std::string& setting, const std::vector<Json>& levels) {
    const std::string runs = folder / setting, out = folder / (setting + "_report");
    for (const Json& level : levels) {
      Json settings = settings_of("ns5", 1);
      settings[setting] = level;
      write_run(runs + "/" + text_of(level), settings, accuracies(level == levels.back() ? 0 : 1000));
    }
    REQUIRE(run_shell(fmt::format("orthoread report '{}' --compare {} --out '{}'", runs, setting, out)).exit_code == 0);
    for (const char* plot : {"escape", "escape_time", "accuracy", "loss"}) {
      const std::string svg = read_file(fmt::format("{}/plots/{}_v80_s512.svg", out, plot));
      std::set<double> rows;
      for (const Json& level : levels) {
        const std::string text = text_of(level);
        const Place place = place_of(svg, text);
        const double end = place.right + 9 * static_cast<double>(text.size());
        CHECK_MESSAGE(end <= 480, fmt::format("{}: {} ends at {}", plot, text, end));
        rows.insert(place.down);
      }
      CHECK(rows.size() == 2);
    }
  };
  check_key("read", {"raw", "ns0", "ns1", "ns3", "ns5"});
  check_key("lr", {0.000123456, 0.000234567, 0.000345678});
}

TEST_CASE("report: ten levels have ten kinds of line") {
  const TemporaryFolder folder;
  for (int64_t k = 0; k < 10; ++k) {
    const std::string read = fmt::format("ns{}", k);
    write_run(folder / ("runs/" + read), settings_of(read, 1), accuracies(1000));
  }
  REQUIRE(run_shell(fmt::format("orthoread report '{}' --out '{}'", folder / "runs", folder / "out")).exit_code == 0);
  const std::string svg = read_file(folder / "out/plots/escape_v80_s512.svg"), begin = "<path stroke='rgb(";
  std::set<std::string> kinds;
  for (size_t at = svg.find(begin); at < svg.size(); at = svg.find(begin, at + 1))
    kinds.insert(svg.substr(at, svg.find("d='", at) - at));  // colour and dashes
  std::erase_if(kinds, [](const std::string& kind) { return contains(kind, "gridline"); });
  CHECK(kinds.size() == 10);
}

TEST_CASE("report: a run that is there twice") {
  const TemporaryFolder folder;
  write_run(folder / "a", settings_of("ns5", 1), accuracies(1200));
  write_run(folder / "b/again", settings_of("ns5", 1), accuracies(1200));
  write_run(folder / "c", settings_of("ns5", 1), accuracies(0), false);  // of which one is done
  const Json comparison = compare({folder.path(), folder / "a"});
  CHECK(comparison["runs"] == 1);
  CHECK(comparison["cells"][0]["runs"] == 1);
  CHECK(comparison["unfinished"].empty());
  CHECK(contains(comparison["notes"].dump(), "Folders that are copies of another run: 1. Each run counts once."));

  const std::string result_path = folder / "b/again/result.json";
  Json other = Json::parse(read_file(result_path));
  other["final_val_accuracy"] = 0.91;  // with the same evaluations
  write_text(result_path, other.dump());
  CHECK(contains(thrown([&] { compare({folder.path()}); }), "are the same run with different results"));
  write_run(folder / "b/again", settings_of("ns5", 1), accuracies(1400));
  const ProgramResult result =
      run_shell(fmt::format("orthoread report '{}' --out '{}'", folder.path(), folder / "out"));
  CHECK(result.exit_code == 2);
  CHECK(result.err ==
        fmt::format("orthoread: report: {} and {} are the same run with different results; give one of them alone\n",
                    folder / "a", folder / "b/again"));
  CHECK_FALSE(fs::exists(folder / "out"));
}

TEST_CASE("report: what makes a cell") {
  const TemporaryFolder folder;
  const auto run = [&](const char* name, const Json& settings) { write_run(folder / name, settings, accuracies(0)); };
  Json settings = settings_of("ns10", 1);
  run("older", settings);  // without memory and init, as folders were before there was a choice
  settings["seed"] = 2;
  settings["data_seed"] = 2;
  settings["memory"] = "fused";
  settings["init"] = "";
  run("newer", settings);
  settings = settings_of("ns5", 3);
  settings.erase("data_seed");
  run("foreign", settings);
  Json comparison = compare({folder.path()});
  CHECK(comparison["varying"].empty());
  REQUIRE(comparison["cells"].size() == 2);
  CHECK(comparison["cells"][0]["read"] == "ns5");  // before ns10
  CHECK(comparison["cells"][1]["runs"] == 2);

  // A checkpoint to start from for each seed is one way to start.
  settings = settings_of("ns5", 12);
  settings["init"] = "/weights8/seed12.safetensors";
  settings["init_sha256"] = "12ab";
  run("from12", settings);
  settings["seed"] = settings["data_seed"] = 8;
  settings["init"] = "/weights8/seed8.safetensors";
  settings["init_sha256"] = "34cd";
  run("from8", settings);
  comparison = compare({folder.path()});
  CHECK(comparison["varying"] == Json({"init"}));
  CHECK(entry(comparison["cells"], {{"init", "/weights8/seed{seed}.safetensors"}})["runs"] == 2);
  CHECK(comparison["cells"].size() == 3);

  settings = settings_of("ns5", 3);
  settings["data_seed"] = 4;
  run("other_data", settings);
  CHECK(compare({folder.path()})["varying"].dump().find("data_seed") != std::string::npos);
  CHECK(thrown([&] {
          compare({folder.path()}, "rate");
        }).starts_with("--compare: the runs have no setting 'rate'; setting, read, "));
}
