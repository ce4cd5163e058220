// The analysis of all runs of a report.
#pragma once

#include "apps/report/cells.h"
#include "apps/report/statistics.h"

#include <map>

namespace orthoread {

/// comparison.json: every figure of the report. `cells` has an entry for each cell, `pairs` for each two compared
/// values within equal settings, `hazard` for each compared value but the first, `pooled` for each compared value. A
/// figure that cannot be computed is null; `warnings` say why, or why a figure is unreliable.
Json analyze(const Grouping& grouping, const RunCollection& collection);

/// For each run, the step at which it escaped from the plateau or was last seen on it.
std::vector<Survival> escapes(const Cell& cell);

/// The same in seconds. A step counts the run's seconds times its fraction of the steps. Runs without seconds are
/// skipped.
std::vector<Survival> escapes_in_time(const Cell& cell);

/// The median over the cell's runs of the accuracy or the loss, at each step at which at least half of them have one.
std::map<int64_t, double> median_curve(const Cell& cell, double RunEvaluation::*value);

/// A p-value as the literature writes it: .0202, .166, < .0001.
std::string p_text(double p);

}  // namespace orthoread
