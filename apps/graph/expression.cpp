#include "apps/graph/expression.h"

#include "apps/spelling.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/gemm.h"
#include "ops/layout.h"
#include "ops/linear.h"
#include "ops/mlstm.h"
#include "ops/mlstm_composed.h"
#include "ops/newton_schulz.h"
#include "ops/norm.h"
#include "ops/norm_linear.h"
#include "ops/reduce.h"
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
using Numbers = std::vector<double>;

/// What an op takes: `tensors` of them (-1: one or more), then from `least` to `most` numbers.
struct Op {
  int tensors, least, most;
  std::function<Value(const Values& x, const Numbers& c)> compute;
};

std::vector<int> integers(const Numbers& c) { return {c.begin(), c.end()}; }
int64_t whole(double c) { return static_cast<int64_t>(c); }

/// Numbers as indices of this shape, which they have to fill.
Array<int64_t> indices(const Numbers& c, const Shape& shape) { return {shape, {c.begin(), c.end()}}; }

constexpr int kAny = 64;

const std::map<std::string, Op>& ops() {
  const auto one = [](Value (*op)(const Value&)) { return Op{1, 0, 0, [op](auto& x, auto&) { return op(x[0]); }}; };
  const auto two = [](Value (*op)(const Value&, const Value&)) {
    return Op{2, 0, 0, [op](auto& x, auto&) { return op(x[0], x[1]); }};
  };
  const auto with = [](Value (*op)(const Value&, double)) {
    return Op{1, 1, 1, [op](auto& x, auto& c) { return op(x[0], c[0]); }};
  };
  const auto reduction = [](Value (*all)(const Value&), Value (*some)(const Value&, const std::vector<int>&, bool)) {
    return Op{1, 0, kAny, [=](auto& x, auto& c) { return c.empty() ? all(x[0]) : some(x[0], integers(c), false); }};
  };
  static const std::map<std::string, Op> table = {
      {"add", two(add)},
      {"sub", two(sub)},
      {"mul", two(mul)},
      {"div", two(div)},
      {"maximum", two(maximum)},
      {"neg", one(neg)},
      {"exp", one(exp)},
      {"log", one(log)},
      {"sqrt", one(sqrt)},
      {"abs", one(abs)},
      {"tanh", one(tanh)},
      {"sigmoid", one(sigmoid)},
      {"log_sigmoid", one(log_sigmoid)},
      {"silu", one(silu)},
      {"softplus", one(softplus)},
      {"scale", with(scale)},
      {"shift", with(shift)},
      {"clamp_min", with(clamp_min)},
      {"sum", reduction(sum, sum)},
      {"mean", reduction(mean, mean)},
      {"max", reduction(max, max)},
      {"cumsum", {1, 1, 1, [](auto& x, auto& c) { return cumsum(x[0], static_cast<int>(c[0])); }}},
      {"frobenius_norm", one(frobenius_norm)},
      {"reshape", {1, 0, kAny, [](auto& x, auto& c) { return reshape(x[0], Shape(c.begin(), c.end())); }}},
      {"permute", {1, 0, kAny, [](auto& x, auto& c) { return permute(x[0], integers(c)); }}},
      {"slice",
       {1, 3, 3, [](auto& x, auto& c) { return slice(x[0], static_cast<int>(c[0]), whole(c[1]), whole(c[2])); }}},
      {"concat", {-1, 1, 1, [](auto& x, auto& c) { return concat(x, static_cast<int>(c[0])); }}},
      {"stack", {-1, 1, 1, [](auto& x, auto& c) { return stack(x, static_cast<int>(c[0])); }}},
      {"matmul", {2, 0, 0, [](auto& x, auto&) { return matmul(x[0], x[1]); }}},
      {"linear",
       {-1, 0, 0,
        [](auto& x, auto&) {
          check(x.size() == 2 || x.size() == 3, "linear: x, a weight and perhaps a bias, not {} tensors", x.size());
          return x.size() == 2 ? linear(x[0], x[1]) : linear(x[0], x[1], x[2]);
        }}},
      {"blockwise_linear", two(blockwise_linear)},
      {"group_norm", {2, 1, 1, [](auto& x, auto& c) { return group_norm(x[0], x[1], whole(c[0])); }}},
      {"layer_norm", {2, 0, 0, [](auto& x, auto&) { return layer_norm(x[0], x[1]); }}},
      {"gated_norm", {5, 1, 1, [](auto& x, auto& c) { return gated_norm(x[0], x[1], whole(c[0]), x[2], x[3], x[4]); }}},
      {"norm_linear", {4, 0, 0, [](auto& x, auto&) { return norm_linear(x[0], x[1], x[2], x[3]); }}},
      {"gated_norm_linear",
       {7, 1, 1,
        [](auto& x, auto& c) { return gated_norm_linear(x[0], x[1], whole(c[0]), x[2], x[3], x[4], x[5], x[6]); }}},
      {"log_softmax", one(log_softmax)},
      {"softmax", {1, 0, 0, [](auto& x, auto&) { return exp(log_softmax(x[0])); }}},
      {"cross_entropy",
       {1, 1, kAny,
        [](auto& x, auto& c) {
          return cross_entropy(x[0], indices(c, Shape(x[0].shape().begin(), x[0].shape().end() - 1)));
        }}},
      {"embedding", {1, 1, kAny, [](auto& x, auto& c) { return embedding(x[0], indices(c, {std::ssize(c)})); }}},
      {"causal_conv", {3, 0, 0, [](auto& x, auto&) { return causal_conv(x[0], x[1], x[2]); }}},
      {"causal_conv_silu", {3, 0, 0, [](auto& x, auto&) { return causal_conv_silu(x[0], x[1], x[2]); }}},
      {"newton_schulz", {1, 1, 1, [](auto& x, auto& c) { return newton_schulz(x[0], static_cast<int>(c[0])); }}},
      {"mlstm",
       {5, 0, 1,
        [](auto& x, auto& c) {
          const MemoryRead read = MemoryRead::ns(c.empty() ? 5 : static_cast<int>(c[0]));
          return mlstm(x[0], x[1], x[2], x[3], x[4], read);
        }}},
      {"mlstm_composed",
       {5, 0, 1,
        [](auto& x, auto& c) {
          const MemoryRead read = MemoryRead::ns(c.empty() ? 5 : static_cast<int>(c[0]));
          return mlstm_composed(x[0], x[1], x[2], x[3], x[4], read);
        }}},
  };
  return table;
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
    check(ops().contains(name), "graph: there is no op '{}'{} in '{}'", name, meant(name, known), text_);
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

using Parameters = std::function<Value(const std::string&)>;

Value evaluate(const Term& term, const Parameters& named);

/// + - * / with a number on one side: the ops for a constant, which need no tensor for it.
std::optional<Value> with_constant(const Term& term, const Parameters& named) {
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

Value evaluate(const Term& term, const Parameters& named) {
  if (is_number(term)) return Array<double>({}, {term.number});
  if (!term.call) return named(term.name);
  if (const std::optional<Value> y = with_constant(term, named)) return *y;
  const Op& op = ops().at(term.name);
  const bool operands = op.tensors == 2 && op.most == 0;  // for which a number may stand: 1 / x
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
  check(op.tensors < 0 ? n > 0 : n == op.tensors, "{}: takes {} and then numbers, not {} tensors", term.name,
        op.tensors < 0 ? "some tensors" : fmt::format("{} tensors", op.tensors), n);
  check(op.least <= m && m <= op.most, "{}: takes {} to {} numbers after its tensors, not {}", term.name, op.least,
        op.most, m);
  return op.compute(tensors, numbers);
}

// Tried in this order: first what makes a good example, sizes that all differ; then batches of sequences.
const std::vector<std::vector<Shape>> kShapes = {
    {{2, 3}, {3, 4}, {2, 4}, {4, 5}, {2, 5}, {3}, {4}, {5}, {3, 3}, {3, 2}, {4, 3}, {5, 4}, {4, 2}, {2}, {}},
    {{1, 3, 4}, {1, 3, 2}, {4, 1, 2}, {2, 2, 2}, {4}, {5, 4}, {5}}};

}  // namespace

Expression::Expression(const std::string& text) : statements_(Parser(text).statements()) {}

Tensor<double> Expression::value(const std::function<Tensor<double>(const std::string&)>& parameter,
                                 const std::function<void(const std::string&, const Tensor<double>&)>& assigned) const {
  std::map<std::string, Value> known;
  const Parameters named = [&](const std::string& name) {
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
