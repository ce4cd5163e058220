#include "apps/commands.h"
#include "apps/console.h"
#include "apps/gradcheck/gain.h"
#include "apps/gradcheck/matrix_checks.h"
#include "apps/gradcheck/op_checks.h"
#include "apps/gradcheck/targets.h"
#include "apps/options.h"
#include "apps/progress.h"

namespace orthoread {
namespace {

/// The columns of the table and their ways of checking.
const std::pair<const char*, Way> kColumns[] = {
    {"Dual", Way::dual},       {"Jacobian", Way::jacobian},        {"differ.", Way::differences},
    {"twin", Way::twin},       {"on Dual", Way::backward_on_dual}, {"Hessian", Way::symmetry},
    {"differ.", Way::hessian}, {"float32", Way::float32}};

/// The targets that each flag applies to.
const std::map<std::string, std::vector<std::string>> kFlags = {{"--ns-steps", {"newton_schulz", "read"}},
                                                                {"--polynomial", {"newton_schulz", "gain"}},
                                                                {"--read", {"read", "model"}},
                                                                {"--alpha", {"read"}},
                                                                {"--group-norm", {"read"}},
                                                                {"--width", {"newton_schulz", "read"}},
                                                                {"--rank", {"newton_schulz", "read"}},
                                                                {"--sequences", {"read"}},
                                                                {"--tokens", {"read"}},
                                                                {"--masked", {"read"}},
                                                                {"--condition", {"newton_schulz", "read"}},
                                                                {"--scale", {"newton_schulz", "read"}},
                                                                {"--out", {"gain"}}};

Json to_json(const GradientReport& report) {
  Json ways, inputs = Json::array();
  for (const WayReport& way : report.ways) ways[name(way.way)] = {{"worst", way.worst}, {"allowed", way.limit}};
  for (const InputReport& input : report.inputs) {
    Json worst = Json::array();
    for (const EntryReport& entry : input.worst) {
      worst.push_back({{"at", entry.at},
                       {"analytic", entry.analytic},
                       {"dual", entry.dual},
                       {"differences", entry.difference},
                       {"absolute", entry.absolute},
                       {"relative", entry.relative}});
    }
    const auto order = [](const std::optional<double>& observed) { return observed ? Json(*observed) : Json(nullptr); };
    inputs.push_back({{"name", input.name},
                      {"shape", input.shape},
                      {"largest", input.largest},
                      {"compared", input.compared},
                      {"dual", {{"median", input.dual_median}, {"most", input.dual_most}}},
                      {"differences",
                       {{"median", input.difference_median},
                        {"most", input.difference_most},
                        {"order_2_point", order(input.order2)},
                        {"order_4_point", order(input.order4)}}},
                      {"float32", input.float32},
                      {"worst", worst}});
  }
  return {{"name", report.name}, {"verdict", name(report.verdict())}, {"ways", ways},
          {"inputs", inputs},    {"failures", report.failures},       {"kinks", report.kinks}};
}

/// The largest error of each way over some reports, and the largest one allowed.
std::map<Way, WayReport> worst_of(const std::vector<GradientReport>& reports) {
  std::map<Way, WayReport> worst;
  for (const GradientReport& report : reports) {
    for (const WayReport& way : report.ways) {
      WayReport& most = worst.try_emplace(way.way, way).first->second;
      most.worst = std::max(most.worst, way.worst);
      most.limit = std::max(most.limit, way.limit);
    }
  }
  return worst;
}

struct Gradcheck {
  CommonOptions common;
  std::vector<std::string> targets;
  MatrixCase one;  // the case that is checked in depth
  std::optional<int> ns_steps;
  std::string out;  // the file for the plot of the gain
  std::optional<Command> command;

  int run() {
    common.apply();
    std::vector<std::string> allowed = check_targets();
    allowed.emplace_back("gain");
    for (const std::string& target : targets) {
      check(std::find(allowed.begin(), allowed.end(), target) != allowed.end(), "gradcheck: {} are allowed, not '{}'",
            fmt::join(allowed, ", "), target);
      check(target != "gain" || targets.size() == 1, "gradcheck: gain cannot be combined with other targets");
    }
    const std::string only = targets.size() == 1 ? targets[0] : "";
    check_flags(only);
    if (only == "gain") return show_gain();
    const bool in_depth =
        is_checked_op(only) || only == "model" ||
        std::any_of(kFlags.begin(), kFlags.end(), [&](const auto& flag) { return given(flag.first); });
    return in_depth ? check_one(only) : check_table(targets.empty() ? check_targets() : targets);
  }

 private:
  bool given(const std::string& flag) const { return command->given(flag); }

