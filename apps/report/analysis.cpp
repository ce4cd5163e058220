#include "apps/report/analysis.h"

#include "apps/report/compute.h"
#include "apps/report/hazard.h"
#include "apps/report/missing.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

namespace orthoread {
namespace {

const std::vector<std::string> kOutcomes = {"solved", "mid", "flat", "collapsed", "diverged"};

Json number_or_null(double x) { return std::isfinite(x) ? Json(x) : Json(); }
Json number_or_null(const std::optional<double>& x) { return x ? number_or_null(*x) : Json(); }

int64_t size_of(const auto& container) { return static_cast<int64_t>(container.size()); }

int64_t count_outcome(const std::vector<const Run*>& runs, const std::string& outcome) {
  return std::count_if(runs.begin(), runs.end(), [&](const Run* run) { return run->outcome == outcome; });
}

/// The values that `of` gives for these runs, without NaN.
template <class Of>
std::vector<double> numbers(const std::vector<const Run*>& runs, Of of) {
  std::vector<double> found;
  for (const Run* run : runs) {
    const std::optional<double> x = of(*run);
    if (x && std::isfinite(*x)) found.push_back(*x);
  }
  return found;
}

/// The counts of outcomes, and the solved fraction with its interval.
Json count(const std::vector<const Run*>& runs) {
  Json counts = {{"runs", runs.size()}};
  for (const std::string& outcome : kOutcomes) counts[outcome] = count_outcome(runs, outcome);
  const int64_t solved = counts["solved"];
  const Interval interval = wilson_interval(solved, size_of(runs));
  counts["solved_fraction"] = static_cast<double>(solved) / static_cast<double>(runs.size());
  counts["solved_low"] = interval.low;
  counts["solved_high"] = interval.high;
  return counts;
}

/// A Kaplan-Meier curve against `axis`.
Json curve_entries(const std::vector<SurvivalPoint>& curve, const char* axis) {
  Json entries = Json::array();
  for (const SurvivalPoint& point : curve) {
    entries.push_back({{axis, point.time},
                       {"at_risk", point.at_risk},
                       {"escaped", point.events},
                       {"censored", point.censored},
                       {"escaped_fraction", 1 - point.surviving}});
  }
  return entries;
}

Json median_entries(const Cell& cell, double RunEvaluation::*value, const char* name) {
  Json entries = Json::array();
  for (const auto& [step, median] : median_curve(cell, value)) entries.push_back({{"step", step}, {name, median}});
  return entries;
}

Json describe_cell(const Cell& cell, const std::set<int64_t>& all_seeds, OperationCounter& counter) {
  Json entry = cell.settings;
  entry.update(count(cell.runs));
  const auto accuracy = numbers(cell.runs, [](const Run& run) { return std::optional(run.accuracy); });
  const auto loss = numbers(cell.runs, [](const Run& run) { return std::optional(run.loss); });
  const auto seconds = numbers(cell.runs, [](const Run& run) { return run.seconds; });
  const auto steps = numbers(cell.runs, [](const Run& run) { return std::optional(static_cast<double>(run.steps)); });
  const auto escape = numbers(cell.runs, [](const Run& run) {
    return run.escape_step ? std::optional(static_cast<double>(*run.escape_step)) : std::nullopt;
  });
  const auto at = [](const std::vector<double>& of, double probability) {
    return of.empty() ? Json() : Json(quantile(of, probability));
  };
  entry["mean_accuracy"] = accuracy.empty() ? Json() : Json(mean(accuracy));
  entry["sd_accuracy"] = number_or_null(standard_deviation(accuracy));
  entry["median_accuracy"] = at(accuracy, 0.5);
  entry["accuracy_q1"] = at(accuracy, 0.25);
  entry["accuracy_q3"] = at(accuracy, 0.75);
  entry["median_loss"] = at(loss, 0.5);
  entry["escaped"] = escape.size();
  entry["median_escape_step"] = at(escape, 0.5);
  const std::vector<SurvivalPoint> curve = kaplan_meier(escapes(cell));
  entry["half_escaped_step"] = number_or_null(median_time(curve));
  entry["median_seconds"] = at(seconds, 0.5);
  entry["useful_operations"] = number_or_null(counter.operations(*cell.runs[0], quantile(steps, 0.5)));
  entry["escape_curve"] = curve_entries(curve, "step");
  entry["escape_curve_in_time"] = curve_entries(kaplan_meier(escapes_in_time(cell)), "seconds");
  entry["median_accuracy_curve"] = median_entries(cell, &RunEvaluation::accuracy, "accuracy");
  entry["median_loss_curve"] = median_entries(cell, &RunEvaluation::loss, "loss");

  std::set<int64_t> seeds;
  for (const Run* run : cell.runs) seeds.insert(run->seed());
  entry["seeds"] = seeds;
  Json missing = Json::array(), warnings = Json::array();
  for (const int64_t seed : all_seeds)
    if (!seeds.contains(seed)) missing.push_back(seed);
  entry["missing_seeds"] = missing;
  constexpr size_t kFew = 8;
  if (cell.runs.size() < kFew)
    warnings.push_back(fmt::format(
        "fewer than {} runs ({}); the interval is wide and the standard deviation imprecise.", kFew, cell.runs.size()));
  if (accuracy.size() < cell.runs.size()) {
    warnings.push_back(
        fmt::format("runs whose final accuracy is not a number: {}; mean, median, standard deviation "
                    "and quartiles leave them out.",
                    cell.runs.size() - accuracy.size()));
  }
  entry["warnings"] = warnings;
  return entry;
}

/// The ratio and its interval, under these names.
Json ratio_entry(const HazardRatio& hazard, const char* ratio, const char* low, const char* high) {
  const bool there = hazard.ratio.has_value();
  return {{ratio, there ? number_or_null(hazard.ratio->ratio) : Json()},
          {low, there ? number_or_null(hazard.ratio->low) : Json()},
          {high, there ? number_or_null(hazard.ratio->high) : Json()}};
}

void add_fisher(Json& entry, const std::vector<const Run*>& a, const std::vector<const Run*>& b, Json& warnings) {
  const int64_t a_solved = count_outcome(a, "solved"), b_solved = count_outcome(b, "solved");
  const FisherTest test = fisher_test(a_solved, size_of(a) - a_solved, b_solved, size_of(b) - b_solved);
  entry["fisher_p"] = test.p;
  if (test.least_p > 0.05) {
    warnings.push_back(
        fmt::format("Fisher's exact test: with {} and {} runs, {} of them solved, p is at least {:.2g} "
                    "however the solved ones are divided.",
                    a.size(), b.size(), a_solved + b_solved, test.least_p));
  }
}

void add_log_rank(Json& entry, const Cell& a, const Cell& b, Json& warnings) {
  const auto test = log_rank_test(escapes(a), escapes(b));
  entry["logrank_chi2"] = test ? Json(test->chi2) : Json();
  entry["logrank_p"] = test ? Json(test->p) : Json();
  constexpr double kFew = 5;
  if (!test) {
    warnings.push_back(
        "Log-rank test: not computed, because no run escapes, all that are left escape at once, or one side has no "
        "evaluations.");
  } else if (std::min(test->expected_a, test->expected_b) < kFew) {
    warnings.push_back(
        fmt::format("Log-rank test: {:.1f} and {:.1f} escapes are expected; with fewer than {} on a side "
                    "p is approximate.",
                    test->expected_a, test->expected_b, kFew));
  }
}

/// Two runs with equal settings and an equal seed.
using RunPair = std::pair<const Run*, const Run*>;
void add_pairs(const Cell& a, const Cell& b, std::vector<RunPair>& pairs) {
  std::map<int64_t, const Run*> of_a;
  for (const Run* run : a.runs) of_a[run->seed()] = run;
  for (const Run* run : b.runs) {
    const auto found = of_a.find(run->seed());
    if (found != of_a.end()) pairs.emplace_back(found->second, run);
  }
}

struct PairCounts {
  int64_t both = 0, only_a = 0, only_b = 0;  // of the pairs, how many are solved on both sides, and on one alone
  std::optional<double> p;                   // McNemar's; without pairs none
};
PairCounts count_pairs(const std::vector<RunPair>& pairs, Json& warnings) {
  PairCounts counts;
  for (const auto& [a, b] : pairs) {
    const bool a_solved = a->outcome == "solved", b_solved = b->outcome == "solved";
    counts.both += a_solved && b_solved ? 1 : 0;
    counts.only_a += a_solved && !b_solved ? 1 : 0;
    counts.only_b += !a_solved && b_solved ? 1 : 0;
  }
  const int64_t unequal = counts.only_a + counts.only_b;
  if (!pairs.empty()) counts.p = mcnemar_test(counts.only_a, counts.only_b);
  constexpr int64_t kFewest = 6;  // 2 / 2^6 is the first p below .05
  if (pairs.empty()) {
    warnings.push_back("McNemar's test: not computed, because no seed is on both sides.");
  } else if (unequal < kFewest) {
    warnings.push_back(
        fmt::format("McNemar's test: {} of {} seeds are solved on one side alone; with fewer than {} p is above .05.",
                    unequal, pairs.size(), kFewest));
  }
  return counts;
}

void add_mcnemar(Json& entry, const Cell& a, const Cell& b, Json& warnings) {
  std::vector<RunPair> pairs;
  add_pairs(a, b, pairs);
  const PairCounts counts = count_pairs(pairs, warnings);
  entry["mcnemar_p"] = counts.p ? Json(*counts.p) : Json();
  entry["seed_pairs"] = pairs.size();
  entry["solved_a_only"] = counts.only_a;
  entry["solved_b_only"] = counts.only_b;
}

Json describe_pair(const Grouping& grouping, const Group& group, const Cell& a, const Cell& b) {
  Json entry = group.settings, warnings = Json::array();
  entry["a"] = a.level;
  entry["b"] = b.level;
  for (const auto& [side, cell] : {std::pair("a", &a), std::pair("b", &b)}) {
    entry[std::string(side) + "_runs"] = cell->runs.size();
    entry[std::string(side) + "_solved"] = count_outcome(cell->runs, "solved");
  }
  add_fisher(entry, a.runs, b.runs, warnings);
  add_log_rank(entry, a, b, warnings);
  add_mcnemar(entry, a, b, warnings);
  const HazardRatio hazard = hazard_ratios(grouping, {&a, &b})[0];
  entry.update(ratio_entry(hazard, "hazard_ratio", "hazard_low", "hazard_high"));
  for (const std::string& warning : hazard.warnings) warnings.push_back("Hazard ratio: " + warning);
  entry["warnings"] = warnings;
  return entry;
}

Json describe_pairs(const Grouping& grouping) {
  Json pairs = Json::array();
  for (const Group& group : grouping.groups) {
    for (size_t i = 0; i < group.cells.size(); ++i) {
      for (size_t j = i + 1; j < group.cells.size(); ++j)
        pairs.push_back(describe_pair(grouping, group, grouping.cells[group.cells[i]], grouping.cells[group.cells[j]]));
    }
  }
  return pairs;
}

Json describe_hazard(const Grouping& grouping) {
  Json entries = Json::array();
  std::vector<const Cell*> cells;
  for (const Cell& cell : grouping.cells) cells.push_back(&cell);
  if (grouping.levels.size() < 2) return entries;
  for (const HazardRatio& hazard : hazard_ratios(grouping, cells)) {
    Json entry = {{grouping.compare, hazard.level}, {"against", grouping.levels[0]}};
    entry.update(ratio_entry(hazard, "ratio", "low", "high"));
    entry.update({{"escapes", hazard.escapes}, {"intervals", hazard.intervals}, {"warnings", hazard.warnings}});
    entries.push_back(std::move(entry));
  }
  return entries;
}

/// Where two levels have other shares of their runs in some settings, these may make a difference of the counts. So the
/// pairs of runs with equal settings and seed are compared, too.
void add_matched(Json& entry, const Grouping& grouping, const Json& level, const Json& other, Json& warnings) {
  std::vector<RunPair> pairs;
  for (const Group& group : grouping.groups) {
    const auto cell_of = [&](const Json& wanted) {
      return std::find_if(group.cells.begin(), group.cells.end(),
                          [&](size_t i) { return grouping.cells[i].level == wanted; });
    };
    const auto a = cell_of(level), b = cell_of(other);
    if (a != group.cells.end() && b != group.cells.end()) add_pairs(grouping.cells[*a], grouping.cells[*b], pairs);
  }
  const PairCounts counts = count_pairs(pairs, warnings);
  entry["matched_pairs"] = pairs.size();
  entry["matched_solved"] = counts.both + counts.only_a;
  entry["matched_solved_of_other"] = counts.both + counts.only_b;
  entry["matched_mcnemar_p"] = counts.p ? Json(*counts.p) : Json();
}

/// The runs of each level, over all cells.
Json describe_pooled(const Grouping& grouping) {
  std::vector<std::vector<const Run*>> runs(grouping.levels.size());
  std::vector<std::map<std::string, size_t>> sizes(grouping.levels.size());  // by level, of each group
  for (const Group& group : grouping.groups) {
    for (const size_t i : group.cells) {
      const Cell& cell = grouping.cells[i];
      const size_t level = grouping.level_index(cell.level);
      runs[level].insert(runs[level].end(), cell.runs.begin(), cell.runs.end());
      sizes[level][group.label] = cell.runs.size();
    }
  }
  Json entries = Json::array();
  for (size_t i = 0; i < runs.size(); ++i) {
    Json entry = {{grouping.compare, grouping.levels[i]}}, warnings = Json::array();
    entry.update(count(runs[i]));
    // Each level is tested against the first. With two levels both entries have the p of the one test.
    const size_t other = i > 0 ? 0 : 1;
    entry["fisher_p"] = nullptr;
    if (i > 0 || runs.size() == 2) {
      add_fisher(entry, runs[i], runs[other], warnings);
      std::set<int64_t> seeds;
      for (const Run* run : runs[i]) seeds.insert(run->seed());
      if (seeds.size() < runs[i].size())
        warnings.push_back(
            "Fisher's exact test: a seed has runs in several settings, which may share data and initial weights; the "
            "test takes them to be independent.");
      if (sizes[i] != sizes[other] && grouping.groups.size() > 1) {
        warnings.push_back(
            fmt::format("{} and {} have different numbers of runs in some settings, which may explain a difference.",
                        text_of(grouping.levels[i]), text_of(grouping.levels[other])));
        add_matched(entry, grouping, grouping.levels[i], grouping.levels[other], warnings);
      }
    }
    entry["warnings"] = warnings;
    entries.push_back(std::move(entry));
  }
  return entries;
}

/// The learning rates of each level and other settings, with their mean accuracy. The rate with the highest accuracy is
/// selected, and of equal ones the lowest.
Json describe_learning_rates(const Grouping& grouping, const Json& cells) {
  Json rates = Json::array();
  if (grouping.compare == "lr") return rates;
  std::map<std::string, size_t> best;
  for (const Json& cell : cells) {
    Json entry;
    for (const auto& [key, value] : grouping.cells[rates.size()].settings.items())
      if (key != "lr") entry[key] = value;
    const std::string place = entry.dump();
    entry["lr"] = cell.contains("lr") ? cell["lr"] : grouping.shared.value("lr", Json());
    for (const char* key : {"runs", "solved", "mean_accuracy"}) entry[key] = cell[key];
    entry["selected"] = false;
    rates.push_back(entry);
    if (!entry["mean_accuracy"].is_number()) continue;
    const auto [found, is_new] = best.emplace(place, rates.size() - 1);
    if (entry["mean_accuracy"] > rates[found->second]["mean_accuracy"]) found->second = rates.size() - 1;
  }
  for (const auto& [place, i] : best) rates[i]["selected"] = true;
  return rates;
}

/// The solved runs of each level at its selected learning rates: "ns5 13 of 16 runs, raw 8 of 16 runs". Empty if there
/// is only one rate.
std::string selected_text(const Grouping& grouping, const Json& rates) {
  std::vector<std::string> parts;
  bool many = false;
  for (const Json& level : grouping.levels) {
    int64_t solved = 0, runs = 0;
    std::set<std::string> tried;
    for (const Json& rate : rates) {
      if (rate[grouping.compare] == level) tried.insert(rate["lr"].dump());
      if (rate["selected"] == false || rate[grouping.compare] != level) continue;
      solved += rate["solved"].get<int64_t>();
      runs += rate["runs"].get<int64_t>();
    }
    many = many || tried.size() > 1;
    if (runs > 0) parts.push_back(fmt::format("{} {} of {} runs", text_of(level), solved, runs));
  }
  return many ? fmt::format("{}", fmt::join(parts, ", ")) : "";
}

/// The conclusion, in sentences: the solved runs of each level, and the evidence for a difference.
Json answer(const Grouping& grouping, const Json& pooled, const Json& hazard, const Json& rates) {
  Json sentences = Json::array();
  if (pooled.empty()) {
    sentences.push_back("No run is finished yet.");
    return sentences;
  }
  std::vector<Json> by_fraction(pooled.begin(), pooled.end());
  std::stable_sort(by_fraction.begin(), by_fraction.end(), [](const Json& a, const Json& b) {
    return a["solved_fraction"].get<double>() > b["solved_fraction"].get<double>();
  });
  std::vector<std::string> parts;
  for (const Json& entry : by_fraction) {
    const bool first = parts.empty();
    parts.push_back(fmt::format("{} {}{} of {} {}({:.0f} %, {}{:.0f} to {:.0f} %)", text_of(entry[grouping.compare]),
                                first ? "solves " : "", entry["solved"].get<int64_t>(), entry["runs"].get<int64_t>(),
                                first ? "runs " : "", 100 * entry["solved_fraction"].get<double>(),
                                first ? "95 % interval " : "", 100 * entry["solved_low"].get<double>(),
                                100 * entry["solved_high"].get<double>()));
  }
  sentences.push_back(fmt::format("{}.", fmt::join(parts, ", ")));
  const std::string selected = selected_text(grouping, rates);
  if (!selected.empty()) {
    sentences.push_back(fmt::format(
        "Each at the learning rate of its highest mean accuracy (an advantage for one tried at more rates): {}.",
        selected));
  }
  const std::string reference = text_of(grouping.levels[0]);
  for (size_t i = 1; i < pooled.size(); ++i) {
    const std::string level = text_of(pooled[i][grouping.compare]);
    const auto verdict = [](const Json& p) {
      return fmt::format("the difference in solved runs is {}significant at the 5 % level", p < 0.05 ? "" : "not ");
    };
    std::string sentence = fmt::format("{} against {}: ", level, reference);
    if (!pooled[i].contains("matched_pairs")) {
      const Json& p = pooled[i]["fisher_p"];
      sentence += fmt::format("{} (Fisher's exact test over all cells, p {})", verdict(p), p_text(p));
    } else if (pooled[i]["matched_pairs"] == 0) {
      sentence += "no run of one has the settings and the seed of a run of the other";
    } else {
      const Json& p = pooled[i]["matched_mcnemar_p"];
      sentence += fmt::format(
          "in the pairs of runs with equal settings and seed, {}, {} solves {} and {} {}; {} (McNemar's test, p {})",
          pooled[i]["matched_pairs"].get<int64_t>(), level, pooled[i]["matched_solved"].get<int64_t>(), reference,
          pooled[i]["matched_solved_of_other"].get<int64_t>(), verdict(p), p_text(p));
    }
    const Json& ratio = hazard[i - 1];
    if (ratio["low"].is_number()) {
      sentence += fmt::format("; hazard ratio of escape {:.2f}, 95 % interval {:.2f} to {:.2f}",
                              ratio["ratio"].get<double>(), ratio["low"].get<double>(), ratio["high"].get<double>());
    }
    sentences.push_back(sentence + ".");
  }
  if (pooled.size() == 1)
    sentences.push_back(fmt::format("All runs have the same {}, so nothing is compared.", grouping.compare));
  return sentences;
}

}  // namespace

std::string p_text(double p) {
  if (p < 0.0001) return "< .0001";
  const std::string text = fmt::format("{:.{}f}", p, p < 0.1 ? 4 : 3);
  return text.starts_with('0') ? text.substr(1) : "1";
}

std::vector<Survival> escapes(const Cell& cell) {
  std::vector<Survival> subjects;
  for (const Run* run : cell.runs) {
    if (!run->evaluations.empty())
      subjects.push_back({static_cast<double>(run->last_seen()), run->escape_step.has_value()});
  }
  return subjects;
}

std::vector<Survival> escapes_in_time(const Cell& cell) {
  std::vector<Survival> subjects;
  for (const Run* run : cell.runs) {
    if (run->evaluations.empty() || run->steps == 0 || !run->seconds) continue;
    const double share = static_cast<double>(run->last_seen()) / static_cast<double>(run->steps);
    subjects.push_back({share * *run->seconds, run->escape_step.has_value()});
  }
  return subjects;
}

std::map<int64_t, double> median_curve(const Cell& cell, double RunEvaluation::*value) {
  std::map<int64_t, std::vector<double>> at;
  for (const Run* run : cell.runs)
    for (const RunEvaluation& evaluation : run->evaluations)
      if (std::isfinite(evaluation.*value)) at[evaluation.step].push_back(evaluation.*value);
  std::map<int64_t, double> medians;
  for (const auto& [step, values] : at)
    if (2 * values.size() >= cell.runs.size()) medians[step] = quantile(values, 0.5);
  return medians;
}

Json analyze(const Grouping& grouping, const RunCollection& collection) {
  std::set<int64_t> seeds;
  for (const Run& run : collection.runs) seeds.insert(run.seed());
  Json cells = Json::array(), pairs = describe_pairs(grouping), hazard = describe_hazard(grouping);
  OperationCounter counter;
  for (const Cell& cell : grouping.cells) cells.push_back(describe_cell(cell, seeds, counter));
  const Json pooled = describe_pooled(grouping), rates = describe_learning_rates(grouping, cells);
  return {{"compare", grouping.compare},
          {"answer", answer(grouping, pooled, hazard, rates)},
          {"runs", collection.runs.size()},
          {"unfinished", collection.unfinished},
          {"not_begun", describe_not_begun(collection, grouping.compare)},
          {"failed", collection.failed},
          {"notes", collection.notes},
          {"varying", grouping.varying},
          {"shared", grouping.shared},
          {"cells", cells},
          {"pairs", pairs},
          {"hazard", hazard},
          {"pooled", pooled},
          {"learning_rates", rates}};
}

}  // namespace orthoread
