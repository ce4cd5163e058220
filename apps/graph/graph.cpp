#include "apps/commands.h"
#include "apps/console.h"
#include "apps/graph/expression.h"
#include "apps/graph/picture.h"
#include "apps/options.h"
#include "apps/spelling.h"
#include "models/recall_model.h"
#include "ops/softmax.h"

#include <cctype>

namespace orthoread {
namespace {

struct Example {
  std::string expression;
  std::map<std::string, Shape> shapes;
};

// Named expressions.
const std::map<std::string, Example> kExamples = {
    {"diamond", {"b = a + a; c = b + b; d = c + b", {{"a", {}}}}},
    {"mlp",
     {"h = tanh(linear(x, w1, b1)); loss = cross_entropy(linear(h, w2, b2), 0, 2)",
      {{"x", {2, 3}}, {"w1", {4, 3}}, {"b1", {4}}, {"w2", {3, 4}}, {"b2", {3}}}}},
    {"recurrence",
     {"y1 = a * x0 + x1; y2 = a * y1 + x2; y3 = a * y2 + x3",
      {{"a", {}}, {"x0", {}}, {"x1", {}}, {"x2", {}}, {"x3", {}}}}},
};

struct Recorded {
  Tensor<double> result;
  NamedTensors<double> names;
};

/// A name alone is no expression: an Error unless it is one of the examples.
void check_name(const std::string& target) {
  const auto in_a_name = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_'; };
  if (target.empty() || std::isdigit(static_cast<unsigned char>(target[0])) != 0) return;
  if (!std::all_of(target.begin(), target.end(), in_a_name)) return;
  std::vector<std::string> known = {"layer", "model"};
  for (const auto& [name, example] : kExamples) known.push_back(name);
  check(kExamples.contains(target), "graph: there is no target '{}'{}; {} and expressions are allowed", target,
        meant(target, known), fmt::join(known, ", "));
}

/// Numbers that are easy to follow: multiples of .1 from .1 to 1.9.
Array<double> readable_numbers(const Shape& shape, RandomStream& random) {
  constexpr int kTenths = 19;
  Array<double> x(shape);
  for (int64_t i = 0; i < x.size(); ++i) x.edit()[i] = (1 + std::floor(kTenths * random.uniform())) / 10;
  return x;
}

struct Graph {
  CommonOptions common;
  std::string target = "diamond", out, read = "ns5", memory = "fused";
  std::vector<std::string> shapes;
  int64_t tokens = 6;
  bool backward = false, unfolded = false;

  int run() const {
    common.apply();
    check_picture(out);
    check(1 <= tokens && tokens <= kMostTokens, "--tokens: 1 to {} are allowed, not {}", kMostTokens, tokens);
    check(memory == "fused" || memory == "composed", "--memory: fused and composed are allowed, not '{}'", memory);
    const ArrayCounter counter;
    const Recorded recorded = record_target();
    const Trace whole = trace(recorded.result, recorded.names, true);
    Trace shown = unfolded ? whole : folded(whole);
    if (!backward) {
      shown.visits.clear();
      for (TraceNode& node : shown.nodes) node.gradient.reset();
    }
    const auto example = kExamples.find(target);
    write_picture(out, shown, backward,
                  example == kExamples.end() ? target : fmt::format("{}: {}", target, example->second.expression));
    int64_t kept = 0;
    for (const TraceNode& node : whole.nodes) kept += node.kept.value_or(0);
    if (common.json) {
      print_out("{}\n", Json{{"target", target},
                             {"out", out},
                             {"nodes", whole.nodes.size()},
                             {"shown", shown.nodes.size()},
                             {"visits", whole.visits.size()},
                             {"kept_bytes", kept}}
                            .dump(2));
    } else {
      print_out("{}: {} nodes, {} of them visited, {} bytes kept for backward\n", out, whole.nodes.size(),
                whole.visits.size(), kept);
    }
    return kDone;
  }

 private:
  static constexpr int64_t kMostTokens = 256;

