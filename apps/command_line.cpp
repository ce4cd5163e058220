#include "apps/command_line.h"

#include "apps/console.h"
#include "core/check.h"

#include <CLI/CLI.hpp>

#include <limits>
#include <sstream>
#include <type_traits>

namespace orthoread {
namespace {

/// A flag with a number. Text that is not a number or does not fit is an error. (CLI11 itself would clamp it, and read
/// -1 as 2^64 - 1 and 010 as 8.)
template <class N, class Value>
CLI::Option* add_number(CLI::App& command, const std::string& flag, Value& value, const std::string& help) {
  const auto read = [flag, &value](const CLI::results_t& texts) {
    const std::optional<N> number = number_from<N>(texts.back());
    check(number.has_value(), "{}: a {}number {} to {} is allowed, not '{}'", flag,
          std::is_integral_v<N> ? "whole " : "", std::is_unsigned_v<N> ? "from 0" : "up", std::numeric_limits<N>::max(),
          texts.back());
    value = *number;
    return true;
  };
  return command.add_option(flag, read, help)->type_name(std::is_integral_v<N> ? "INT" : "FLOAT");
}

template <class N>
constexpr FlagKind kKindOf = std::is_integral_v<N> ? FlagKind::whole : FlagKind::number;

}  // namespace

Flag& Flag::required() {
  option_->required();
  return *this;
}

Flag& Flag::default_is(const std::string& text) {
  option_->default_str(text);
  return *this;
}

Flag& Flag::takes(const std::string& text) {
  option_->type_name(text);
  return *this;
}

Command::Command() : Command(std::make_shared<CLI::App>(), std::make_shared<int>(0)) {}

Command::Command(std::shared_ptr<CLI::App> app, std::shared_ptr<int> exit_code)
    : app_(std::move(app)), exit_code_(std::move(exit_code)) {}

Flag Command::added(const std::string& name, FlagKind kind, CLI::Option* option) {
  if (!heading_.empty()) option->group(heading_);
  if (name.starts_with("--")) flags_.emplace_back(name.substr(2), kind);
  return Flag(option);
}

template <FlagNumber N>
Flag Command::add(const std::string& name, N& value, const std::string& help) {
  return added(name, kKindOf<N>, add_number<N>(*app_, name, value, help)->default_str(fmt::format("{}", value)));
}

template <FlagNumber N>
Flag Command::add(const std::string& name, std::optional<N>& value, const std::string& help) {
  return added(name, kKindOf<N>, add_number<N>(*app_, name, value, help));
}

template Flag Command::add(const std::string&, int&, const std::string&);
template Flag Command::add(const std::string&, int64_t&, const std::string&);
template Flag Command::add(const std::string&, uint64_t&, const std::string&);
template Flag Command::add(const std::string&, double&, const std::string&);
template Flag Command::add(const std::string&, std::optional<int>&, const std::string&);
template Flag Command::add(const std::string&, std::optional<int64_t>&, const std::string&);
template Flag Command::add(const std::string&, std::optional<uint64_t>&, const std::string&);
template Flag Command::add(const std::string&, std::optional<double>&, const std::string&);

Flag Command::add(const std::string& name, std::string& value, const std::string& help) {
  return added(name, FlagKind::text, app_->add_option(name, value, help)->capture_default_str());
}

Flag Command::add(const std::string& name, std::optional<std::string>& value, const std::string& help) {
  return added(name, FlagKind::text, app_->add_option(name, value, help));
}

Flag Command::add(const std::string& name, std::vector<std::string>& values, const std::string& help) {
  return added(name, FlagKind::text,
               app_->add_option(name, values, help)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll));
}

Flag Command::add(const std::string& name, bool& value, const std::string& help) {
  return added(name, FlagKind::yes_or_no, app_->add_flag(name, value, help));
}

void Command::footer(const std::string& text) { app_->footer(text); }

void Command::runs(std::function<int()> action) {
  app_->callback([action = std::move(action), exit_code = exit_code_] { *exit_code = action(); });
}

Command Command::add_command(const std::string& name, const std::string& help) {
  CLI::App* command = app_->add_subcommand(name, help);  // owned by the program
  return {std::shared_ptr<CLI::App>(std::shared_ptr<CLI::App>(), command), exit_code_};
}

void Command::needs_command() { app_->require_subcommand(1); }

bool Command::given(const std::string& flag) const { return app_->count(flag) > 0; }

void Command::parse(const std::vector<std::string>& arguments) {
  try {
    app_->parse(std::vector<std::string>(arguments.rbegin(), arguments.rend()));  // CLI11 takes them from the back
  } catch (const CLI::Error& error) {
    throw Error(error.what());
  }
}

CommandLine::CommandLine(const std::string& name, const std::string& help, const std::string& version) {
  app_->name(name);
  app_->description(help);
  app_->set_version_flag("--version", version);
  app_->option_defaults()->multi_option_policy(
      CLI::MultiOptionPolicy::TakeLast);  // a flag given twice: the last one counts
  app_->require_subcommand(0, 1);
  app_->final_callback([app = app_.get()] {  // checked last, so that an unknown command is reported first
    if (app->get_subcommands().empty()) throw CLI::RequiredError("A command");
  });
}

int CommandLine::run(int argc, char** argv) {
  try {
    app_->parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != 0) {
      const auto named = app_->get_subcommands();
      throw Error(fmt::format("{} ({}{} --help lists what is allowed)", error.what(), app_->get_name(),
                              named.empty() ? "" : " " + named[0]->get_name()));
    }
    std::ostringstream text;  // of --help, --version
    app_->exit(error, text);
    write_to_stdout(text.str());
    return 0;
  }
  return *exit_code_;
}

}  // namespace orthoread
