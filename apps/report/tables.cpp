#include "apps/report/tables.h"

#include "apps/report/analysis.h"

#include <algorithm>
#include <cmath>

namespace orthoread {
namespace {

using Row = std::vector<TableCell>;

TableCell text_cell(const Json& value) { return {text_of(value), value.is_number() ? value : Json(), false}; }

TableCell no_cell() { return {"–", nullptr, false}; }

/// A number times a factor, formatted; a dash for null.
TableCell number_cell(const Json& value, fmt::format_string<double> format, double factor = 1) {
  if (!value.is_number()) return no_cell();
  return {fmt::format(format, factor * value.get<double>()), value, false};
}

TableCell p_cell(const Json& value) { return value.is_number() ? TableCell{p_text(value), value, false} : no_cell(); }

/// "4.74 [1.22, 18.39]"
TableCell ratio_cell(const Json& ratio, const Json& low, const Json& high) {
  TableCell cell = number_cell(ratio, "{:.2f}");
  if (low.is_number()) cell.text += fmt::format(" [{:.2f}, {:.2f}]", low.get<double>(), high.get<double>());
  return cell;
}

/// "9 of 16"
TableCell solved_cell(const Json& solved, const Json& runs) {
  return {fmt::format("{} of {}", solved.dump(), runs.dump()), solved, false};
}

/// "56 % [33, 77]"
TableCell fraction_cell(const Json& entry) {
  const auto percent = [&](const char* key) { return 100 * entry[key].get<double>(); };
  return {fmt::format("{:.0f} % [{:.0f}, {:.0f}]", percent("solved_fraction"), percent("solved_low"),
                      percent("solved_high")),
          entry["solved_fraction"], false};
}

/// Adds the entry's warnings, each prefixed with `about`.
void collect_warnings(Table& table, const Json& entry, const std::string& about) {
  for (const Json& warning : entry["warnings"]) table.warnings.push_back(about + ": " + warning.get<std::string>());
}

const std::vector<std::string> kOtherOutcomes = {"mid", "flat", "collapsed", "diverged"};

void add_other_outcomes(Row& row, const Json& entry) {
  for (const std::string& key : kOtherOutcomes) row.push_back(text_cell(entry[key]));
}

/// The first columns of a row: the settings, then the levels.
Row first_cells(const Grouping& grouping, const Json& entry, const std::vector<std::string>& who) {
  Row row;
  for (const std::string& key : grouping.telling()) row.push_back(text_cell(entry[key]));
  for (const std::string& key : who) row.push_back(text_cell(entry[key]));
  return row;
}

/// Columns of settings, then of the compared setting and of figures.
std::vector<std::string> all_columns(const Grouping& grouping, const std::vector<std::string>& figures) {
  std::vector<std::string> columns = grouping.telling();
  columns.insert(columns.end(), figures.begin(), figures.end());
  return columns;
}

Table outcomes_table(const Grouping& grouping, const Json& cells) {
  Table table;
  table.id = "cells";
  table.title = "Outcomes by cell";
  table.how =
      "A cell is the runs that differ only in the seed. Solved: a final accuracy of at least 80 %; mid: 20 to "
      "80 %; collapsed: below .5 %; flat: between mid and collapsed; diverged: a loss, a gradient or a weight was not "
      "finite. The interval is Wilson's, of the solved fraction.";
  table.columns = all_columns(grouping, {grouping.compare, "solved", "95 % interval"});
  table.columns.insert(table.columns.end(), kOtherOutcomes.begin(), kOtherOutcomes.end());
  for (const Json& cell : cells) {
    Row& row = table.rows.emplace_back(first_cells(grouping, cell, {grouping.compare}));
    row.push_back(solved_cell(cell["solved"], cell["runs"]));
    row.push_back(fraction_cell(cell));
    add_other_outcomes(row, cell);
    collect_warnings(table, cell, grouping.about(cell, text_of(cell[grouping.compare])));
  }
  return table;
}

Table accuracy_table(const Grouping& grouping, const Json& cells) {
  Table table;
  table.id = "accuracy";
  table.title = "Accuracy, escape and cost by cell";
  table.how =
      "Accuracy: final, on the validation set, over the seeds of the cell; the spread is the standard deviation, q1 "
      "and q3 are quartiles. Escape step: the first evaluation of at least 80 %, its median over the runs that "
      "escaped; "
      "half escaped: the step at which the Kaplan-Meier curve reaches one half. Seconds: the median of the runs. "
      "Operations: floating-point operations that the formulas of a run need, as counted by orthoread bench step.";
  table.columns =
      all_columns(grouping, {grouping.compare, "mean accuracy", "spread", "median", "q1 to q3", "median escape step",
                             "half escaped by", "seconds per run", "useful Tflop per run"});
  for (const Json& cell : cells) {
    Row& row = table.rows.emplace_back(first_cells(grouping, cell, {grouping.compare}));
    for (const char* key : {"mean_accuracy", "sd_accuracy", "median_accuracy"})
      row.push_back(number_cell(cell[key], "{:.1f} %", 100));
    row.push_back(number_cell(cell["accuracy_q1"], "{:.1f}", 100));
    if (cell["accuracy_q3"].is_number())
      row.back().text += fmt::format(" to {:.1f} %", 100 * cell["accuracy_q3"].get<double>());
    row.push_back(number_cell(cell["median_escape_step"], "{:.0f}"));
    row.push_back(number_cell(cell["half_escaped_step"], "{:.0f}"));
    row.push_back(number_cell(cell["median_seconds"], "{:.1f}"));
    row.push_back(number_cell(cell["useful_operations"], "{:.2f}", 1e-12));
  }
  return table;
}

Table pairs_table(const Grouping& grouping, const Json& pairs) {
  Table table;
  table.id = "pairs";
  table.title = "Comparisons within equal settings";
  table.how =
      "Fisher: exact test of the solved fractions, two-sided. Log-rank: of the escape steps, runs that never escape "
      "censored at their collapse or their last evaluation; one degree of freedom. McNemar: exact, over seeds that "
      "both sides have; in brackets how many are solved by a alone and by b alone. Hazard ratio: how many times as "
      "readily b escapes, logistic regression over the intervals between evaluations on log(step / 1000) and the side, "
      "with Wald's 95 % interval.";
  if (pairs.size() > 1) {
    table.how +=
        fmt::format(" Each p-value is of one test, not corrected for there being {} comparisons.", pairs.size());
  }
  table.columns = all_columns(grouping, {"a", "b", "a solved", "b solved", "Fisher p", "log-rank chi2", "log-rank p",
                                         "McNemar p", "hazard ratio, b to a"});
  for (const Json& pair : pairs) {
    Row& row = table.rows.emplace_back(first_cells(grouping, pair, {"a", "b"}));
    row.push_back(solved_cell(pair["a_solved"], pair["a_runs"]));
    row.push_back(solved_cell(pair["b_solved"], pair["b_runs"]));
    row.push_back(p_cell(pair["fisher_p"]));
    row.push_back(number_cell(pair["logrank_chi2"], "{:.3f}"));
    row.push_back(p_cell(pair["logrank_p"]));
    row.push_back(p_cell(pair["mcnemar_p"]));
    if (pair["mcnemar_p"].is_number())
      row.back().text += fmt::format(" ({}, {})", pair["solved_a_only"].dump(), pair["solved_b_only"].dump());
    row.push_back(ratio_cell(pair["hazard_ratio"], pair["hazard_low"], pair["hazard_high"]));
    const std::string sides = fmt::format("{} and {}", text_of(pair["a"]), text_of(pair["b"]));
    collect_warnings(table, pair, grouping.about(pair, sides));
  }
  return table;
}

Table pooled_table(const Grouping& grouping, const Json& pooled, const Json& hazard) {
  Table table;
  table.id = "pooled";
  table.title = "Over all cells";
  table.how = fmt::format(
      "Counts over all settings together, with Wilson's 95 % interval, and Fisher's exact test against the first row. "
      "Where the two have other shares of their runs in some settings, the answer above rests on McNemar's test of the "
      "pairs of runs with equal settings and seed. "
      "Hazard ratio of escaping against the first row: logistic regression over the intervals between evaluations, "
      "from "
      "step 1 to the escape, the collapse or the end, on log(step / 1000), {}what is compared; Wald's 95 % interval.",
      grouping.varying.empty()
          ? ""
          : fmt::format("an indicator for each further value of {}, and ", fmt::join(grouping.varying, ", ")));
  table.columns = {grouping.compare, "solved", "95 % interval", "Fisher p", "hazard ratio"};
  table.columns.insert(table.columns.end(), kOtherOutcomes.begin(), kOtherOutcomes.end());
  for (size_t i = 0; i < pooled.size(); ++i) {
    const Json& entry = pooled[i];
    const std::string level = text_of(entry[grouping.compare]);
    Row& row = table.rows.emplace_back();
    row.push_back(text_cell(entry[grouping.compare]));
    row.push_back(solved_cell(entry["solved"], entry["runs"]));
    row.push_back(fraction_cell(entry));
    if (i == 0) {
      row.push_back(no_cell());
      row.push_back({"1", 1, false});
    } else {
      row.push_back(p_cell(entry["fisher_p"]));
      row.push_back(ratio_cell(hazard[i - 1]["ratio"], hazard[i - 1]["low"], hazard[i - 1]["high"]));
      collect_warnings(table, entry, level);
      collect_warnings(table, hazard[i - 1], level + ", hazard ratio");
    }
    add_other_outcomes(row, entry);
  }
  return table;
}

/// A row for each combination of settings without the rate, a column for each rate.
Table rates_table(const Grouping& grouping, const Json& rates) {
  Table table = {
      "rates",
      "Learning rates",
      "Mean final accuracy over seeds, and solved runs, at each learning rate. Selected, in bold with a check "
      "mark: the rate with the highest mean accuracy, the lowest of equal ones.",
      {},
      {},
      {}};
  std::vector<Json> columns;
  for (const Json& rate : rates) {
    if (std::find(columns.begin(), columns.end(), rate["lr"]) == columns.end()) columns.push_back(rate["lr"]);
  }
  if (columns.size() < 2) return table;
  std::sort(columns.begin(), columns.end(), [](const Json& a, const Json& b) { return a < b; });
  for (const std::string& key : grouping.telling())
    if (key != "lr") table.columns.push_back(key);
  table.columns.push_back(grouping.compare);
  const size_t first = table.columns.size();
  for (const Json& rate : columns) table.columns.push_back(fmt::format("lr {}", text_of(rate)));
  for (const Json& rate : rates) {
    Row start;
    for (size_t i = 0; i < first; ++i) start.push_back(text_cell(rate[table.columns[i]]));
    const auto starts_so = [&](const Row& row) {
      return std::equal(start.begin(), start.end(), row.begin(),
                        [](const TableCell& a, const TableCell& b) { return a.text == b.text; });
    };
    auto row = std::find_if(table.rows.begin(), table.rows.end(), starts_so);
    if (row == table.rows.end()) {
      start.resize(table.columns.size(), no_cell());
      row = table.rows.insert(table.rows.end(), start);
    }
    const auto at = std::find(columns.begin(), columns.end(), rate["lr"]) - columns.begin();
    TableCell& cell = (*row)[first + static_cast<size_t>(at)];
    cell = number_cell(rate["mean_accuracy"], "{:.1f} %", 100);
    cell.text += fmt::format(" ({} of {})", rate["solved"].dump(), rate["runs"].dump());
    cell.marked = rate["selected"];
    if (cell.marked) cell.text += " ✓";
  }
  return table;
}

std::string csv_field(const std::string& text) {
  if (text.find_first_of(",\"\n\r") == text.npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

}  // namespace

std::vector<Table> make_tables(const Grouping& grouping, const Json& comparison) {
  std::vector<Table> tables = {
      pooled_table(grouping, comparison["pooled"], comparison["hazard"]), outcomes_table(grouping, comparison["cells"]),
      accuracy_table(grouping, comparison["cells"]), rates_table(grouping, comparison["learning_rates"]),
      pairs_table(grouping, comparison["pairs"])};
  std::erase_if(tables, [](const Table& table) { return table.rows.empty(); });
  return tables;
}

std::string results_csv(const std::vector<Run>& runs) {
  std::vector<std::string> keys;
  for (const Run& run : runs)
    for (const auto& [key, value] : run.settings.items())
      if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.push_back(key);
  std::vector<std::string> columns = {"folder"};
  columns.insert(columns.end(), keys.begin(), keys.end());
  for (const char* column :
       {"outcome", "accuracy", "loss", "escape_step", "collapse_step", "seconds", "steps_run", "version"})
    columns.emplace_back(column);
  std::string csv = fmt::format("{}\n", fmt::join(columns, ","));
  for (const Run& run : runs) {
    std::vector<std::string> fields = {csv_field(run.folder)};
    for (const std::string& key : keys) {
      const Json value = run.settings.value(key, Json());
      fields.push_back(csv_field(value.is_string() ? value.get<std::string>() : value.is_null() ? "" : value.dump()));
    }
    const auto number = [](double x) { return std::isnan(x) ? "" : Json(x).dump(); };
    const auto step = [](const std::optional<int64_t>& x) { return x ? std::to_string(*x) : ""; };
    for (const std::string& field :
         {run.outcome, number(run.accuracy), number(run.loss), step(run.escape_step), step(run.collapse_step),
          number(run.seconds.value_or(NAN)), std::to_string(run.steps), csv_field(run.version)})
      fields.push_back(field);
    csv += fmt::format("{}\n", fmt::join(fields, ","));
  }
  return csv;
}

}  // namespace orthoread
