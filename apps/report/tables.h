// The tables of a report, for the page and for report.md.
#pragma once

#include "apps/report/cells.h"

namespace orthoread {

struct TableCell {
  std::string text;
  Json sort_by;         // a number, or null: then the text
  bool marked = false;  // the one that is selected
};

struct Table {
  std::string id, title;
  std::string how;  // how its figures were computed
  std::vector<std::string> columns;
  std::vector<std::vector<TableCell>> rows;
  std::vector<std::string> warnings;
};

/// The tables of what analyze() found; those without rows are left out.
std::vector<Table> make_tables(const Grouping& grouping, const Json& comparison);

/// results.csv: a row a run, with every setting.
std::string results_csv(const std::vector<Run>& runs);

}  // namespace orthoread
