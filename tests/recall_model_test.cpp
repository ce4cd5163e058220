#include "models/recall_model.h"

#include "core/parallel.h"
#include "data/noisy_recall.h"
#include "data/safetensors.h"
#include "ops/conv.h"
#include "ops/elementwise.h"
#include "ops/embedding.h"
#include "ops/layout.h"
#include "ops/linear.h"
#include "ops/norm.h"
#include "ops/softmax.h"
#include "optim/adamw.h"
#include "optim/clip.h"
#include "tests/golden.h"
#include "tests/gradient_check.h"
#include "tests/support.h"

#include <map>

using namespace orthoread;

namespace {

/// The configuration of a golden model: sizes from its shapes, the read from its metadata.
RecallModelConfig golden_config(const Safetensors& file) {
  RecallModelConfig config;
  config.vocab_size = file.shape("param.embedding.weight")[0];
  config.dim = file.shape("param.embedding.weight")[1];
  config.heads = std::stoi(file.metadata().at("heads"));
  const std::string& steps = file.metadata().at("newton_schulz_steps");
  config.read = steps == "none" ? MemoryRead::raw() : MemoryRead::ns(std::stoi(steps));
  return config;
}

/// Logits, loss and gradients, by name, for the batch of a golden file.
template <Real T>
std::map<std::string, Array<T>> run_golden(const Safetensors& file) {
  RecallModel<T> model(golden_config(file), RandomStream(0));
  for (const auto& [name, tensor] : model.parameters()) {
    const Array<T> values = file.get<T>("param." + name, tensor->shape());
    std::copy_n(values.data(), values.size(), tensor->edit());
  }
  const Tensor<T> logits = model.forward(file.get<int64_t>("inputs"));
  const Tensor<T> loss = cross_entropy(logits, file.get<int64_t>("targets"));
  backward(loss);
  std::map<std::string, Array<T>> outcome = {{"logits", logits.value()}, {"loss", loss.value().reshaped({1})}};
  for (const auto& [name, tensor] : model.parameters()) outcome["grad." + name] = tensor->grad();
  return outcome;
}

/// Compares every tensor of the outcome with the golden file, relative to its largest number.
template <Real T>
void check_golden(const std::string& name, double limit) {
  const auto file = Safetensors::read(golden(name));
  size_t compared = 0;
  for (const auto& computed : run_golden<T>(file)) {
    const double error = relative_error(computed.second, file.get<double>(computed.first));
    CHECK_MESSAGE(error <= limit, fmt::format("{}: {}", name, computed.first));
    ++compared;
  }
  CHECK(compared == 20);  // logits, loss, 18 gradients
}

/// Mean and standard deviation.
std::pair<double, double> moments(const Array<double>& x) {
  double mean = 0, square = 0;
  const auto n = static_cast<double>(x.size());
  for (const double value : values(x)) mean += value / n;
  for (const double value : values(x)) square += (value - mean) * (value - mean) / n;
  return {mean, std::sqrt(square)};
}

}  // namespace

TEST_CASE("recall model: logits, loss and every gradient of the golden files") {
  for (const char* read : {"raw", "ns0", "ns1", "ns5"}) {
    check_golden<double>(fmt::format("mlstm_{}_f64.safetensors", read), 1e-10);
  }
  check_golden<float>("mlstm_ns5_paper_width_f32.safetensors", 1e-4);
}

TEST_CASE("recall model: the same bits for any number of threads") {
  const auto file = Safetensors::read(golden("mlstm_ns5_paper_width_f32.safetensors"));
  const int before = threads();
  set_threads(1);
  const auto expected = run_golden<float>(file);
  set_threads(2);
  for (const auto& computed : run_golden<float>(file)) {
    CHECK_MESSAGE(same_bits(computed.second, expected.at(computed.first)), computed.first);
  }
  set_threads(before);
}

