#include "apps/graph/expression.h"

#include "apps/op_table.h"
#include "apps/spelling.h"
#include "ops/elementwise.h"
#include "ops/softmax.h"

#include <cctype>
#include <charconv>
#include <optional>
#include <utility>

namespace orthoread {

struct Expression::Term {
  std::string name;  // of a parameter or an op; "" for a number
  double number = 0;
  bool call = false;
  std::vector<std::shared_ptr<Term>> arguments = {};
};

namespace {

using Value = Tensor<double>;
using Term = Expression::Term;
using TermPointer = std::shared_ptr<Term>;
using Values = std::vector<Value>;

/// The callable functions by name: the ops of the table, and softmax, which is exp(log_softmax).
const std::map<std::string, OpCall>& ops() {
  static const std::map<std::string, OpCall> known = [] {
    std::map<std::string, OpCall> calls = {
        {"softmax", {1, 0, 0, [](auto& x, auto&) { return exp(log_softmax(x[0])); }}}};
    for (const OpEntry& op : op_table())
      if (op.call.compute) calls.emplace(op.name, op.call);
    return calls;
  }();
  return known;
}

/// Recursive descent over the text.
class Parser {
 public:
  explicit Parser(const std::string& text) : text_(text) {}

  std::vector<std::pair<std::string, TermPointer>> statements() {
    std::vector<std::pair<std::string, TermPointer>> found;
    do {
      const size_t begin = at_;
      std::string name = word();
      if (name.empty() || !take('=')) {
        name.clear();
        at_ = begin;
      }
      found.emplace_back(name, sum());
    } while (take(';') && !at_end());
    if (!at_end()) wrong("an operator or the end");
    return found;
  }

 private:
  TermPointer sum() {
    TermPointer left = product();
    for (;;) {
      if (take('+'))
        left = call("add", {left, product()});
      else if (take('-'))
        left = call("sub", {left, product()});
      else
        return left;
    }
  }
  TermPointer product() {
    TermPointer left = factor();
    for (;;) {
      if (take('*'))
        left = call("mul", {left, factor()});
      else if (take('/'))
        left = call("div", {left, factor()});
      else if (take('@'))
        left = call("matmul", {left, factor()});
      else
        return left;
    }
  }
  TermPointer factor() {
    constexpr int kDeepest = 200;
    if (++depth_ > kDeepest) wrong("fewer parentheses inside each other");
    TermPointer term = take('-') ? negated(factor()) : atom();
    const char after = next();
    check(text_.compare(at_, 2, "^T") != 0 && text_.compare(at_, 2, ".T") != 0,
          "graph: '{}' is no formula: a transpose is written as permute(x, 1, 0)", text_);
    check(after != '^' && text_.compare(at_, 2, "**") != 0,
          "graph: '{}' is no formula: powers are written as products, such as x * x", text_);
    --depth_;
    return term;
  }
  static TermPointer negated(const TermPointer& term) {
    if (!term->name.empty()) return call("neg", {term});
    return std::make_shared<Term>(Term{"", -term->number});
  }
  TermPointer atom() {
    if (take('(')) {
      TermPointer inner = sum();
      if (!take(')')) wrong("a closing parenthesis");
      return inner;
    }
    if (const std::optional<double> number = take_number()) return std::make_shared<Term>(Term{"", *number});
    const std::string name = word();
    if (name.empty()) wrong("a name, a number or a parenthesis");
    if (!take('(')) return std::make_shared<Term>(Term{name});
    std::vector<std::string> known = expression_ops();
    const std::string instead = name == "transpose" ? " (did you mean permute(x, 1, 0)?)" : meant(name, known);
    check(ops().contains(name), "graph: there is no op '{}'{} in '{}'", name, instead, text_);
    std::vector<TermPointer> arguments;
    while (!take(')')) {
      if (!arguments.empty() && !take(',')) wrong("a comma or a closing parenthesis");
      arguments.push_back(sum());
    }
    return call(name, arguments);
  }
  static TermPointer call(const std::string& op, std::vector<TermPointer> arguments) {
    return std::make_shared<Term>(Term{op, 0, true, std::move(arguments)});
  }

  char next() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool at_end() { return next() == '\0' && at_ >= text_.size(); }
  bool take(char c) {
    if (next() != c || at_end()) return false;
    ++at_;
    return true;
  }
  std::string word() {
    const auto letter = [](char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0 || c == '_'; };
    if (!letter(next())) return "";
    const size_t begin = at_;
    while (at_ < text_.size() && (letter(text_[at_]) || std::isdigit(static_cast<unsigned char>(text_[at_])) != 0))
      ++at_;
    return text_.substr(begin, at_ - begin);
  }
  std::optional<double> take_number() {
    if (std::isdigit(static_cast<unsigned char>(next())) == 0 && next() != '.') return std::nullopt;
    double number = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), number);
    if (error != std::errc()) wrong("a number");
    at_ = static_cast<size_t>(end - text_.data());
    return number;
  }
  [[noreturn]] void wrong(const std::string& expected) {
    next();
    throw Error(fmt::format("graph: '{}' is no formula: {} is expected {}", text_, expected,
                            at_ < text_.size() ? "before '" + text_.substr(at_) + "'" : "at its end"));
  }

  const std::string& text_;
  size_t at_ = 0;
  int depth_ = 0;
};

bool is_number(const Term& term) { return term.name.empty(); }

using ParameterNamed = std::function<Value(const std::string&)>;

Value evaluate(const Term& term, const ParameterNamed& named);

