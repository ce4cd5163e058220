// Which known word somebody may have meant.
#pragma once

#include <fmt/format.h>

#include <string>

namespace orthoread {

/// How many letters have to be changed, put in or left out to make b of a (Levenshtein).
size_t edit_distance(const std::string& a, const std::string& b);

/// " (did you mean lr?)", if a known word is near.
template <class Known>
std::string meant(const std::string& word, const Known& known) {
  std::string nearest;
  size_t least = word.size() / 3 + 2;  // of three letters one may be wrong
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
