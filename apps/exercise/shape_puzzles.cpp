// Checks a file of shape puzzles: shape_puzzles FILE. Each answer is computed and compared with the engine's gradient.
#include "apps/command_line.h"
#include "apps/graph/expression.h"
#include "data/files.h"
#include "ops/gradcheck/numbers.h"

#include <fmt/format.h>

#include <sstream>

using namespace orthoread;

namespace {

/// "1: y = x @ w   with x=2,3 w=3,4"
struct Puzzle {
  std::string number, formula;
  std::map<std::string, Tensor<double>> inputs = {};

  explicit Puzzle(const std::string& line) {
    const size_t colon = line.find(':'), equals = line.find('='), with = line.find("with");
    check(colon < equals && equals < with && with != line.npos,
          "shapes: '{}' is no puzzle; leave the lines as they are", line);
    number = line.substr(0, colon);
    formula = line.substr(equals + 1, with - equals - 1);
    std::istringstream shapes(line.substr(with + 4));
    uint64_t seed = 1;
    for (std::string text; shapes >> text; ++seed) {
      Shape shape;
      std::istringstream sizes(text.substr(2));
      for (std::string size; std::getline(sizes, size, ',');) {
        const std::optional<int64_t> n = number_from<int64_t>(size);
        check(n && *n > 0, "shapes: '{}' is no size in '{}'; leave the lines as they are", size, line);
        shape.push_back(*n);
      }
      inputs.emplace(text.substr(0, 1), Tensor<double>::leaf(uniform_array(shape, seed)));
    }
  }

  /// What is wrong with the answer for the gradient of this input; empty if it is right.
  std::string judge(const std::string& of, const std::string& answer) const {
    const Tensor<double> y = Expression(formula).value([&](const std::string& name) { return inputs.at(name); });
    const Array<double> dy = uniform_array(y.shape(), 9);
    backward(y, dy);
    const Array<double> right = inputs.at(of).grad();
    for (const auto& [name, input] : inputs) Tensor<double>(input).set_grad({});
    const NoGrad no_history;
    const Array<double> yours = Expression(answer)
                                    .value([&](const std::string& name) -> Tensor<double> {
                                      if (name == "dy") return dy;
                                      check(inputs.contains(name), "there is no '{}' in this puzzle", name);
                                      return inputs.at(name).value();
                                    })
                                    .value();
    if (yours.shape() != right.shape())
      return fmt::format("d{} must have {}'s shape {}, and this has {}", of, of, right.shape(), yours.shape());
    return relative_error(yours, right) < 1e-12 ? "" : "the shape fits, but the numbers are wrong";
  }
};

int run(const std::string& path) {
  std::istringstream lines(read_file(path));
  int right = 0, all = 0;
  std::string puzzle;
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (line[0] != 'd') {
      puzzle = line;
      continue;
    }
    const Puzzle asked(puzzle);
    const size_t equals = line.find('=');
    check(equals != line.npos, "shapes: an answer is written as dx = formula, not '{}'", line);
    const std::string answer = line.substr(std::min(line.size(), line.find_first_not_of(' ', equals + 1)));
    std::string wrong = "not answered yet";
    if (answer.find('?') == answer.npos) {
      try {
        wrong = asked.judge(line.substr(1, 1), answer);
      } catch (const Error& error) {
        wrong = error.what();
        if (wrong.starts_with("graph: ")) wrong = wrong.substr(wrong.find(' ') + 1);  // which reads the formulas
      }
    }
    fmt::print("{}: {}\n", asked.number, wrong.empty() ? "right" : wrong);
    ++all;
    right += wrong.empty() ? 1 : 0;
  }
  constexpr int kPuzzles = 8;
  fmt::print("\n{} of {} right.\n", right, kPuzzles);
  check(all == kPuzzles, "shapes: {} has {} puzzles of {}; remove it, and there will be a new one", path, all,
        kPuzzles);
  return right == all ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  try {
    check(argc == 2, "shape_puzzles: one file is expected");
    return run(argv[1]);
  } catch (const std::exception& error) {
    fmt::print(stderr, "{}\n", error.what());
    return 2;
  }
}
