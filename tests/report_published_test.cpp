// `orthoread report` on the replication's published runs: the figures that its document prints.
#include "data/files.h"
#include "tests/report_runs.h"

#include <filesystem>
#include <sstream>

using namespace orthoread;

namespace {

namespace fs = std::filesystem;

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
/// FOLDER/EXPERIMENT/READ_SETTING_SEED. False where they are not at hand.
bool write_published_runs(const std::string& folder) {
  const std::optional<std::string> replication = replication_folder();
  if (!replication) return false;
  std::istringstream lines(read_file(*replication + "/published_runs.jsonl"));
  for (std::string line; std::getline(lines, line);) {
    const Json record = Json::parse(line);
    const std::string variant = record["variant"], read = variant == "baseline" ? "raw" : variant,
                      name = record["setting"];
    const RecallSetting setting = parse_setting(name);
    const std::string run = fmt::format("{}/{}/{}_{}_{}", folder, record["experiment"].get<std::string>(), read, name,
                                        record["seed"].dump());
    write_text(run + "/config.json", Json{{"settings",
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
    write_text(run + "/result.json", Json{{"final_val_accuracy", record["final_val_accuracy"]},
                                          {"final_val_loss", record["final_val_loss"]},
                                          {"steps_run", record["steps"]}}
                                         .dump());
    std::string metrics;
    for (const Json& evaluation : record["evaluations"])
      metrics +=
          Json{{"step", evaluation[0]}, {"val_accuracy", evaluation[1]}, {"val_loss", evaluation[2]}}.dump() + "\n";
    write_text(run + "/metrics.jsonl", metrics);
  }
  return true;
}

const std::vector<const char*> kRatio = {"ratio", "low", "high"};
const std::vector<const char*> kPairRatio = {"hazard_ratio", "hazard_low", "hazard_high"};

}  // namespace

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
  CHECK(contains(plan["notes"].dump(), "Runs without evaluations in metrics.jsonl: 96."));

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
                 "are the same run with different results"));
}
