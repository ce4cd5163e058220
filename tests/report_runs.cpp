#include "tests/report_runs.h"

namespace orthoread {

Json settings_of(const std::string& read, int64_t seed) {
  return {{"vocab_size", 80}, {"seq_len", 512}, {"read", read},     {"steps", 2000},
          {"lr", 0.003},      {"seed", seed},   {"data_seed", seed}};
}

Accuracies accuracies(int64_t escape) {
  Accuracies result;
  for (int64_t step = 1; step <= 2000; step = step == 1 ? 200 : step + 200) {
    const bool changed = escape != 0 && step >= std::abs(escape);
    result.at.emplace_back(step, !changed ? 0.03 : escape > 0 ? 0.9 : 0.001);
  }
  return result;
}

void write_run(const std::string& folder, const Json& settings, const Accuracies& accuracies, bool done) {
  write_text(folder + "/config.json", Json{{"settings", settings}, {"environment", {{"version", "7.8.9"}}}}.dump());
  std::string metrics;
  for (const auto& [step, accuracy] : accuracies.at) {
    metrics += Json{{"step", step}, {"loss", 3.5}, {"grad_norm", 1.5}, {"lr", 0.003}}.dump() + "\n";
    metrics += Json{{"step", step}, {"val_loss", 1 - accuracy}, {"val_accuracy", accuracy}}.dump() + "\n";
  }
  write_text(folder + "/metrics.jsonl", metrics);
  if (!done) return;
  const double last = accuracies.at.back().second;
  write_text(folder + "/result.json", Json{{"final_val_accuracy", last},
                                           {"final_val_loss", 1 - last},
                                           {"outcome", last >= 0.8 ? "solved" : "flat"},
                                           {"seconds", 100},
                                           {"steps_run", accuracies.at.back().first}}
                                          .dump());
}

void write_synthetic_runs(const std::string& folder) {
  // by seed the step of the escape, 0, or the negative one of the collapse
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

Json compare(const std::vector<std::string>& folders, const std::string& key, std::optional<int64_t> until) {
  const RunCollection collection = read_runs(folders, until);
  return analyze(group_runs(collection.runs, key), collection);
}

Json entry(const Json& list, const Json& values) {
  for (const Json& candidate : list) {
    bool fits = true;
    for (const auto& [key, value] : values.items()) fits = fits && candidate.value(key, Json()) == value;
    if (fits) return candidate;
  }
  FAIL(fmt::format("no entry {} in {}", values.dump(), list.dump(1)));
  return {};
}

void check_number(const Json& value, double expected, double tolerance) {
  REQUIRE_MESSAGE(value.is_number(), value.dump());
  CHECK(value.get<double>() == doctest::Approx(expected).epsilon(tolerance));
}

}  // namespace orthoread
