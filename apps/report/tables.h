// The tables of a report, for index.html and report.md.
#pragma once

#include "apps/report/cells.h"

namespace orthoread {

struct TableCell {
  std::string text;
  Json sort_by;         // a number; null: sort by text
  bool marked = false;  // bold: the selected learning rate
};

struct Table {
  std::string id, title;
  std::string how;  // how its figures were computed
  std::vector<std::string> columns;
  std::vector<std::vector<TableCell>> rows;
  std::vector<std::string> warnings;
};

/// The tables of analyze()'s figures; empty ones are left out.
std::vector<Table> make_tables(const Grouping& grouping, const Json& comparison);

/// results.csv: a row per run, with every setting.
std::string results_csv(const std::vector<Run>& runs);

}  // namespace orthoread