  Recorded record_target() const {
    if (target == "model" || target == "layer") {
      check(shapes.empty(), "--shape: goes with an expression; {} has its own shapes", target);
      return record_model();
    }
    check_name(target);
    const auto example = kExamples.find(target);
    const Expression expression(example == kExamples.end() ? target : example->second.expression);
    std::map<std::string, Shape> given = given_shapes();
    if (example != kExamples.end()) given.insert(example->second.shapes.begin(), example->second.shapes.end());
    const std::map<std::string, Shape> fitting = fitting_shapes(expression, given);
    NamedTensors<double> names;
    RandomStream random(1);
    Tensor<double> result = expression.value(
        [&](const std::string& name) {
          return names.emplace_back(name, Tensor<double>::leaf(readable_numbers(fitting.at(name), random))).second;
        },
        [&](const std::string& name, const Tensor<double>& value) {
          names.emplace_back(name, Tensor<double>({}, value.edge()));  // without its numbers, which would count as kept
        });
    return {std::move(result), std::move(names)};
  }

  /// The graph of a training step of the recall model, or of its block alone, for one short sequence.
  Recorded record_model() const {
    RecallModelConfig config;
    config.read = MemoryRead::parse(read);
    config.composed_memory = memory == "composed";
    RecallModel<double> model(config, RandomStream(1));
    NamedTensors<double> leaves;
    for (const auto& [name, tensor] : model.parameters()) leaves.emplace_back(name, *tensor);
    RandomStream random(2);
    if (target == "layer") {
      Array<double> x({1, tokens, config.dim});
      for (int64_t i = 0; i < x.size(); ++i) x.edit()[i] = random.normal();
      leaves.emplace_back("x", Tensor<double>::leaf(x));
      return {model.block(leaves.back().second), std::move(leaves)};
    }
    Array<int64_t> inputs({1, tokens}), targets({1, tokens});
    for (int64_t t = 0; t < tokens; ++t) {
      inputs.edit()[t] = static_cast<int64_t>(random.uniform() * static_cast<double>(config.vocab_size));
      targets.edit()[t] = static_cast<int64_t>(random.uniform() * static_cast<double>(config.vocab_size));
    }
    return {cross_entropy(model.forward(inputs), targets), std::move(leaves)};
  }

  /// --shape x=2,3
  std::map<std::string, Shape> given_shapes() const {
    std::map<std::string, Shape> given;
    for (const std::string& text : shapes) {
      const size_t equals = text.find('=');
      Shape shape;
      bool right = equals != 0 && equals != text.npos;
      for (size_t at = equals; right && at != text.npos && at + 1 < text.size();) {
        const size_t comma = text.find(',', at + 1);
        const auto size = number_from<int64_t>(text.substr(at + 1, comma == text.npos ? comma : comma - at - 1));
        constexpr int64_t kLargest = 1000;
        right = size && 1 <= *size && *size <= kLargest;
        if (right) shape.push_back(*size);
        at = comma;
      }
      check(right, "--shape: a name and sizes from 1 to 1000, such as x=2,3, are allowed, not '{}'", text);
      given[text.substr(0, equals)] = shape;
    }
    return given;
  }
};

}  // namespace

void add_graph_command(Command& program) {
  const auto graph = std::make_shared<Graph>();
  Command command = program.add_command("graph", "Draw the recorded graph of a computation, and step through backward");
  command.add("TARGET", graph->target,
              "An expression of + - * / @, names, numbers and ops; or diamond, mlp, recurrence, layer, model");
  command.add("--out", graph->out, "File to write: .html (to step through), .svg, .png or .dot").required();
  command.add("--backward", graph->backward, "Also show the order of backward's visits, and the gradients");
  command.add("--shape", graph->shapes, "Shape of a name in the expression, such as x=2,3; x= is one number")
      .default_is("shapes that fit");
  command.add("--tokens", graph->tokens, "layer, model: number of tokens, 1 to 256");
  command.add("--read", graph->read, "layer, model: raw or ns<k>");
  command.add("--memory", graph->memory, "layer, model: fused, or composed of single ops");
  command.add("--unfolded", graph->unfolded, "Show every node, instead of folding repeated ones");
  graph->common.add_to(command);
  command.footer("Example:\n  orthoread graph \"softmax(x @ w) * y\" --backward --out softmax.html");
  command.runs([graph] { return graph->run(); });
}

}  // namespace orthoread
