// The report as documents.
#pragma once

#include "apps/report/plots.h"
#include "apps/report/tables.h"

namespace orthoread {

struct Document {
  std::string title;
  std::vector<std::string> answer;   // sentences, the first above all
  std::vector<std::string> missing;  // what the reader should know is not there
  std::string shared;                // the settings of all runs
  std::vector<Plot> plots;
  std::vector<Table> tables;
};

/// index.html: one file that asks for no other.
std::string to_html(const Document& document);

/// report.md; its pictures are those of the folder plots.
std::string to_markdown(const Document& document);

}  // namespace orthoread
