// Suggestions for misspelled words.
#pragma once

#include <fmt/format.h>

#include <string>

namespace orthoread {

/// The Levenshtein distance: the fewest letters to change, insert or delete to turn a into b.
size_t edit_distance(const std::string& a, const std::string& b);

/// " (did you mean lr?)" if a known word is near, else "".
template <class Known>
std::string meant(const std::string& word, const Known& known) {
  std::string nearest;
  size_t least = (word.size() + 2) / 3 + 1;  // one in three letters may differ
  for (const std::string& candidate : known) {
    const bool begins = word.size() >= 2 && (candidate.starts_with(word) || word.starts_with(candidate));
    const bool within = word.size() >= 4 && candidate.find(word) != candidate.npos;
    const size_t distance = begins || within ? 1 : edit_distance(word, candidate);
    if (distance < least) {
      least = distance;
      nearest = candidate;
    }
  }
  return nearest.empty() ? "" : fmt::format(" (did you mean {}?)", nearest);
}

}  // namespace orthoread
