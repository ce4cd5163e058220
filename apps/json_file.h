// JSON files of the program: config.json, result.json and others like them.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace orthoread {

using Json = nlohmann::ordered_json;  // keys keep the order in which they were written

/// The JSON in a text; `where` begins the message of the Error if it is not well formed, or nested deeper than any of
/// ours.
Json parse_json(const std::string& text, const std::string& where);
/// The same for a file.
Json read_json(const std::string& path);

}  // namespace orthoread
