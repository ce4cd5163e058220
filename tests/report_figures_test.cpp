// The figures of `orthoread report`: counts, intervals, tests and hazard ratios, against R where R has them.
#include "tests/report_runs.h"

using namespace orthoread;

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
  REQUIRE(cell["median_accuracy_curve"].size() == 11);
  for (const auto& [step, accuracy] : {std::pair(1000, 0.03), {1200, 0.465}, {1400, 0.9}}) {  // 2, 4 and 5 escaped
    check_number(entry(cell["median_accuracy_curve"], {{"step", step}})["accuracy"], accuracy);
    check_number(entry(cell["median_loss_curve"], {{"step", step}})["loss"], 1 - accuracy);
  }

  const Json raw = entry(comparison["cells"], {{"read", "raw"}, {"setting", "v80_s512"}});
  CHECK(raw["collapsed"] == 1);
  CHECK(raw["flat"] == 5);
  // k <- survfit(Surv(time, event) ~ 1); cbind(k$time, k$n.risk, k$n.event, 1 - k$surv)
  const double curve[4][4] = {
      {1000, 8, 0, 0}, {1400, 7, 1, 0.142857142857}, {1800, 6, 1, 0.285714285714}, {2000, 5, 0, 0.285714285714}};
  REQUIRE(raw["escape_curve"].size() == 4);
  REQUIRE(raw["escape_curve_in_time"].size() == 4);
  for (size_t i = 0; i < 4; ++i) {
    const Json& point = raw["escape_curve"][i];
    CHECK(point["step"] == curve[i][0]);
    CHECK(point["at_risk"] == curve[i][1]);
    CHECK(point["escaped"] == curve[i][2]);
    check_number(point["escaped_fraction"], curve[i][3]);
    const Json& in_time = raw["escape_curve_in_time"][i];
    check_number(in_time["seconds"], curve[i][0] / 2000 * 100);
    CHECK(in_time["escaped_fraction"] == point["escaped_fraction"]);
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
  CHECK(contains(without["notes"].dump(), "Runs left out, with no evaluation up to step 700: 1."));
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
  write_text(folder / "c/metrics.jsonl",
             "{\"step\": 200, \"val_loss\": Infinity, \"val_accuracy\": NaN}\n");  // as Python has it
  write_text(folder / "c/result.json", "{\"note\": \"NaN\\\\\", \"final_val_accuracy\": NaN, \"final_val_loss\": NaN}");
  const Json cell = compare({folder.path()})["cells"][0];
  CHECK(cell["runs"] == 3);
  CHECK(cell["diverged"] == 2);
  CHECK(cell["solved"] == 1);
  check_number(cell["mean_accuracy"], 0.9);
  CHECK(contains(cell["warnings"].dump(), "runs whose final accuracy is not a number: 2;"));
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
  CHECK(contains(never["warnings"].dump(), "0 and without an interval, because no run of ns1 escapes."));
  const Json aliased = entry(comparison["hazard"], {{"read", "ns5"}});
  CHECK(aliased["ratio"].is_null());
  CHECK(contains(aliased["warnings"].dump(),
                 "not computed, because ns5 always goes with the same values of other settings"));
  const Json pair = entry(comparison["pairs"], {{"a", "raw"}, {"b", "ns1"}});
  check_number(pair["hazard_ratio"], 0);
  CHECK(contains(pair["warnings"].dump(), "Fisher's exact test: with 4 and 4 runs"));
  CHECK(contains(pair["warnings"].dump(),
                 "McNemar's test: 2 of 4 seeds are solved on one side alone; with fewer than 6 p is above .05."));
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