TEST_CASE("recall model: parameters") {
  for (const auto& [vocab, expected] : {std::pair<int64_t, int64_t>{80, 77716}, {88, 79228}, {96, 80740}}) {
    RecallModelConfig config;
    config.vocab_size = vocab;
    RecallModel<float> model(config, RandomStream(1));
    CHECK(count(model.parameters()) == expected);
  }
  const auto file = Safetensors::read(golden("mlstm_ns5_paper_width_f32.safetensors"));
  RecallModel<float> model({}, RandomStream(1));
  size_t in_file = 0;
  for (const std::string& name : file.names()) in_file += name.starts_with("param.");
  CHECK(model.parameters().size() == in_file);
  for (const Parameter<float>& parameter : model.parameters()) {
    REQUIRE_MESSAGE(file.has("param." + parameter.name), parameter.name);
    CHECK_MESSAGE(file.shape("param." + parameter.name) == parameter.tensor->shape(), parameter.name);
    CHECK(parameter.tensor->needs_grad());
  }
}

TEST_CASE("recall model: initial values") {
  RecallModel<double> model({}, RandomStream(3));
  std::map<std::string, Array<double>> at;
  for (const auto& [name, tensor] : model.parameters()) at[name] = tensor->value();
  const auto check_normal = [&](const char* name, double deviation) {
    const auto [mean, spread] = moments(at.at(name));
    const auto n = static_cast<double>(at.at(name).size());
    CAPTURE(name);
    CHECK(std::abs(mean) < 4.5 * deviation / std::sqrt(n));
    CHECK(std::abs(spread / deviation - 1) < 4.5 / std::sqrt(2 * n));
  };
  const auto check_uniform = [&](const char* name, double bound) {
    check_normal(name, bound / std::sqrt(3.0));
    for (const double value : values(at.at(name))) CHECK(std::abs(value) <= bound);
  };
  const auto check_all = [&](const char* name, double expected) {
    for (const double value : values(at.at(name))) CHECK(value == expected);
  };
  check_normal("embedding.weight", 1);
  for (const char* name :
       {"layer.proj_up.weight", "layer.q_proj.weight", "layer.k_proj.weight", "layer.v_proj.weight"}) {
    check_normal(name, std::sqrt(2.0 / (5 * 94)));
  }
  check_normal("layer.proj_down.weight", 2 / std::sqrt(94.0));
  check_normal("layer.mlstm_cell.igate.bias", 0.1);
  check_uniform("layer.conv1d.conv.weight", 0.5);
  check_uniform("layer.conv1d.conv.bias", 0.5);
  check_uniform("head.weight", 1 / std::sqrt(94.0));
  check_uniform("head.bias", 1 / std::sqrt(94.0));
  for (const char* name : {"norm.weight", "layer.mlstm_cell.igate.weight", "layer.mlstm_cell.fgate.weight",
                           "layer.mlstm_cell.outnorm.weight", "post_norm.weight"}) {
    check_all(name, 0);
  }
  check_all("layer.learnable_skip", 1);
  CHECK(values(at.at("layer.mlstm_cell.fgate.bias")) == Numbers{3, 4, 5, 6});

  RecallModel<float> same({}, RandomStream(3));  // the same initial weights in float, rounded
  for (const auto& [name, tensor] : same.parameters()) CHECK(same_bits(tensor->value(), cast<float>(at.at(name))));
}

TEST_CASE("recall model: gradients") {
  RecallModelConfig config;
  config.vocab_size = 5;
  config.dim = 4;
  config.heads = 8;
  config.proj_factor = 1;
  const Array<int64_t> tokens({2, 3}, {0, 3, 2, 4, 4, 1}), targets({2, 3}, {3, 2, kIgnored, 4, 1, 0});
  for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(2)}) {
    config.read = read;
    RecallModel<double> start(config, RandomStream(5));
    std::vector<Input> inputs;
    RandomStream noise(6);  // moves parameters that start at 0 or 1, where gradients may vanish
    for (const auto& [name, tensor] : start.parameters()) {
      for (int64_t i = 0; i < tensor->value().size(); ++i) tensor->edit()[i] += 0.1 * noise.normal();
      inputs.emplace_back(cast<double>(cast<float>(tensor->value())));
    }
    check_gradient("recall model, " + read.name(), inputs, [&]<Real T>(const std::vector<Tensor<T>>& x) {
      RecallModel<T> model(config, RandomStream(5));
      const Parameters<T> parameters = model.parameters();
      for (size_t i = 0; i < x.size(); ++i) *parameters[i].tensor = x[i];
      return cross_entropy(model.forward(tokens), targets);
    });
  }
}

