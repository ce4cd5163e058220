// JSON files of the program: config.json, result.json and others like them.
#pragma once

#include <nlohmann/json.hpp>

#include <string>

namespace orthoread {

using Json = nlohmann::ordered_json;  // keys keep the order in which they were written

/// Parses JSON. An Error, whose message begins with `where`, if it is malformed or nested too deeply.
Json parse_json(const std::string& text, const std::string& where);
/// The same for a file.
Json read_json(const std::string& path);

}  // namespace orthoread
