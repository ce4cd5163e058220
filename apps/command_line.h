// The command line: the program's commands, their flags, and what --help says of them. CLI11 stands behind it, and is
// compiled in command_line.cpp alone: in every command it would take longer to build than the command.
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

/// The whole of `text` as a number; nothing if it is none or does not fit into N.
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

/// What a flag takes.
enum class FlagKind { whole, number, text, yes_or_no };

/// A flag that was just added.
class Flag {
 public:
  explicit Flag(CLI::Option* option) : option_(option) {}
  Flag& required();
  /// What --help names as the default, where that is not the variable's value.
  Flag& default_is(const std::string& text);
  /// What --help calls its value.
  Flag& takes(const std::string& text);

 private:
  CLI::Option* option_;
};

/// A command: flags that are written into variables, and what it does. A copy is the same command.
class Command {
 public:
  /// One without a program around it, for text that is read as a command's flags.
  Command();

  /// Adds a flag, "--name", or the arguments without one, "name". Variables keep their value where the flag is not
  /// given. A number that is none, or does not fit, is refused.
  template <FlagNumber N>
  Flag add(const std::string& name, N& value, const std::string& help);
  template <FlagNumber N>
  Flag add(const std::string& name, std::optional<N>& value, const std::string& help);
  Flag add(const std::string& name, std::string& value, const std::string& help);
  Flag add(const std::string& name, std::optional<std::string>& value, const std::string& help);
  Flag add(const std::string& name, std::vector<std::string>& values, const std::string& help);
  Flag add(const std::string& name, bool& value, const std::string& help);

  /// The heading under which --help lists the flags added from here on.
  void heading(const std::string& text) { heading_ = text; }
  /// What --help says at the end: remarks and an example.
  void footer(const std::string& text);
  /// What the command does; returns the program's exit code.
  void runs(std::function<int()> action);
  /// A command of this program or group of commands.
  Command add_command(const std::string& name, const std::string& help);
  /// A group of commands needs one of them.
  void needs_command();

  /// Whether the flag is on the command line.
  bool given(const std::string& flag) const;
  /// The names of the flags that were added through this object, without dashes, and what they take.
  const std::vector<std::pair<std::string, FlagKind>>& flags() const { return flags_; }
  /// Reads these arguments into the variables. An Error says what is wrong with them.
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

/// The program: what its command line starts with.
class CommandLine : public Command {
 public:
  CommandLine(const std::string& name, const std::string& help, const std::string& version);
  /// Runs the command that the arguments name and returns its exit code; --help and --version are answered on stdout.
  /// An Error says what is wrong with the arguments.
  int run(int argc, char** argv);
};

}  // namespace orthoread