TEST_CASE("recall model: float gradients during training are as exact as with the composed memory" *
          doctest::test_suite("long")) {
  RecallModelConfig config{.vocab_size = 32, .dim = 24, .heads = 2};
  RecallModel<float> model(config, RandomStream(7));
  const Parameters<float> parameters = model.parameters();
  NoisyRecall task({.vocab_size = 32, .seq_len = 64}, 7);
  AdamW<float> optimizer(parameters, {});
  for (int step = 0; step < 100; ++step) {
    const RecallBatch batch = task.next_batch(8, Split::kTrain);
    clear_grads(parameters);
    backward(cross_entropy(model.forward(batch.inputs), batch.targets));
    clip_grad_norm(parameters, 1);
    optimizer.step(3e-3);
  }

  const auto gradients = [&]<Real T>(T, bool composed, const RecallBatch& batch) {
    config.composed_memory = composed;
    RecallModel<T> copy(config, RandomStream(7));
    std::vector<Array<double>> grads;
    const Parameters<T> to = copy.parameters();
    for (size_t i = 0; i < to.size(); ++i) *to[i].tensor = Tensor<T>::leaf(cast<T>(parameters[i].tensor->value()));
    backward(cross_entropy(copy.forward(batch.inputs), batch.targets));
    for (const auto& [name, tensor] : to) grads.push_back(cast<double>(tensor->grad()));
    return grads;
  };
  // The error of a layer's gradient, weights and biases together. A gate's bias is only two numbers: alone, the
  // ratio of its errors varies by a factor of 3 from batch to batch.
  using Errors = std::map<std::string, double>;
  const auto errors = [&](const std::vector<Array<double>>& a, const std::vector<Array<double>>& b) {
    Errors squares;
    for (size_t i = 0; i < a.size(); ++i) {
      double& sum = squares[parameters[i].name.substr(0, parameters[i].name.rfind('.'))];
      for (int64_t j = 0; j < a[i].size(); ++j) sum += std::pow(a[i].data()[j] - b[i].data()[j], 2);
    }
    return squares;
  };
  // A single token with q.n near 0 may dominate the error of a batch: hence the geometric mean over several.
  constexpr int batches = 32;
  Errors logs;
  for (int n = 0; n < batches; ++n) {
    const RecallBatch batch = task.next_batch(2, Split::kTrain);
    const auto exact = gradients(double{}, true, batch);
    const Errors fused = errors(gradients(float{}, false, batch), exact);
    for (const auto& [layer, error] : errors(gradients(float{}, true, batch), exact))
      logs[layer] += std::log(fused.at(layer) / error) / 2 / batches;
  }
  double sum = 0;
  for (const auto& layer : logs) {
    CHECK_MESSAGE(layer.second <= std::log(2),
                  fmt::format("{}: {:.2f} times the error", layer.first, std::exp(layer.second)));
    sum += layer.second;
  }
  CHECK(sum / static_cast<double>(logs.size()) <= std::log(1.5));
}

