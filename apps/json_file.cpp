#include "apps/json_file.h"

#include "data/files.h"

namespace orthoread {

Json parse_json(const std::string& text, const std::string& where) {
  constexpr int kDeepest = 32;  // functions on JSON values are recursive
  const auto watch = [&](int depth, Json::parse_event_t, Json&) {
    check(depth <= kDeepest, "{}: damaged: its JSON is nested deeper than {} levels", where, kDeepest);
    return true;
  };
  Json json = Json::parse(text, watch, false);
  check(!json.is_discarded(), "{}: damaged: not well-formed JSON", where);
  return json;
}

Json read_json(const std::string& path) { return parse_json(read_file(path), path); }

}  // namespace orthoread