  /// Each flag needs one of its targets, and has a range.
  void check_flags(const std::string& only) {
    for (const auto& [flag, of] : kFlags) {
      check(!given(flag) || std::find(of.begin(), of.end(), only) != of.end(), "{}: goes with {}, as the only target",
            flag, fmt::join(of, " or "));
    }
    constexpr int64_t kWidest = 64, kMostSequences = 16, kLongest = 1024;
    const auto in_range = [](const char* flag, auto value, auto low, auto high) {
      check(low <= value && value <= high, "{}: from {} to {} is allowed, not {}", flag, low, high, value);
    };
    in_range("--width", one.width, int64_t{1}, kWidest);
    if (!given("--rank")) one.rank = one.width;
    in_range("--rank", one.rank, int64_t{1}, one.width);
    in_range("--sequences", one.sequences, int64_t{1}, kMostSequences);
    in_range("--tokens", one.tokens, int64_t{1}, kLongest);
    in_range("--condition", one.condition, 1.0, 1e16);
    in_range("--scale", one.scale, 1e-30, 1e30);
    in_range("--alpha", one.alpha, 0.0, 1.0);
    check(one.polynomial == "cubic" || one.polynomial == "quintic",
          "--polynomial: cubic and quintic are allowed, not '{}'", one.polynomial);
    if (!ns_steps) return;
    in_range("--ns-steps", *ns_steps, 0, kMostReadSteps);
    check(!given("--read"), "--ns-steps: --read {} says how many already", one.read);
    one.steps = *ns_steps;
    one.read = fmt::format("ns{}", *ns_steps);
  }

  int show_gain() const {
    const OddPolynomial step = one.polynomial == "quintic" ? kMuonQuintic : kCubic;
    if (!out.empty()) plot_gains(out, step, one.seed);
    const GainTable table({0.7, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 1e-3, 1e-4, 1e-6, 0}, {0, 1, 2, 3, 5, 8, 10}, step,
                          one.seed);
    if (!common.json) {
      print_out("{}", table.text());
      return kDone;
    }
    Json rows = Json::array();
    const auto number = [](double x) { return std::isfinite(x) ? Json(x) : Json("infinity"); };
    for (size_t i = 0; i < table.gains.size(); ++i) {
      const double s = table.singular_values[i];
      const auto line = [&](const std::string& read, const Gain& gain) {
        rows.push_back({{"singular_value", s},
                        {"read", read},
                        {"turning", number(gain.turning)},
                        {"stretching", gain.stretching}});
      };
      for (size_t j = 0; j < table.steps.size(); ++j) line(fmt::format("ns{}", table.steps[j]), table.gains[i][j]);
      line("polar", polar_gain(s));
    }
    print_out("{}\n", Json{{"gains", rows}, {"polynomial", one.polynomial}}.dump(2));
    return kDone;
  }

  /// One check, with all its findings.
  int check_one(const std::string& target) const {
    const GradientReport report = target == "newton_schulz" ? check_newton_schulz(one)
                                  : target == "read"        ? check_read(one)
                                  : target == "model"       ? check_model(MemoryRead::parse(one.read), one.seed)
                                                            : check_op(target, one.seed);
    if (common.json) {
      Json document = to_json(report);
      document["seed"] = one.seed;
      document["passed"] = report.passed();
      print_out("{}\n", document.dump(2));
    } else {
      print_out("{}", to_text(report));
    }
    return report.passed() ? kDone : kFailed;
  }

  /// Many checks, a row for each kind.
  int check_table(const std::vector<std::string>& names) const {
    std::vector<CheckGroup> groups;
    for (const std::string& target : names) {
      for (CheckGroup& group : check_groups(target, one.seed)) groups.push_back(std::move(group));
    }
    std::map<Way, double> allowed;  // as last printed
    if (!common.json) print_heading();
    Progress progress("gradcheck", 0, static_cast<int64_t>(groups.size()), common.quiet);
    Json rows = Json::array(), failures = Json::array();
    int64_t checks = 0, failed = 0, done = 0;
    for (const CheckGroup& group : groups) {
      std::vector<GradientReport> reports;
      int64_t right = 0;
      for (const auto& check : group.checks) {
        const GradientReport& report = reports.emplace_back(check());
        right += report.passed() ? 1 : 0;
        for (const std::vector<std::string>* lines : {&report.failures, &report.kinks})
          for (const std::string& line : *lines) failures.push_back(line);
      }
      const auto all = static_cast<int64_t>(reports.size());
      checks += all, failed += all - right;
      Json row = {{"target", group.target}, {"name", group.name}, {"checks", all}, {"right", right}};
      const std::map<Way, WayReport> worst = worst_of(reports);
      for (const auto& [way, most] : worst) {
        row["worst"][name(way)] = most.worst;
        row["allowed"][name(way)] = most.limit;
      }
      if (!common.json) print_row(group, fmt::format("{}/{}", right, all), worst, allowed);
      rows.push_back(std::move(row));
      progress.update(++done, group.target + " " + group.name);
    }
    if (common.json) {
      print_out("{}\n", Json{{"passed", failed == 0},
                             {"checks", checks},
                             {"failed", failed},
                             {"seed", one.seed},
                             {"rows", rows},
                             {"failures", failures}}
                            .dump(2));
    } else {
      print_out("\n");
      constexpr size_t kMostLines = 20;
      for (size_t i = 0; i < std::min(failures.size(), kMostLines); ++i)
        print_out("{}\n", failures[i].get<std::string>());
      if (failures.size() > kMostLines) print_out("… and {} more: --json has them all\n", failures.size() - kMostLines);
      print_out("{} of {} checks right\n", checks - failed, checks);
    }
    return failed == 0 ? kDone : kFailed;
  }

