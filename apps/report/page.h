// The report as HTML and as Markdown.
#pragma once

#include "apps/report/plots.h"
#include "apps/report/tables.h"

namespace orthoread {

struct Document {
  std::string title;
  std::vector<std::string> answer;   // sentences; the first one stands out
  std::vector<std::string> missing;  // what the report lacks
  std::string shared;                // the settings of all runs
  std::vector<Plot> plots;
  std::vector<Table> tables;
};

/// index.html: a single file that loads no other.
std::string to_html(const Document& document);

/// report.md, with the pictures of the folder plots.
std::string to_markdown(const Document& document);

}  // namespace orthoread
