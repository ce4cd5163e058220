// `orthoread report`: run folders in, figures and documents out.
#include "apps/report/analysis.h"

#include "data/files.h"
#include "tests/program.h"
#include "tests/support.h"

#include <cstdlib>
#include <filesystem>
#include <sstream>

using namespace orthoread;

namespace {

namespace fs = std::filesystem;

void write(const std::string& path, const std::string& text) {
  fs::create_directories(fs::path(path).parent_path());
  write_file_atomically(path, text);
}

/// What a test's run is, if nothing else is said.
Json settings_of(const std::string& read, int64_t seed) {
  return {{"vocab_size", 80}, {"seq_len", 512}, {"read", read},     {"steps", 2000},
          {"lr", 0.003},      {"seed", seed},   {"data_seed", seed}};
}

struct Accuracies {
  std::vector<std::pair<int64_t, double>> at;  // step and accuracy; the loss is made up
};

/// At step 1 and every 200 up to 2,000: on the plateau, solved from `escape` on, or collapsed from -`escape` on.
Accuracies accuracies(int64_t escape) {
  Accuracies result;
  for (int64_t step = 1; step <= 2000; step = step == 1 ? 200 : step + 200) {
    const bool changed = escape != 0 && step >= std::abs(escape);
    result.at.emplace_back(step, !changed ? 0.03 : escape > 0 ? 0.9 : 0.001);
  }
  return result;
}

void write_run(const std::string& folder, const Json& settings, const Accuracies& accuracies, bool done = true) {
  write(folder + "/config.json", Json{{"settings", settings}, {"environment", {{"version", "7.8.9"}}}}.dump());
  std::string metrics;
  for (const auto& [step, accuracy] : accuracies.at) {
    metrics += Json{{"step", step}, {"loss", 3.5}, {"grad_norm", 1.5}, {"lr", 0.003}}.dump() + "\n";
    metrics += Json{{"step", step}, {"val_loss", 1 - accuracy}, {"val_accuracy", accuracy}}.dump() + "\n";
  }
  write(folder + "/metrics.jsonl", metrics);
  if (!done) return;
  const double last = accuracies.at.back().second;
  write(folder + "/result.json", Json{{"final_val_accuracy", last},
                                      {"final_val_loss", 1 - last},
                                      {"outcome", last >= 0.8 ? "solved" : "flat"},
                                      {"seconds", 100},
                                      {"steps_run", accuracies.at.back().first}}
                                     .dump());
}

/// Two reads at two settings, eight seeds each: by seed the step of the escape, 0, or the negative one of the collapse.
void write_synthetic_runs(const std::string& folder) {
  const std::vector<std::tuple<int, std::string, std::vector<int64_t>>> cells = {
      {80, "raw", {1800, 0, 0, -1000, 0, 1400, 0, 0}},
      {80, "ns5", {1000, 1200, 0, 1400, 1000, 1800, 0, 1200}},
      {88, "raw", {0, 0, 0, 0, 0, 0, 2000, 0}},
      {88, "ns5", {1600, 0, 2000, 0, 1200, 0, 0, 1800}}};
  for (const auto& [vocabulary, read, escapes] : cells) {
    for (size_t i = 0; i < escapes.size(); ++i) {
      Json settings = settings_of(read, static_cast<int64_t>(i) + 1);
      settings["vocab_size"] = vocabulary;
      write_run(fmt::format("{}/{}_{}_{}", folder, vocabulary, read, i + 1), settings, accuracies(escapes[i]));
    }
  }
}

/// comparison.json of these folders.
Json compare(const std::vector<std::string>& folders, const std::string& key = "read",
             std::optional<int64_t> until = std::nullopt) {
  const RunCollection collection = read_runs(folders, until);
  return analyze(group_runs(collection.runs, key), collection);
}

/// The entry of a list that has these values.
Json entry(const Json& list, const Json& values) {
  for (const Json& candidate : list) {
    bool fits = true;
    for (const auto& [key, value] : values.items()) fits = fits && candidate.value(key, Json()) == value;
    if (fits) return candidate;
  }
  FAIL(fmt::format("no entry {} in {}", values.dump(), list.dump(1)));
  return {};
}

void check_number(const Json& value, double expected, double tolerance = 1e-9) {
  REQUIRE_MESSAGE(value.is_number(), value.dump());
  CHECK(value.get<double>() == doctest::Approx(expected).epsilon(tolerance));
}

/// To as many digits as the literature prints.
void check_printed(const Json& value, double printed, double half_a_digit) {
  REQUIRE_MESSAGE(value.is_number(), value.dump());
  CHECK(std::abs(value.get<double>() - printed) <= half_a_digit * (1 + 1e-9));
}

void check_ratio(const Json& entry, const std::vector<const char*>& keys, double ratio, double low, double high) {
  check_printed(entry[keys[0]], ratio, 0.005);
  check_printed(entry[keys[1]], low, 0.005);
  check_printed(entry[keys[2]], high, 0.005);
}

/// Run folders of the replication's published records (K. Aquino-Michaels, CC BY 4.0):
/// FOLDER/EXPERIMENT/READ_SETTING_SEED. False, with a line that says so, where they are not at hand.
bool write_published_runs(const std::string& folder) {
  const char* replication = std::getenv("ORTHOREAD_REPLICATION");
  if (replication == nullptr) {
    MESSAGE("skipped: ORTHOREAD_REPLICATION does not name the folder of the published runs");
    return false;
  }
  std::istringstream lines(read_file(std::string(replication) + "/published_runs.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json record = Json::parse(line);
    const std::string variant = record["variant"], read = variant == "baseline" ? "raw" : variant,
                      name = record["setting"];
    const RecallSetting setting = parse_setting(name);
    const std::string run = fmt::format("{}/{}/{}_{}_{}", folder, record["experiment"].get<std::string>(), read, name,
                                        record["seed"].dump());
    write(run + "/config.json", Json{{"settings",
                                      {{"vocab_size", setting.vocab_size},
                                       {"seq_len", setting.seq_len},
                                       {"read", read},
                                       {"steps", record["steps"]},
                                       {"batch_size", record["batch_size"]},
                                       {"lr", record["lr"]},
                                       {"schedule", record["schedule"]},
                                       {"seed", record["seed"]},
                                       {"data_seed", record["seed"]}}},
                                     {"environment", Json::object()}}
                                    .dump());
    write(run + "/result.json", Json{{"final_val_accuracy", record["final_val_accuracy"]},
                                     {"final_val_loss", record["final_val_loss"]},
                                     {"steps_run", record["steps"]}}
                                    .dump());
    std::string metrics;
    for (const Json& evaluation : record["evaluations"])
      metrics +=
          Json{{"step", evaluation[0]}, {"val_accuracy", evaluation[1]}, {"val_loss", evaluation[2]}}.dump() + "\n";
    write(run + "/metrics.jsonl", metrics);
  }
  return true;
}

/// How far down in an SVG of gnuplot's a text stands.
double height_of(const std::string& svg, const std::string& text) {
  const size_t at = svg.rfind("translate(", svg.find("<text>" + text + "</text>"));
  REQUIRE_MESSAGE(at < svg.size(), text);
  return std::stod(svg.substr(svg.find(',', at) + 1));
}

const std::vector<const char*> kRatio = {"ratio", "low", "high"};
const std::vector<const char*> kPairRatio = {"hazard_ratio", "hazard_low", "hazard_high"};

}  // namespace

TEST_CASE("report: figures of a synthetic set, against R") {
  const TemporaryFolder folder;
  write_synthetic_runs(folder.path());
  const Json comparison = compare({folder.path()});

  const Json cell = entry(comparison["cells"], {{"read", "ns5"}, {"setting", "v80_s512"}});
  CHECK(cell["runs"] == 8);
  CHECK(cell["solved"] == 6);
  CHECK(cell["flat"] == 2);
  CHECK(cell["mid"] == 0);
  CHECK(cell["collapsed"] == 0);
  CHECK(cell["diverged"] == 0);
  check_number(cell["solved_low"], 0.409275430310);  // prop.test(6, 8, correct = FALSE)
  check_number(cell["solved_high"], 0.928520787248);
  check_number(cell["mean_accuracy"], (6 * 0.9 + 2 * 0.03) / 8);
  check_number(cell["median_accuracy"], 0.9);
  check_number(cell["median_escape_step"], 1200);
  CHECK(cell["missing_seeds"].empty());

  const Json raw = entry(comparison["cells"], {{"read", "raw"}, {"setting", "v80_s512"}});
  CHECK(raw["collapsed"] == 1);
  CHECK(raw["flat"] == 5);
  // k <- survfit(Surv(time, event) ~ 1); cbind(k$time, k$n.risk, k$n.event, 1 - k$surv)
  const double curve[4][4] = {
      {1000, 8, 0, 0}, {1400, 7, 1, 0.142857142857}, {1800, 6, 1, 0.285714285714}, {2000, 5, 0, 0.285714285714}};
  REQUIRE(raw["escape_curve"].size() == 4);
  for (size_t i = 0; i < 4; ++i) {
    const Json& point = raw["escape_curve"][i];
    CHECK(point["step"] == curve[i][0]);
    CHECK(point["at_risk"] == curve[i][1]);
    CHECK(point["escaped"] == curve[i][2]);
    check_number(point["escaped_fraction"], curve[i][3]);
  }

  REQUIRE(comparison["pairs"].size() == 2);
  const Json pair = entry(comparison["pairs"], {{"a", "raw"}, {"b", "ns5"}, {"setting", "v80_s512"}});
  check_number(pair["fisher_p"], 0.131934731935);       // fisher.test(matrix(c(2, 6, 6, 2), 2))
  check_number(pair["logrank_chi2"], 4.1664509745771);  // survdiff(Surv(time, event) ~ read)
  check_number(pair["logrank_p"], 0.0412320826055);
  CHECK(pair["seed_pairs"] == 8);
  CHECK(pair["solved_a_only"] == 0);
  CHECK(pair["solved_b_only"] == 4);
  check_number(pair["mcnemar_p"], 0.125);  // binom.test(0, 4)
  // g <- glm(escaped ~ log(step / 1000) + read, binomial); exp(coef +- qnorm(.975) se): a row for every evaluation
  // after step 1, up to the escape, the collapse or the end
  check_number(pair["hazard_ratio"], 6.01494308840, 1e-8);
  check_number(pair["hazard_low"], 1.07586157707, 1e-6);
  check_number(pair["hazard_high"], 33.62843429650, 1e-6);
  const Json other = entry(comparison["pairs"], {{"setting", "v88_s512"}});
  check_number(other["fisher_p"], 0.282051282051);
  check_number(other["logrank_chi2"], 2.8607799216371);
  check_number(other["hazard_ratio"], 6.262752751703, 1e-8);

  REQUIRE(comparison["hazard"].size() == 1);
  const Json& hazard = comparison["hazard"][0];  // glm(escaped ~ log(step / 1000) + v + read, binomial)
  CHECK(hazard["read"] == "ns5");
  check_number(hazard["ratio"], 6.24835786114, 1e-8);
  check_number(hazard["low"], 1.56879071022, 1e-6);
  check_number(hazard["high"], 24.88666952609, 1e-6);
  CHECK(contains(hazard["warnings"].dump(), "13 escapes for 4 coefficients"));

  const Json pooled = entry(comparison["pooled"], {{"read", "ns5"}});
  CHECK(pooled["runs"] == 16);
  CHECK(pooled["solved"] == 10);
  check_number(pooled["fisher_p"], 0.0290080766069);  // fisher.test(matrix(c(3, 13, 10, 6), 2))
  CHECK(entry(comparison["pooled"], {{"read", "raw"}})["solved"] == 3);
}

TEST_CASE("report: what the replication published") {
  const TemporaryFolder folder;
  if (!write_published_runs(folder.path())) return;
  const auto at = [&](const char* experiment) { return folder / experiment; };

  const Json probe = compare({at("probe2k_s512")});
  CHECK(entry(probe["cells"], {{"read", "raw"}})["solved"] == 3);
  CHECK(entry(probe["cells"], {{"read", "ns5"}})["solved"] == 9);
  CHECK(entry(probe["cells"], {{"read", "ns5"}})["runs"] == 16);
  check_printed(probe["pairs"][0]["logrank_p"], 0.020, 0.0005);
  check_printed(probe["pairs"][0]["logrank_chi2"], 5.391, 0.0005);
  check_printed(probe["pairs"][0]["logrank_p"], 0.0202, 0.00005);
  check_ratio(probe["hazard"][0], kRatio, 4.74, 1.22, 18.39);

  const Json plan = compare({at("planA_results")});
  CHECK(entry(plan["pooled"], {{"read", "raw"}})["solved"] == 7);
  CHECK(entry(plan["pooled"], {{"read", "ns5"}})["solved"] == 19);
  CHECK(entry(plan["pooled"], {{"read", "ns5"}})["runs"] == 32);
  check_printed(entry(plan["pooled"], {{"read", "ns5"}})["fisher_p"], 0.005, 0.0005);
  CHECK(plan["pairs"][0]["logrank_p"].is_null());  // there are no evaluations
  CHECK(contains(plan["notes"].dump(), "96 runs have no evaluations"));

  const Json constant = compare({at("constlr2k_s512"), at("ns5constlr2k_s512")});
  check_printed(constant["pairs"][0]["logrank_chi2"], 5.712, 0.0005);
  check_printed(constant["pairs"][0]["logrank_p"], 0.0169, 0.00005);
  check_ratio(constant["hazard"][0], kRatio, 3.58, 1.33, 9.65);

  const Json both = compare({at("constlr2k_s512"), at("ns5constlr2k_s512"), at("probe2k_s512")});
  check_ratio(both["hazard"][0], kRatio, 3.89, 1.76, 8.56);
  check_ratio(entry(both["pairs"], {{"schedule", "cosine"}}), kPairRatio, 4.74, 1.22, 18.39);
  check_ratio(entry(both["pairs"], {{"schedule", "constant"}}), kPairRatio, 3.58, 1.33, 9.65);

  const Json schedules = compare({at("constlr2k_s512"), at("ns5constlr2k_s512"), at("probe2k_s512")}, "schedule");
  const Json raw = entry(schedules["pairs"], {{"read", "raw"}});
  CHECK(raw["a"] == "constant");
  CHECK(raw["a_solved"] == 8);
  CHECK(raw["b_solved"] == 3);

  // The published comparison of two lengths of the schedule, as of step 2,000.
  fs::create_directories(folder / "raw");
  for (int seed = 11; seed <= 26; ++seed) {
    const std::string name = fmt::format("raw_v80_s512_{}", seed);
    fs::copy(at("probe2k_s512") + "/" + name, folder / "raw/" + name);
  }
  const Json lengths = compare({at("budget4k_baseline_s512"), folder / "raw"}, "steps", 2000);
  CHECK(lengths["pairs"][0]["seed_pairs"] == 16);
  check_printed(lengths["pairs"][0]["mcnemar_p"], 0.0078, 0.00005);

  CHECK(contains(thrown([&] {
                   compare({at("budget4k_baseline_s512"), at("probe4k_baseline_s512")});
                 }),
                 "hold the same run with different results"));
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
  write(folder / "runs/80_ns5_2/failure.json", "{}");
  CHECK(compare({folder.path()})["failed"] == 1);
  CHECK(cell["missing_seeds"] == Json({2, 3, 4}));
  CHECK(entry(comparison["pairs"], {{"setting", "v80_s512"}})["seed_pairs"] == 5);
  CHECK(contains(entry(comparison["pooled"], {{"read", "ns5"}})["warnings"].dump(), "not as many runs"));

  const ProgramResult result =
      run_shell(fmt::format("orthoread report '{}' --out '{}'", folder / "runs", folder / "out"));
  CHECK(result.exit_code == 0);
  CHECK(contains(result.out, "missing: 4 of 32 runs are not done (no result.json); 1 of them failed."));
  CHECK(contains(result.out, "missing: v80_s512, ns5 lacks seeds that other cells have: 2 to 4."));
  CHECK(contains(read_file(folder / "out/index.html"), "v80_s512, ns5 lacks seeds that other cells have: 2 to 4."));
}

TEST_CASE("report: no run done, one run, a single read") {
  const TemporaryFolder folder;
  write_run(folder / "runs/a", settings_of("ns5", 1), accuracies(0), false);
  const std::string command = fmt::format("orthoread report '{}' --out '{}'", folder / "runs", folder / "out");
  ProgramResult result = run_shell(command);
  CHECK(result.exit_code == 0);
  CHECK(contains(result.out, "No run is done yet."));
  CHECK(contains(result.out, "missing: 1 of 1 runs are not done"));
  CHECK(Json::parse(read_file(folder / "out/comparison.json"))["cells"].empty());

  write_run(folder / "runs/a", settings_of("ns5", 1), accuracies(1200));
  result = run_shell(command);
  CHECK(result.exit_code == 0);
  CHECK(contains(result.out, "ns5 solves 1 of 1 runs (100 %, 95 % interval 21 to 100 %)."));
  CHECK(contains(result.out, "There is one read only, so nothing is compared."));
  const Json one = Json::parse(read_file(folder / "out/comparison.json"));
  CHECK(one["cells"].size() == 1);
  CHECK(one["cells"][0]["read"] == "ns5");
  CHECK(one["cells"][0]["setting"] == "v80_s512");
  CHECK(contains(one["cells"][0]["warnings"].dump(), "1 runs: the interval is wide"));
  CHECK(one["pairs"].empty());
  CHECK(one["hazard"].empty());

  write_run(folder / "runs/b", settings_of("ns5", 2), accuracies(0));
  CHECK(compare({folder / "runs/a", folder / "runs/b"})["cells"][0]["runs"] == 2);

  write_run(folder / "runs/c", settings_of("raw", 2), accuracies(0));
  CHECK(run_shell(command).exit_code == 0);
  const std::string svg = read_file(folder / "out/plots/solved.svg");
  CHECK(height_of(svg, "ns5") - height_of(svg, "raw") >= 14);  // the size of the letters
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
  CHECK(contains(comparison["notes"].dump(), "1 folders hold a run that is there already"));

  const std::string result_path = folder / "b/again/result.json";
  Json other = Json::parse(read_file(result_path));
  other["final_val_accuracy"] = 0.91;  // with the same evaluations
  write(result_path, other.dump());
  CHECK(contains(thrown([&] { compare({folder.path()}); }), "hold the same run with different results"));
  write_run(folder / "b/again", settings_of("ns5", 1), accuracies(1400));
  const ProgramResult result =
      run_shell(fmt::format("orthoread report '{}' --out '{}'", folder.path(), folder / "out"));
  CHECK(result.exit_code == 2);
  CHECK(result.err ==
        fmt::format("orthoread: {} and {} hold the same run with different results; leave one of them out\n",
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
  CHECK(entry(comparison["cells"], {{"init", "/weights8/seed{seed}.safetensors"}})["runs"] == 1);
  CHECK(comparison["cells"].size() == 4);

  settings = settings_of("ns5", 3);
  settings["data_seed"] = 4;
  run("other_data", settings);
  CHECK(compare({folder.path()})["varying"].dump().find("data_seed") != std::string::npos);
  CHECK(thrown([&] {
          compare({folder.path()}, "rate");
        }).starts_with("--compare: the runs have no setting 'rate'; setting, read, "));
}

TEST_CASE("report: a cut-off in steps") {
  const TemporaryFolder folder;
  write_run(folder / "late", settings_of("raw", 1), accuracies(1800));
  write_run(folder / "early", settings_of("raw", 2), accuracies(600));
  write_run(folder / "collapsed", settings_of("raw", 3), accuracies(-800));
  const Json all = compare({folder.path()})["cells"][0];
  CHECK(all["solved"] == 2);
  CHECK(all["collapsed"] == 1);
  check_number(all["median_escape_step"], 1200);
  const Json cut = compare({folder.path()}, "read", 700)["cells"][0];
  CHECK(cut["solved"] == 1);
  CHECK(cut["flat"] == 2);
  CHECK(cut["collapsed"] == 0);
  check_number(cut["median_escape_step"], 600);
  check_number(cut["median_seconds"], 35);
  CHECK(cut["escape_curve"].back()["step"] == 600);

  write_run(folder / "none", settings_of("raw", 4), {{{2000, 0.9}}});
  const Json without = compare({folder.path()}, "read", 700);
  CHECK(without["cells"][0]["runs"] == 3);
  CHECK(contains(without["notes"].dump(), "1 runs are left out: they have no evaluation until step 700"));
}

TEST_CASE("report: a run has collapsed from where its accuracy stays below") {
  const TemporaryFolder folder;
  write_run(folder / "back", settings_of("raw", 1), {{{1, 0.03}, {200, 0.001}, {400, 0.03}, {600, 0.03}}});
  write_run(folder / "twice", settings_of("raw", 2),
            {{{1, 0.03}, {200, 0.001}, {400, 0.03}, {600, 0.001}, {800, 0.001}}});
  const Json cell = compare({folder.path()})["cells"][0];
  CHECK(cell["collapsed"] == 1);
  CHECK(cell["flat"] == 1);
  REQUIRE(cell["escape_curve"].size() == 1);  // both were last seen at step 600
  CHECK(cell["escape_curve"][0]["step"] == 600);
  CHECK(cell["escape_curve"][0]["censored"] == 2);
}

TEST_CASE("report: accuracies that are no numbers") {
  const TemporaryFolder folder;
  write_run(folder / "a", settings_of("raw", 1), accuracies(1000));
  write_run(folder / "b", settings_of("raw", 2), {{{1, 0.03}, {200, 0.03}, {400, kNaN}}});  // as null
  write_run(folder / "c", settings_of("raw", 3), {{{1, 0.03}, {200, 0.03}}});
  write(folder / "c/metrics.jsonl",
        "{\"step\": 200, \"val_loss\": Infinity, \"val_accuracy\": NaN}\n");  // as Python has it
  write(folder / "c/result.json", "{\"note\": \"NaN\\\\\", \"final_val_accuracy\": NaN, \"final_val_loss\": NaN}");
  const Json cell = compare({folder.path()})["cells"][0];
  CHECK(cell["runs"] == 3);
  CHECK(cell["diverged"] == 2);
  CHECK(cell["solved"] == 1);
  check_number(cell["mean_accuracy"], 0.9);
  CHECK(contains(cell["warnings"].dump(), "2 runs have no accuracy that is a number"));
}

TEST_CASE("report: no escape, or what cannot be told apart") {
  const TemporaryFolder folder;
  const auto run = [&](const std::string& read, int64_t seed, int64_t escape, const Json& schedule) {
    Json settings = settings_of(read, seed);
    settings["schedule"] = schedule;
    write_run(folder / fmt::format("{}_{}_{}", read, seed, schedule.get<std::string>()), settings, accuracies(escape));
  };
  for (int64_t seed = 1; seed <= 4; ++seed) {
    run("raw", seed, seed % 2 == 0 ? 800 + 200 * seed : 0, "cosine");
    run("ns1", seed, 0, "cosine");
    run("ns5", seed, seed % 2 == 1 ? 800 + 200 * seed : 0, "constant");
  }
  const Json comparison = compare({folder.path()});
  const Json never = entry(comparison["hazard"], {{"read", "ns1"}});
  CHECK(never["ratio"] == 0);
  CHECK(never["low"].is_null());
  CHECK(contains(never["warnings"].dump(), "ns1 never escapes"));
  const Json aliased = entry(comparison["hazard"], {{"read", "ns5"}});
  CHECK(aliased["ratio"].is_null());
  CHECK(contains(aliased["warnings"].dump(), "ns5 goes with another setting"));
  const Json pair = entry(comparison["pairs"], {{"a", "raw"}, {"b", "ns1"}});
  check_number(pair["hazard_ratio"], 0);
  CHECK(contains(pair["warnings"].dump(), "Fisher: with 4 and 4 runs"));
  CHECK(contains(pair["warnings"].dump(), "McNemar: 2 of 4 seeds differ"));
}

TEST_CASE("report: the selected learning rate") {
  const TemporaryFolder folder;
  for (const auto& [lr, escape] : {std::pair(0.001, 0), std::pair(0.003, 1000), std::pair(0.01, -400)}) {
    for (const char* read : {"raw", "ns5"}) {
      Json settings = settings_of(read, 1);
      settings["lr"] = lr;
      write_run(folder / fmt::format("{}_{}", read, lr), settings, accuracies(escape));
    }
  }
  const Json rates = compare({folder.path()})["learning_rates"];
  CHECK(rates.size() == 6);
  for (const Json& rate : rates) CHECK(rate["selected"] == (rate["lr"] == 0.003));
}

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
  write(folder / "out/report/plots/mine.svg", "");
  CHECK(fs::exists(folder / "out/report/plots/escape_v88_s512.svg"));
  const ProgramResult again =
      run_shell(fmt::format("orthoread report '{}' --out '{}'", folder / "runs/80_raw_1", folder / "out/report"));
  CHECK(again.exit_code == 0);
  CHECK(fs::exists(folder / "out/report/plots/escape_v80_s512.svg"));
  CHECK_FALSE(fs::exists(folder / "out/report/plots/escape_v88_s512.svg"));
  CHECK(fs::exists(folder / "out/report/plots/mine.svg"));
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
  CHECK(refused("'" + folder / "none" + "'") == "orthoread: report: " + (folder / "none") + " is not a folder");
  fs::create_directories(folder / "empty");
  CHECK(refused("'" + folder / "empty" + "'") ==
        "orthoread: report: " + (folder / "empty") + " holds no run folder (no config.json at any depth)");
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
  damaged("config.json", "{}", ": no \"settings\" in it; not the config.json of a run");
  damaged("config.json", "{\"settings\": {\"read\": \"raw\", \"seed\": \"one\"}}",
          ": seed should be a whole number, it is \"one\"");
  damaged("result.json", "", ": damaged: not well-formed JSON");
  damaged("result.json", "{\"final_val_accuracy\": \"high\"}",
          ": final_val_accuracy should be a number, it is \"high\"");
  damaged("metrics.jsonl", "{\"step\": 1, \"val_accuracy\": 0.5}\n{\"step\": 2, \"va",
          ", line 2: damaged: not a JSON object");
  damaged("metrics.jsonl", "{\"step\": 1, \"val_accuracy\": }\n", ", line 1: damaged: not well-formed JSON");
  damaged("metrics.jsonl", "{\"val_accuracy\": 0.5}\n", ", line 1: step should be a whole number, it is missing");
  damaged("metrics.jsonl", "{\"step\": 2, \"val_accuracy\": 0.5}\n{\"step\": 2, \"val_accuracy\": 0.5}\n",
          ", line 2: damaged: step 2 after step 2");
}