  static void print_heading() {
    print_out("{:<18}{:<30}{:>7}", "worst errors", "", "right");
    for (const auto& [title, way] : kColumns) print_out("{:>10}", title);
    print_out("\n");
  }

  /// Prints a row, preceded by the allowed errors if they have changed.
  static void print_row(const CheckGroup& group, const std::string& right, const std::map<Way, WayReport>& ways,
                        std::map<Way, double>& allowed) {
    const bool news = std::any_of(ways.begin(), ways.end(), [&](const auto& way) {
      const auto at = allowed.find(way.first);
      return at == allowed.end() || at->second != way.second.limit;
    });
    for (const auto& [way, report] : ways) allowed[way] = report.limit;
    std::string limits, errors;
    for (const auto& [title, way] : kColumns) {
      const auto limit = allowed.find(way);
      const auto gone = ways.find(way);
      limits += limit == allowed.end() ? fmt::format("{:>10}", "")
                : way == Way::float32  ? fmt::format("{:>10.0f}", limit->second)
                                       : fmt::format("{:>10.0e}", limit->second);
      errors += gone == ways.end()    ? fmt::format("{:>10}", "-")
                : way == Way::float32 ? fmt::format("{:>10.1f}", gone->second.worst)
                                      : fmt::format("{:>10.1e}", gone->second.worst);
    }
    if (news) print_out("{:<55}{}\n", "allowed", limits);
    print_out("{:<18}{:<30}{:>7}{}\n", group.target, group.name, right, errors);
    std::fflush(stdout);
  }
};

}  // namespace

void add_gradcheck_command(Command& program) {
  const auto check = std::make_shared<Gradcheck>();
  Command command = program.add_command("gradcheck", "Check gradients: against dual numbers, differences and twins");
  check->command = command;
  std::vector<std::string> targets = check_targets();
  command.add("TARGET", check->targets, fmt::format("{}, or gain", fmt::join(targets, ", ")))
      .default_is("all but gain");
  command.add("--seed", check->one.seed, "Seed of inputs, cotangents and directions");
  command.add("--ns-steps", check->ns_steps, "Newton-Schulz steps, 0 to 10").default_is("5");
  command.add("--polynomial", check->one.polynomial, "newton_schulz, gain: cubic or quintic");
  command.add("--read", check->one.read, "read, model: raw or ns<k>");
  command.add("--alpha", check->one.alpha, "read: weight of the orthogonalized memory");
  command.add("--group-norm", check->one.normed, "read: apply the group norm afterwards");
  command.add("--width", check->one.width, "Width of the matrix or of a head, 1 to 64");
  command.add("--rank", check->one.rank, "Rank of the matrix or of the memory's keys").default_is("the width");
  command.add("--condition", check->one.condition, "Largest over smallest singular value, 1 to 1e16");
  command.add("--scale", check->one.scale, "Largest singular value");
  command.add("--tokens", check->one.tokens, "read: tokens in a sequence, 1 to 1024");
  command.add("--sequences", check->one.sequences, "read: number of sequences, 1 to 16");
  command.add("--masked", check->one.masked, "read: read only two tokens of three");
  command.add("--out", check->out, "gain: plot to an .svg or .png file");
  check->common.add_to(command);
  command.footer(
      "Without a target, or for newton_schulz or read without flags of their own: a table of many checks.\n"
      "For an op, or with such flags: one check in depth.\n"
      "gain: how much orthogonalization enlarges the gradient, by singular value.\n"
      "Example:\n  orthoread gradcheck read --ns-steps 5 --rank 3 --seed 7 --json");
  command.runs([check] { return check->run(); });
}

}  // namespace orthoread