TEST_CASE("recall model: the inputs of the memory follow the layer's definition") {
  const RecallModelConfig config{.vocab_size = 12, .dim = 10, .heads = 2};
  RecallModel<double> model(config, RandomStream(3));
  std::map<std::string, Tensor<double>> weight;
  RandomStream noise(6);  // moves parameters that start at 0, where they have no effect
  for (const auto& [name, tensor] : model.parameters()) {
    for (int64_t i = 0; i < tensor->value().size(); ++i) tensor->edit()[i] += 0.1 * noise.normal();
    weight.emplace(name, tensor->value());
  }
  const Array<int64_t> tokens({2, 5}, {0, 3, 2, 11, 4, 1, 7, 7, 9, 10});
  const auto at = [&](const std::string& name) { return weight.at(name); };
  const auto xn = layer_norm(embedding(at("embedding.weight"), tokens), shift(at("norm.weight"), 1.0));
  const auto a = split(linear(xn, at("layer.proj_up.weight")), -1, {64, 64})[0];
  const auto c = causal_conv_silu(a, at("layer.conv1d.conv.weight"), at("layer.conv1d.conv.bias"));
  const auto q = blockwise_linear(c, at("layer.q_proj.weight")), k = blockwise_linear(c, at("layer.k_proj.weight")),
             v = blockwise_linear(a, at("layer.v_proj.weight"));
  const auto qkv = concat(std::vector{q, k, v}, 2);
  const auto gate = [&](const std::string& name) {
    return linear(qkv, at("layer.mlstm_cell." + name + ".weight"), at("layer.mlstm_cell." + name + ".bias"));
  };
  const MemoryInputs<double> given = model.memory_inputs(tokens);
  CHECK(relative_error(given.query.value(), q.value()) <= 1e-13);
  CHECK(relative_error(given.key.value(), scale(k, 1 / std::sqrt(32.0)).value()) <= 1e-13);
  CHECK(relative_error(given.value.value(), v.value()) <= 1e-13);
  CHECK(relative_error(given.input_gate.value(), gate("igate").value()) <= 1e-13);
  CHECK(relative_error(given.log_forget.value(), log_sigmoid(gate("fgate")).value()) <= 1e-13);
}

TEST_CASE("recall model: errors") {
  const auto refusal = [](auto change) {
    RecallModelConfig config;
    change(config);
    return thrown([&] { RecallModel<float>(config, RandomStream(0)); });
  };
  CHECK(refusal([](auto& c) { c.vocab_size = 0; }) == "vocab-size: from 1 to 1048576 is allowed, not 0");
  CHECK(refusal([](auto& c) { c.dim = -3; }) == "dim: from 1 to 1048576 is allowed, not -3");
  CHECK(refusal([](auto& c) { c.proj_factor = kNaN; }) == "proj-factor: above 0 and up to 64 is allowed, not nan");
  CHECK(refusal([](auto& c) { c.heads = 5; }) ==
        "heads: must divide the inner width 192 (dim 94 times proj-factor 2, rounded up to a multiple of 64), 5 does "
        "not");
  CHECK(refusal([](auto& c) { c.qkv_block = 5; }) == "qkv-block: must divide the inner width 192, 5 does not");
  const RecallModel<float> model({}, RandomStream(0));
  CHECK(thrown([&] { model.forward(Array<int64_t>({3})); }) == "recall model: tokens must be (B, S), they are [3]");
}

TEST_CASE("recall model: step() agrees with forward on whole sequences") {
  for (const MemoryRead& read : {MemoryRead::raw(), MemoryRead::ns(5)}) {
    const RecallModelConfig config{.vocab_size = 12, .dim = 10, .heads = 2, .read = read};
    const RecallModel<double> model(config, RandomStream(3));
    Array<int64_t> tokens({2, 50});
    for (int64_t i = 0; i < tokens.size(); ++i) tokens.edit()[i] = i * i % 12;
    const Array<double> whole = model.forward(tokens).value();
    RecallState<double> state;
    int64_t first = 0;
    for (const int64_t size : {1, 1, 2, 5, 40, 1}) {  // shorter and longer than the convolution, across chunks
      Array<int64_t> next({2, size});
      for (int64_t i = 0; i < 2 * size; ++i) next.edit()[i] = tokens.data()[i / size * 50 + first + i % size];
      const Array<double> logits = model.step(next, state);
      const Tensor<double> expected = slice(Tensor<double>(whole), 1, first, first + size);
      CHECK(relative_error(logits, expected.value()) <= 1e-13);
      first += size;
    }
  }
}
