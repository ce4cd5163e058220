// What the runs of a report say together.
#pragma once

#include "apps/report/cells.h"
#include "apps/report/statistics.h"

namespace orthoread {

/// comparison.json: every figure of the report. Its `cells`, `pairs`, `hazard` and `pooled` have one
/// entry for each cell, for each two levels of what is compared within equal settings, for each level but the first,
/// and for each level; a figure that cannot be had is null, and `warnings` say why, or why not to lean on it.
Json analyze(const Grouping& grouping, const RunCollection& collection);

/// When a run escaped from the plateau, or was last seen on it, in steps.
std::vector<Survival> escapes(const Cell& cell);

/// The same in seconds of the run: the share of its steps, of the seconds that they took. Runs without seconds are left
/// out.
std::vector<Survival> escapes_in_time(const Cell& cell);

/// A p-value as the literature writes it: .0202, .166, < .0001.
std::string p_text(double p);

}  // namespace orthoread
