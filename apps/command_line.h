// The command line: commands, their flags, and the text of --help. Wraps CLI11, which is slow to compile: only
// command_line.cpp includes it.
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace orthoread {

/// `text` as a number; nullopt if it is not one or does not fit into N.
template <class N>
std::optional<N> number_from(std::string_view text) {
  N value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class N>
concept FlagNumber =
    std::same_as<N, int> || std::same_as<N, int64_t> || std::same_as<N, uint64_t> || std::same_as<N, double>;

/// The type of a flag's value.
enum class FlagKind { whole, number, text, yes_or_no };

/// A flag that was just added.
class Flag {
 public:
  explicit Flag(CLI::Option* option) : option_(option) {}
  Flag& required();
  /// The default that --help shows, if it is not the variable's value.
  Flag& default_is(const std::string& text);
  /// The name of the value in --help.
  Flag& takes(const std::string& text);

 private:
  CLI::Option* option_;
};

/// A command: an action, and flags that set variables. Copies refer to the same command.
class Command {
 public:
  /// A command without a program, to parse text as its flags.
  Command();

  /// Adds a flag, "--name", or a positional argument, "name". Its variable keeps its value if the flag is not given.
  /// Text that is not a number, or does not fit, is an error.
  template <FlagNumber N>
  Flag add(const std::string& name, N& value, const std::string& help);
  template <FlagNumber N>
  Flag add(const std::string& name, std::optional<N>& value, const std::string& help);
  Flag add(const std::string& name, std::string& value, const std::string& help);
  Flag add(const std::string& name, std::optional<std::string>& value, const std::string& help);
  Flag add(const std::string& name, std::vector<std::string>& values, const std::string& help);
  Flag add(const std::string& name, bool& value, const std::string& help);

  /// The heading in --help of the flags that are added next.
  void heading(const std::string& text) { heading_ = text; }
  /// The end of --help: remarks and an example.
  void footer(const std::string& text);
  /// The action of the command; it returns the exit code.
  void runs(std::function<int()> action);
  /// Adds a command to this program or group of commands.
  Command add_command(const std::string& name, const std::string& help);
  /// For a group: it is an error to name none of its commands.
  void needs_command();

  /// Whether the flag is on the command line.
  bool given(const std::string& flag) const;
  /// Names (without dashes) and types of the flags that were added through this object.
  const std::vector<std::pair<std::string, FlagKind>>& flags() const { return flags_; }
  /// Parses the arguments into the variables. An Error says what is wrong with them.
  void parse(const std::vector<std::string>& arguments);

 protected:
  std::shared_ptr<CLI::App> app_;
  std::shared_ptr<int> exit_code_;

 private:
  Command(std::shared_ptr<CLI::App> app, std::shared_ptr<int> exit_code);
  Flag added(const std::string& name, FlagKind kind, CLI::Option* option);

  std::string heading_;
  std::vector<std::pair<std::string, FlagKind>> flags_;
};

/// The program and its commands.
class CommandLine : public Command {
 public:
  CommandLine(const std::string& name, const std::string& help, const std::string& version);
  /// Runs the command that the arguments name and returns its exit code. --help and --version print to stdout. An Error
  /// says what is wrong with the arguments.
  int run(int argc, char** argv);
};

}  // namespace orthoread
