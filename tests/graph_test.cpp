// orthoread graph: expressions, traces of the real engine, folding, and the files.
#include "apps/graph/expression.h"
#include "apps/graph/picture.h"
#include "apps/json_file.h"
#include "data/files.h"
#include "ops/elementwise.h"
#include "ops/mlstm_composed.h"
#include "ops/newton_schulz.h"
#include "ops/reduce.h"
#include "tests/program.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <sstream>

using namespace orthoread;

namespace {

Tensor<double> scalar(double x) { return Tensor<double>::leaf(Array<double>({}, {x})); }

/// The value of an expression for scalars.
double value_of(const std::string& text, const std::map<std::string, double>& numbers = {}) {
  return Expression(text).value([&](const std::string& name) { return scalar(numbers.at(name)); }).value().item();
}

std::string message(const std::string& text) {
  try {
    const Expression expression(text);
    expression.value([&](const std::string&) { return scalar(1); });
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// c = b + b, b = a + a, d = c + b.
Trace diamond(bool run_backward) {
  const ArrayCounter counter;
  const Tensor<double> a = scalar(3);
  const Tensor<double> b = a + a, c = b + b;
  return trace(c + b, {{"a", a}, {"b", b}}, run_backward);
}

std::vector<std::string> visited(const Trace& trace) {
  std::vector<std::string> ops;
  for (const Visit& visit : trace.visits)
    ops.push_back(trace.nodes[visit.node].name + ":" + trace.nodes[visit.node].op);
  return ops;
}

Tensor<double> memory(int64_t tokens) {
  const auto input = [&](int64_t width, double x) {
    return Tensor<double>::leaf(Array<double>::filled({1, tokens, width}, x));
  };
  return sum(mlstm_composed(input(2, .5), input(2, .4), input(2, .3), input(1, .2), input(1, -.1), MemoryRead::ns(2)));
}

}  // namespace

TEST_CASE("graph: expressions have Python's precedence") {
  CHECK(value_of("1 + 2 * 3 - 4 / 8") == 6.5);
  CHECK(value_of("(1 + 2) * -x", {{"x", 3}}) == -9);
  CHECK(value_of("2 - x - 1", {{"x", 3}}) == -2);
  CHECK(value_of("1 / x / 2", {{"x", 4}}) == 0.125);
  CHECK(value_of("y = x * x; z = y + 1; z * y", {{"x", 2}}) == 20);
  CHECK(value_of("b = a + a; c = b + b", {{"a", 3}}) == 12);
  CHECK(value_of("clamp_min(x, 2)", {{"x", 1}}) == 2);
  CHECK(value_of("x - 2.5e-1", {{"x", 1}}) == 0.75);
}

TEST_CASE("graph: a syntax error shows its place") {
  CHECK(message("x +") == "graph: 'x +' is no formula: a name, a number or a parenthesis is expected at its end");
  CHECK(message("(x") == "graph: '(x' is no formula: a closing parenthesis is expected at its end");
  CHECK(message("x y") == "graph: 'x y' is no formula: an operator or the end is expected before 'y'");
  CHECK(message("sofplus(x)") == "graph: there is no op 'sofplus' (did you mean softplus?) in 'sofplus(x)'");
  CHECK(message("exp(x, x)") == "exp: takes 1 tensor, not 2 tensors");
  CHECK(message("exp(x, 1)") == "exp: takes 1 tensor, not 1 tensor, then 1 number");
  CHECK(message("mlstm(x, 5)") == "mlstm: takes 5 tensors, then 0 to 1 numbers, not 1 tensor, then 1 number");
  CHECK(message("x**2") == "graph: 'x**2' is no formula: powers are written as products, such as x * x");
  CHECK(contains(message("x^2"), "powers are written as products"));
  CHECK(message("x^T @ y") == "graph: 'x^T @ y' is no formula: a transpose is written as permute(x, 1, 0)");
  CHECK(contains(message("x.T @ y"), "a transpose is written as permute(x, 1, 0)"));
  CHECK(contains(message("transpose(x) @ y"), "no op 'transpose' (did you mean permute(x, 1, 0)?) in"));
  CHECK(message("foo(x)") == "graph: there is no op 'foo' in 'foo(x)'");
  CHECK(message("x; x") == "graph: statement 1 is neither assigned to a name nor the last");
  CHECK(contains(message(std::string(10'000, '(')), "fewer parentheses"));
}

TEST_CASE("graph: shapes are chosen to fit") {
  const auto fitting = [](const char* text, const std::map<std::string, Shape>& given = {}) {
    return fitting_shapes(Expression(text), given);
  };
  using Shapes = std::map<std::string, Shape>;
  CHECK(fitting("softmax(x @ w) * y") == Shapes{{"x", {2, 3}}, {"w", {3, 4}}, {"y", {2, 4}}});
  CHECK(fitting("layer_norm(x, w)") == Shapes{{"x", {2, 3}}, {"w", {3}}});
  CHECK(fitting("x @ w", {{"w", {7, 5}}, {"x", {6, 7}}}) == Shapes{{"x", {6, 7}}, {"w", {7, 5}}});
  CHECK(fitting("mlstm(q, k, v, i, f)")["i"] == Shape{1, 3, 4});
  CHECK_THROWS_WITH_AS(fitting("x @ w", {{"w", {7, 5}}}),
                       doctest::Contains("graph: no shapes were found that fit beside those given"), Error);
  CHECK_THROWS_WITH_AS(fitting("x + x", {{"y", {2}}}), "--shape: the expression has no parameter 'y'", Error);
}

TEST_CASE("graph: every op with one result can be called") {
  const Json listed = parse_json(run_shell("orthoread explain --json").out, "explain");
  std::set<std::string> ops = {"softmax"};
  const std::set<std::string> several = {"split", "unstack", "linear_maps", "norm_linear_split"};
  for (const Json& op : listed)
    if (!several.contains(op["name"])) ops.insert(op["name"]);
  const std::vector<std::string> known = expression_ops();
  for (const std::string& name : ops)
    CHECK_MESSAGE(std::count(known.begin(), known.end(), name) == 1, ("apps/op_table.cpp lacks " + name));
  CHECK(known.size() == ops.size());
}

TEST_CASE("graph: a trace shows what the engine did") {
  const Trace seen = diamond(true);
  REQUIRE(seen.nodes.size() == 4);
  CHECK(seen.nodes[0].name == "a");
  CHECK(seen.nodes[0].op == "leaf");
  CHECK(seen.nodes[2].inputs.size() == 2);
  CHECK(visited(seen) == std::vector<std::string>{":add", ":add", "b:add"});
  CHECK(seen.nodes[0].gradient->numbers == "6");
  CHECK(seen.nodes[1].gradient->numbers == "3");  // 1 from d, 1 + 1 from c
  CHECK(seen.visits[0].sent.size() == 2);
  CHECK(seen.visits[2].sent[1].node == 0);
  CHECK(seen.visits[2].sent[1].gradient.numbers == "3");
  CHECK(!diamond(false).nodes[1].gradient);
  CHECK(diamond(false).visits.empty());
}

TEST_CASE("graph: bytes that a node keeps are counted") {
  const ArrayCounter counter;
  const auto x = Tensor<double>::leaf(Array<double>({10, 10}));
  const Tensor<double> y = sum(exp(x) * x);
  const Trace seen = trace(y, {{"x", x}}, true);
  const auto kept = [&](const std::string& op) {
    for (const TraceNode& node : seen.nodes)
      if (node.op == op) return node.kept.value();
    return int64_t{-1};
  };
  CHECK(kept("exp") == 800);  // its result; mul keeps it too, but is released first
  CHECK(kept("mul") == 0);
  CHECK(kept("sum") == 0);
}

TEST_CASE("graph: constants are drawn, and get no gradient") {
  const auto x = scalar(2);
  const Trace seen = trace(x * Tensor<double>(Array<double>({}, {3})), {{"x", x}}, true);
  REQUIRE(seen.nodes.size() == 3);
  CHECK(seen.nodes[1].op == "constant");
  CHECK(!seen.nodes[1].needs_grad);
  CHECK(seen.visits[0].sent.size() == 1);
  CHECK(contains(to_dot(seen, true), "n1 [label=\"constant\", style=dashed]"));
}

TEST_CASE("graph: repeated tokens are folded without loss") {
  const auto counted = [](const Trace& trace) {
    int64_t nodes = 0;
    for (const TraceNode& node : trace.nodes) nodes += node.stands_for;
    return nodes;
  };
  const Trace of_10 = trace(memory(10), {}, true), of_30 = trace(memory(30), {}, true);
  const Trace folded_10 = folded(of_10), folded_30 = folded(of_30);
  CHECK(folded_10.nodes.size() < of_10.nodes.size() / 2);
  CHECK(folded_30.nodes.size() == folded_10.nodes.size());  // however many tokens
  CHECK(folded_30.nodes.size() < 120);
  CHECK(counted(folded_30) == static_cast<int64_t>(of_30.nodes.size()));
  for (const TraceNode& node : folded_30.nodes)
    for (const TraceNode::Input& input : node.inputs) CHECK(input.node < folded_30.nodes.size());
  for (size_t i = 0; i < folded_30.nodes.size(); ++i)
    for (const TraceNode::Input& input : folded_30.nodes[i].inputs) CHECK(input.node < i);
  CHECK(folded(diamond(true)).nodes.size() == 4);
}

TEST_CASE("graph: a folded result keeps the initial gradient of backward") {
  const auto x = Tensor<double>::leaf(Array<double>({2, 3}, {1, 2, 3, 4, 5, 6}));
  const Trace shown = folded(trace(newton_schulz(x, 5), {{"x", x}}, true));
  REQUIRE(shown.nodes[shown.result].stands_for > 1);
  CHECK(contains(to_html(shown, "folded"), "\"seed\":{\"norm\":2.449"));
}

TEST_CASE("graph: infinity and NaN have names in the page's JSON") {
  const auto x = Tensor<double>::leaf(Array<double>({3, 4}));
  const std::string page = to_html(trace(log(scale(x, 0.0)), {{"x", x}}, true), "log");
  CHECK(contains(page, "\"norm\":\"inf\""));
  CHECK(contains(page, "\"norm\":\"NaN\""));
  CHECK(!contains(page, "\"norm\":null"));
}

TEST_CASE("graph: draw_backward draws backward from code") {
  const TemporaryFolder folder;
  const auto x = scalar(2);
  draw_backward(folder / "square.dot", x * x, {{"x", x}});
  CHECK(x.grad().item() == 4);
  CHECK(contains(read_file(folder / "square.dot"), "n0 -> n1 [label=\"2 times\"]"));
  CHECK(contains(read_file(folder / "square.dot"), "label=\"x\\none number\\ngradient: 4\""));
}

TEST_CASE("graph: the command writes .dot and .html") {
  const TemporaryFolder folder;
  const ProgramResult dot = run_shell("orthoread graph 'softmax(x @ w) * y' --out '" + (folder / "g.dot") + "'");
  CHECK(dot.exit_code == 0);
  CHECK(contains(dot.out, "nodes, 4 of them visited"));
  const std::string text = read_file(folder / "g.dot");
  CHECK(contains(text, "label=\"w\\n[3, 4]\""));
  CHECK(!contains(text, "gradient"));
  CHECK(run_shell("orthoread graph 'x * x' --shape x= --backward --out '" + (folder / "g.dot") + "'").exit_code == 0);
  CHECK(contains(read_file(folder / "g.dot"), "visit 1\\ngradient: 1"));

  CHECK(run_shell("orthoread graph diamond --backward --out '" + (folder / "g.html") + "'").exit_code == 0);
  const std::string page = read_file(folder / "g.html");
  for (const char* part : {"src=", "href=", "http:", "https:", "@import"}) CHECK(!contains(page, part));  // no network
  for (const char* part :
       {"<html lang=\"en\">", "aria-live=\"polite\"", "name=\"viewport\"", "<th scope=\"row\">0</th>",
        "<h1>diamond: b = a + a; c = b + b; d = c + b</h1>", "\"numbers\":\"6\"", "<ol id=\"visits\">"})
    CHECK_MESSAGE(contains(page, part), part);
  for (const char* target : {"model", "layer", "layer --memory composed", "mlp", "recurrence"}) {
    CAPTURE(target);
    const ProgramResult result =
        run_shell(std::string("orthoread graph ") + target + " --backward --json --out '" + (folder / "g.html") + "'");
    CHECK(result.exit_code == 0);
    const Json facts = parse_json(result.out, "graph");
    CHECK(facts["shown"] <= 150);
    CHECK(facts["visits"] > 0);
  }
}

TEST_CASE("graph: the pictures of docs/teaching.md") {
  const TemporaryFolder folder;
  std::istringstream page(read_file(std::string(ORTHOREAD_SOURCE_DIR) + "/docs/teaching.md"));
  int drawn = 0;
  for (std::string line; std::getline(page, line);) {
    if (!line.starts_with("build/orthoread graph ")) continue;
    const ProgramResult result = run_shell("cd '" + folder.path() + "' && " + line.substr(line.find('/') + 1));
    CHECK_MESSAGE(result.exit_code == 0, (line + ": " + result.err));
    ++drawn;
  }
  CHECK(drawn == 3);
}

TEST_CASE("graph: errors") {
  check_refused("orthoread graph 'x * x' --out a.pdf", 2,
                "graph: .svg, .png, .dot and .html can be written, not 'a.pdf'");
  check_refused("orthoread graph model --shape x=2 --out a.dot", 2, "--shape: goes with an expression");
  check_refused("orthoread graph 'x * x' --shape x=2,,3 --out a.dot", 2, "such as x=2,3, are allowed, not 'x=2,,3'");
  check_refused("orthoread graph '1 + 2' --out a.dot", 2, "graph: the result depends on no leaf");
  check_refused("orthoread graph modle --out a.dot", 2,
                "graph: there is no target 'modle' (did you mean model?); layer, model, diamond, mlp, recurrence and "
                "expressions are allowed");
  for (const char* end : {"dot", "html", "svg", "png"}) {
    if ((end[0] == 's' || end[0] == 'p') && run_shell("command -v dot").exit_code != 0) continue;
    check_refused(fmt::format("orthoread graph 'x * x' --out /nowhere/g.{}", end), 2,
                  fmt::format("cannot write /nowhere/g.{}: No such file or directory", end));
  }
  check_refused("orthoread graph model --tokens 0 --out a.dot", 2, "--tokens: 1 to 256 are allowed, not 0");
  const TemporaryFolder folder;  // a path without Graphviz
  check_refused("PATH=/nowhere; orthoread graph 'x * x' --out '" + (folder / "g.svg") + "'", 2,
                "graph: .svg needs Graphviz, which is not installed (Debian: apt-get install graphviz)");
  CHECK(std::filesystem::is_empty(folder.path()));
}
