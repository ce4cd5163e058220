#include "apps/json_file.h"

#include "data/files.h"

#include <set>

namespace orthoread {

Json parse_json(const std::string& text, const std::string& where) {
  constexpr int kDeepest = 32;              // functions on JSON values are recursive
  std::vector<std::set<std::string>> keys;  // of the objects that are open
  const auto watch = [&](int depth, Json::parse_event_t event, const Json& parsed) {
    check(depth <= kDeepest, "{}: damaged: its JSON is nested deeper than {} levels", where, kDeepest);
    if (event == Json::parse_event_t::object_start) keys.emplace_back();
    if (event == Json::parse_event_t::object_end) keys.pop_back();
    if (event == Json::parse_event_t::key)
      check(keys.back().insert(parsed.get<std::string>()).second, "{}: the key {} is there twice", where,
            parsed.dump());
    return true;
  };
  Json json = Json::parse(text, watch, false);
  check(!json.is_discarded(), "{}: damaged: not well-formed JSON", where);
  return json;
}

Json read_json(const std::string& path) { return parse_json(read_file(path), path); }

}  // namespace orthoread
