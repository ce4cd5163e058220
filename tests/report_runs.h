// Run folders made up for the tests of `orthoread report`, and what comparison.json says of them.
#pragma once

#include "apps/report/analysis.h"
#include "tests/program.h"

namespace orthoread {

/// What a test's run is, if nothing else is said.
Json settings_of(const std::string& read, int64_t seed);

struct Accuracies {
  std::vector<std::pair<int64_t, double>> at;  // step and accuracy; the loss is made up
};

/// At step 1 and every 200 up to 2,000: on the plateau, solved from `escape` on, or collapsed from -`escape` on.
Accuracies accuracies(int64_t escape);

void write_run(const std::string& folder, const Json& settings, const Accuracies& accuracies, bool done = true);

/// Two reads at two settings, eight seeds each.
void write_synthetic_runs(const std::string& folder);

/// comparison.json of these folders.
Json compare(const std::vector<std::string>& folders, const std::string& key = "read",
             std::optional<int64_t> until = std::nullopt);

/// The entry of a list that has these values.
Json entry(const Json& list, const Json& values);

void check_number(const Json& value, double expected, double tolerance = 1e-9);

}  // namespace orthoread
