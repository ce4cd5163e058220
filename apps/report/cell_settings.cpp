#include "apps/report/cell_settings.h"

#include <cctype>

namespace orthoread {
namespace {

/// A text, cut where numbers begin and end: texts[0] numbers[0] texts[1] numbers[1] … texts[n].
struct Cut {
  std::vector<std::string> texts = {""}, numbers;
};
Cut cut_at_numbers(const std::string& text) {
  Cut cut;
  bool in_number = false;
  for (const char c : text) {
    const bool digit = std::isdigit(static_cast<unsigned char>(c)) != 0;
    if (digit && !in_number) cut.numbers.emplace_back();
    if (!digit && in_number) cut.texts.emplace_back();
    (digit ? cut.numbers : cut.texts).back() += c;
    in_number = digit;
  }
  if (in_number) cut.texts.emplace_back();
  return cut;
}

std::string seed_of(const Json& settings) { return settings.value("seed", Json()).dump(); }

/// A setting that is a text; "" if it is not there, as `init` where the weights are random.
std::string text_at(const Json& settings, const char* key) {
  const auto found = settings.find(key);
  return found != settings.end() && found->is_string() ? found->get<std::string>() : "";
}

/// The settings that do not depend on the seed, and the data seed.
std::string with_data_seed(Json settings) {
  for (const char* key : {"seed", "init", "init_sha256"}) settings.erase(key);
  return nlohmann::json(settings).dump();
}

}  // namespace

CellSettings::CellSettings(const std::vector<Json>& of_all_runs) {
  std::map<std::string, std::set<std::string>> seeds;
  for (const Json& settings : of_all_runs)
    if (settings.contains("data_seed")) seeds[with_data_seed(settings)].insert(seed_of(settings));
  for (const auto& [key, of_key] : seeds)
    if (of_key.size() > 1) fixed_data_.insert(key);
  name_inits(of_all_runs);
}

void CellSettings::name_inits(const std::vector<Json>& of_all_runs) {
  struct SeedsAndNumbers {  // of the paths that differ in numbers alone
    std::set<std::string> seeds;
    std::vector<std::set<std::string>> at;
  };
  std::map<std::vector<std::string>, SeedsAndNumbers> by_texts;
  for (const Json& settings : of_all_runs) {
    const Cut cut = cut_at_numbers(text_at(settings, "init"));
    SeedsAndNumbers& numbers = by_texts[cut.texts];
    numbers.seeds.insert(seed_of(settings));
    numbers.at.resize(cut.numbers.size());
    for (size_t i = 0; i < cut.numbers.size(); ++i) numbers.at[i].insert(cut.numbers[i]);
  }

  struct Family {  // paths that end in the same name
    std::set<std::string> paths;
    std::map<std::string, std::set<std::string>> weights;  // by seed, or for all where the name has none
  };
  std::map<std::string, Family> by_name;
  const auto name_in = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
  for (const Json& settings : of_all_runs) {
    const std::string path = text_at(settings, "init"), seed = seed_of(settings), place = "{seed}";
    if (path.empty()) continue;
    const Cut cut = cut_at_numbers(path);
    const SeedsAndNumbers& numbers = by_texts.at(cut.texts);
    std::string text = cut.texts[0];
    for (size_t i = 0; i < cut.numbers.size(); ++i) {
      const bool fixed = numbers.seeds.size() > 1 && numbers.at[i].size() == 1;
      text += (cut.numbers[i] == seed && !fixed ? place : cut.numbers[i]) + cut.texts[i + 1];
    }
    init_[{path, seed}] = text;
    const std::string name = name_in(text), checksum = text_at(settings, "init_sha256");
    Family& family = by_name[name];
    family.paths.insert(text);
    family.weights[name.find(place) == std::string::npos ? "" : seed].insert(checksum.empty() ? path : checksum);
  }
  for (auto& [path_and_seed, text] : init_) {
    const std::string name = name_in(text);
    const Family& family = by_name.at(name);
    bool same = family.paths.size() > 1;
    for (const auto& [seed, weights] : family.weights) same = same && weights.size() == 1;
    if (same) text = name;
  }
}

Json CellSettings::of(Json settings) const {
  const std::string seed = seed_of(settings);
  const auto init = init_.find({text_at(settings, "init"), seed});
  if (settings.value("data_seed", Json()).dump() == seed && !fixed_data_.contains(with_data_seed(settings)))
    settings.erase("data_seed");
  settings.erase("seed");
  settings.erase("init_sha256");
  if (init != init_.end()) settings["init"] = init->second;
  return settings;
}

}  // namespace orthoread