/// + - * / with a number on one side: uses the ops for a constant, which need no tensor for it.
std::optional<Value> with_constant(const Term& term, const ParameterNamed& named) {
  if (term.arguments.size() != 2 || is_number(*term.arguments[0]) == is_number(*term.arguments[1])) return std::nullopt;
  const bool number_first = is_number(*term.arguments[0]);
  const double c = term.arguments[number_first ? 0 : 1]->number;
  const Term& other = *term.arguments[number_first ? 1 : 0];
  if (term.name == "add") return shift(evaluate(other, named), c);
  if (term.name == "mul") return scale(evaluate(other, named), c);
  if (term.name == "sub" && !number_first) return shift(evaluate(other, named), -c);
  if (term.name == "sub") return shift(neg(evaluate(other, named)), c);
  if (term.name == "div" && !number_first) return scale(evaluate(other, named), 1 / c);
  return std::nullopt;
}

std::string counted(int least, int most, const char* what) {
  if (least != most) return fmt::format("{} to {} {}s", least, most, what);
  return fmt::format("{} {}{}", most, what, most == 1 ? "" : "s");
}
/// "1 tensor", or "some tensors, then 1 to 64 numbers".
std::string arguments_text(int tensors, int least, int most) {
  const std::string first = tensors < 0 ? "some tensors" : counted(tensors, tensors, "tensor");
  return most == 0 ? first : first + ", then " + counted(least, most, "number");
}

Value evaluate(const Term& term, const ParameterNamed& named) {
  if (is_number(term)) return Array<double>({}, {term.number});
  if (!term.call) return named(term.name);
  if (const std::optional<Value> y = with_constant(term, named)) return *y;
  const OpCall& op = ops().at(term.name);
  const bool operands = op.tensors == 2 && op.most == 0;  // which may be numbers: 1 / x
  Values tensors;
  Numbers numbers;
  for (const TermPointer& argument : term.arguments) {
    if (is_number(*argument) && !operands) {
      numbers.push_back(argument->number);
    } else {
      check(numbers.empty(), "{}: tensors come before numbers", term.name);
      tensors.push_back(evaluate(*argument, named));
    }
  }
  const auto n = static_cast<int>(tensors.size()), m = static_cast<int>(numbers.size());
  check((op.tensors < 0 ? n > 0 : n == op.tensors) && op.least <= m && m <= op.most, "{}: takes {}, not {}", term.name,
        arguments_text(op.tensors, op.least, op.most), arguments_text(n, m, m));
  return op.compute(tensors, numbers);
}

// Tried in this order: first sizes that all differ, which make good examples; then batches of sequences.
const std::vector<std::vector<Shape>> kShapes = {
    {{2, 3}, {3, 4}, {2, 4}, {4, 5}, {2, 5}, {3}, {4}, {5}, {3, 3}, {3, 2}, {4, 3}, {5, 4}, {4, 2}, {2}, {}},
    {{1, 3, 4}, {1, 3, 2}, {4, 1, 2}, {2, 2, 2}, {4}, {5, 4}, {5}}};

}  // namespace

Expression::Expression(const std::string& text) : statements_(Parser(text).statements()) {}

Tensor<double> Expression::value(const std::function<Tensor<double>(const std::string&)>& parameter,
                                 const std::function<void(const std::string&, const Tensor<double>&)>& assigned) const {
  std::map<std::string, Value> known;
  const ParameterNamed named = [&](const std::string& name) {
    const auto at = known.find(name);
    return at != known.end() ? at->second : known.emplace(name, parameter(name)).first->second;
  };
  for (size_t i = 0; i < statements_.size(); ++i) {
    const auto& [name, term] = statements_[i];
    const bool last = i + 1 == statements_.size();
    check(last || !name.empty(), "graph: statement {} is neither assigned to a name nor the last", i + 1);
    Value value = evaluate(*term, named);
    if (assigned && !name.empty()) assigned(name, value);
    if (last) return value;
    known.insert_or_assign(name, value);
  }
  throw Error("graph: an expression has at least one statement");
}

std::map<std::string, Shape> fitting_shapes(const Expression& expression, const std::map<std::string, Shape>& given) {
  const NoGrad no_history;
  std::string first_reason;
  for (const std::vector<Shape>& candidates : kShapes) {
    std::vector<std::pair<std::string, size_t>> chosen;  // an odometer: a shape for each name, in the order of use
    constexpr int kMostTries = 20'000;
    for (int tries = 0; tries < kMostTries; ++tries) {
      std::map<std::string, Shape> shapes;
      try {
        expression.value([&](const std::string& name) {
          const auto at = given.find(name);
          if (at != given.end()) return Value(Array<double>(shapes[name] = at->second));
          auto choice =
              std::find_if(chosen.begin(), chosen.end(), [&](const auto& pair) { return pair.first == name; });
          if (choice == chosen.end()) choice = chosen.insert(chosen.end(), {name, 0});
          return Value(Array<double>(shapes[name] = candidates[choice->second]));
        });
        for (const auto& [name, shape] : given)
          check(shapes.contains(name), "--shape: the expression has no parameter '{}'", name);
        return shapes;
      } catch (const ShapeError& error) {
        if (first_reason.empty()) first_reason = error.what();
      }
      while (!chosen.empty() && ++chosen.back().second == candidates.size()) chosen.pop_back();
      if (chosen.empty()) break;
    }
  }
  throw Error(fmt::format("graph: no shapes were found that fit{} ({})",
                          given.empty() ? "; --shape x=2,3 gives some" : " beside those given", first_reason));
}

std::vector<std::string> expression_ops() {
  std::vector<std::string> names;
  for (const auto& [name, op] : ops()) names.push_back(name);
  return names;
}

}  // namespace orthoread
