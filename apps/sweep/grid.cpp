#include "apps/sweep/grid.h"

#include "apps/spelling.h"
#include "apps/train/flags.h"
#include "data/checksum.h"
#include "data/files.h"
#include "ops/simd/instruction_set.h"

#include <algorithm>
#include <map>
#include <set>

namespace orthoread {
namespace {

using Values = std::vector<std::pair<std::string, Json>>;  // key and value, in the file's order

constexpr int64_t kMostRuns = 1'000'000;

// Keys that a grid may not have: the sweep sets them.
const std::set<std::string> kNotOfAGrid = {"out", "resume", "threads", "json", "quiet", "help"};
constexpr size_t kLongestName = 120;  // of a folder's name without the hash, or of a grid's

/// The keys of a grid and the types of their values.
std::map<std::string, FlagKind> grid_keys() {
  Command command;
  RunFlags flags;
  CommonOptions common;
  flags.add_to(command);
  common.add_to(command);
  std::map<std::string, FlagKind> keys;
  for (auto [key, kind] : command.flags()) {
    std::replace(key.begin(), key.end(), '-', '_');
    if (!kNotOfAGrid.contains(key)) keys[key] = kind;
  }
  return keys;
}

/// Whether a value is clear without its key: ns5, v80_s512, cosine.
bool says_what_it_is(const std::string& key) { return key == "read" || key == "setting" || key == "schedule"; }

std::string text_of(const Json& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

/// The text, changed to be a file name.
std::string file_name(std::string text) {
  std::replace_if(
      text.begin(), text.end(),
      [](unsigned char c) { return !(c < 128 && std::isalnum(c) != 0) && c != '.' && c != '_' && c != '-'; }, '_');
  return text.substr(0, kLongestName);
}

std::string hash_of(const std::string& text) { return sha256(text).substr(0, 8); }

/// Reads a file of grids.
class GridReader {
 public:
  explicit GridReader(std::string path) : path_(std::move(path)), keys_(grid_keys()) {}

  std::vector<GridRun> read() {
    const Json file = read_json(path_);
    check(file.is_object() || file.is_array(), "{}: a grid is a JSON object, or a list of them", path_);
    if (file.is_object()) {
      add(file, path_);
    } else {
      for (size_t i = 0; i < file.size(); ++i) add(file[i], fmt::format("{}, grid {}", path_, i));
    }
    check(!runs_.empty(), "{}: holds no grid", path_);
    return std::move(runs_);
  }

 private:
  void add(const Json& grid, const std::string& where) {
    check(grid.is_object(), "{}: a grid is a JSON object with name, fixed and vary", where);
    static const std::vector<std::string> parts = {"name", "fixed", "vary"};
    for (const auto& [part, value] : grid.items()) {
      check(std::find(parts.begin(), parts.end(), part) != parts.end(),
            "{}: unknown part '{}'{}; name, fixed and vary are allowed", where, part, meant(part, parts));
    }
    const Json name = grid.value("name", Json()), none = Json::object();
    check(name.is_string() && !name.get<std::string>().empty(), "{}: name must be a text that is not empty", where);
    const Json &fixed = grid.contains("fixed") ? grid["fixed"] : none,
               &vary = grid.contains("vary") ? grid["vary"] : none;
    check(fixed.is_object(), "{}: fixed must be an object of keys and values", where);
    check(vary.is_object(), "{}: vary must be an object of keys and lists of values", where);

    Values constant;
    for (const auto& [key, value] : fixed.items()) {
      check_value(key, value, where + ", fixed");
      constant.emplace_back(key, value);
    }
    std::vector<std::pair<std::string, std::vector<Json>>> axes;
    int64_t count = 1;
    for (const auto& [key, list] : vary.items()) {
      check(!fixed.contains(key), "{}: {} is both in fixed and in vary", where, key);
      axes.emplace_back(key, values_of(key, list, where + ", vary"));
      const auto size = static_cast<int64_t>(axes.back().second.size());
      check(size <= kMostRuns / count, "{}: more than {} runs", where, kMostRuns);
      count *= size;
    }
    for (int64_t i = 0; i < count; ++i) {
      Values varied(axes.size());
      int64_t rest = i;
      for (size_t axis = axes.size(); axis-- > 0;) {  // the last axis varies fastest
        const auto& [key, values] = axes[axis];
        varied[axis] = {key, values[static_cast<size_t>(rest) % values.size()]};
        rest /= static_cast<int64_t>(values.size());
      }
      add_run(name, constant, varied, where);
    }
  }

  /// The values of a list or of a range {"from": 11, "to": 26}.
  std::vector<Json> values_of(const std::string& key, const Json& list, const std::string& where) const {
    std::vector<Json> values;
    if (list.is_object()) {
      const Json from = list.value("from", Json()), to = list.value("to", Json());
      constexpr int64_t kMost = int64_t{1} << 61;  // so that differences fit
      const auto allowed = [](const Json& x) {
        return x.is_number_unsigned()
                   ? x.get<uint64_t>() <= kMost
                   : x.is_number_integer() && x.get<int64_t>() >= -kMost && x.get<int64_t>() <= kMost;
      };
      check(list.size() == 2 && allowed(from) && allowed(to) && from.get<int64_t>() <= to.get<int64_t>(),
            "{}: {}: a range is {{\"from\": A, \"to\": B}} with whole numbers A <= B of at most 2^61, not {}", where,
            key, list.dump());
      const int64_t first = from.get<int64_t>(), last = to.get<int64_t>();
      check(last - first < kMostRuns, "{}: {}: more than {} values", where, key, kMostRuns);
      for (int64_t x = first; x <= last; ++x) values.emplace_back(x);
    } else {
      check(list.is_array() && !list.empty(),
            "{}: {}: a list of values, or {{\"from\": A, \"to\": B}}, is allowed, not {}", where, key, list.dump());
      values.assign(list.begin(), list.end());
      std::set<std::string> seen;
      for (const Json& value : values)
        check(seen.insert(value.dump()).second, "{}: {}: {} is there twice", where, key, value.dump());
    }
    for (const Json& value : values) check_value(key, value, where);
    return values;
  }

  void check_value(const std::string& key, const Json& value, const std::string& where) const {
    check(!kNotOfAGrid.contains(key), "{}: {} is not allowed in a grid: the sweep sets it", where, key);
    const auto found = keys_.find(key);
    if (found == keys_.end()) {
      std::vector<std::string> known;
      for (const auto& [name, kind] : keys_) known.push_back(name);
      throw Error(fmt::format("{}: unknown key '{}'{}; the flags of train are allowed, with underscores", where, key,
                              meant(key, known)));
    }
    const auto expect = [&](bool fits, const char* what) {
      check(fits, "{}: {}: {} is expected, not {}", where, key, what, value.dump());
    };
    switch (found->second) {
      case FlagKind::whole:
        return expect(value.is_number_integer(), "a whole number");
      case FlagKind::number:
        return expect(value.is_number(), "a number");
      case FlagKind::text:
        return expect(value.is_string(), "a text");
      case FlagKind::yes_or_no:
        return expect(value.is_boolean(), "true or false");
    }
  }

  void add_run(const std::string& grid, const Values& constant, const Values& varied, const std::string& where) {
    GridRun run;
    run.index = static_cast<int64_t>(runs_.size());
    const std::string plain = file_name(grid);
    run.grid = plain == grid ? plain : plain + "-" + hash_of(grid);  // größe and grüße have the same plain name
    Values all = constant;
    all.insert(all.end(), varied.begin(), varied.end());
    const auto seed = std::find_if(all.begin(), all.end(), [](const auto& value) { return value.first == "seed"; });
    const std::string seed_text = seed == all.end() ? std::to_string(TrainConfig().seed) : text_of(seed->second);
    for (const auto& [key, value] : all) {
      std::string flag = "--" + key, text = text_of(value);
      std::replace(flag.begin(), flag.end(), '_', '-');
      if (value.is_boolean()) {
        if (value.get<bool>()) run.flags.push_back(flag);
        continue;
      }
      if (text.empty()) {  // after a "=" the next flag would be taken for it
        if (key != "init") run.flags.insert(run.flags.end(), {flag, text});  // without a file the weights are random
        continue;
      }
      const std::string place = "{seed}";
      for (size_t at; key == "init" && (at = text.find(place)) != std::string::npos;)
        text.replace(at, place.size(), seed_text);
      run.flags.push_back(fmt::format("{}={}", flag, text));
    }
    for (const auto& [key, value] : varied) run.varied.emplace_back(key, text_of(value));
    resolve(run, where);
    run.name = name_of(run);
    const auto [first, is_new] = by_hash_.try_emplace(run.hash, runs_.size());
    check(is_new || identity(runs_[first->second].settings) == identity(run.settings),
          "{}, run {}: its settings have the same hash, {}, as those of {}; change a seed of one of them", where,
          run.index, run.hash, is_new ? "" : runs_[first->second].name);
    runs_.push_back(std::move(run));
  }

  /// Parses the flags as `train` does.
  static void resolve(GridRun& run, const std::string& where) {
    Command command;
    RunFlags flags;
    CommonOptions common;
    flags.add_to(command);
    common.add_to(command);
    try {
      command.parse(run.flags);
      const auto named = [&](InstructionSet set) { return *common.instruction_set == name(set); };
      check(!common.instruction_set || std::any_of(std::begin(kInstructionSets), std::end(kInstructionSets), named),
            "--instruction-set: baseline, avx2 and avx512 are allowed, not '{}'", *common.instruction_set);
      run.config = flags.config();
      run.settings = run.config.to_json();
    } catch (const Error& error) {
      throw Error(fmt::format("{}, run {}: {}", where, run.index, error.what()));
    }
    run.hash = hash_of(identity(run.settings).dump());
  }

  /// The values that vary (or else the grid's name), and the hash.
  static std::string name_of(const GridRun& run) {
    std::vector<std::string> words;
    for (const auto& [key, value] : run.varied) words.push_back(says_what_it_is(key) ? value : key + value);
    return (words.empty() ? run.grid : file_name(fmt::format("{}", fmt::join(words, "-")))) + "-" + run.hash;
  }

  std::string path_;
  std::map<std::string, FlagKind> keys_;
  std::vector<GridRun> runs_;
  std::map<std::string, size_t> by_hash_;  // where in runs_ the first run of a hash is
};

}  // namespace

std::string GridRun::label() const {
  std::vector<std::string> words;
  for (const auto& [key, value] : varied)
    words.push_back(says_what_it_is(key) ? value : fmt::format("{} {}", key, value));
  return words.empty() ? name : fmt::format("{}", fmt::join(words, ", "));
}

std::vector<GridRun> read_grid(const std::string& path) { return GridReader(path).read(); }

}  // namespace orthoread
