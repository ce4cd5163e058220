#include "apps/train/trainer.h"

#include "apps/train/checkpoint.h"
#include "ops/elementwise.h"
#include "ops/layout.h"
#include "ops/softmax.h"
#include "optim/clip.h"

namespace orthoread {
namespace {

static_assert(kIgnored == kIgnoredTarget, "the task and the loss must ignore the same target");

// Names in a state file.
constexpr const char* kWeights = "weights.";
constexpr const char* kFirstMoments = "adamw.first_moments.";
constexpr const char* kSecondMoments = "adamw.second_moments.";
constexpr const char* kSteps = "steps";
constexpr const char* kStream = "data_stream";

template <Real T>
bool all_finite(const Array<T>& values) {
  return std::all_of(values.data(), values.data() + values.size(), [](T x) { return isfinite(x); });
}

template <Real T>
bool all_finite(const Parameters<T>& parameters) {
  return std::all_of(parameters.begin(), parameters.end(),
                     [](const Parameter<T>& parameter) { return all_finite(parameter.tensor->value()); });
}

const TrainConfig& valid(const TrainConfig& config) {
  config.validate();
  return config;
}

/// The logits of (B, S) tokens, computed one token at a time.
template <Real T>
Tensor<T> streamed_logits(const RecallModel<T>& model, const Array<int64_t>& inputs) {
  const int64_t batch = inputs.dim(0), tokens = inputs.dim(1);
  RecallState<T> state;
  std::vector<Array<T>> logits;
  for (int64_t t = 0; t < tokens; ++t) {
    Array<int64_t> next({batch, 1});
    for (int64_t b = 0; b < batch; ++b) next.edit()[b] = inputs.data()[b * tokens + t];
    logits.push_back(model.step(next, state));
  }
  return concat(logits, 1);
}

}  // namespace

template <Real T>
Evaluation evaluate(const RecallModel<T>& model, const std::vector<RecallBatch>& batches, Feed feed,
                    const LookAtLogits<T>& look) {
  const NoGrad no_grad;
  Evaluation total;
  double counted = 0;
  for (const RecallBatch& batch : batches) {
    const auto& [inputs, targets] = batch;
    auto mask = ReadMask::uninitialized(targets.shape());
    uint8_t* flags = mask.edit();
    std::transform(targets.data(), targets.data() + targets.size(), flags, [](int64_t t) { return t != kIgnored; });
    if (std::count(flags, flags + mask.size(), 1) == 0) continue;
    const Tensor<T> logits = feed == Feed::streamed ? streamed_logits(model, inputs) : model.forward(inputs, mask);
    total.loss += value_of(cross_entropy(logits, targets).value().item());
    total.accuracy += accuracy(logits.value(), targets);
    if (look) look(batch, logits.value());
    ++counted;
  }
  return {total.loss / counted, total.accuracy / counted};
}

std::vector<RecallBatch> validation_batches(const RecallSetting& setting, uint64_t seed, int64_t count,
                                            int64_t batch_size) {
  NoisyRecall stream(setting, seed);
  std::vector<RecallBatch> batches;
  for (int64_t i = 0; i < count; ++i) batches.push_back(stream.next_batch(batch_size, Split::kEval));
  const bool asked = std::any_of(batches.begin(), batches.end(), [](const RecallBatch& batch) {
    const Array<int64_t>& targets = batch.targets;
    return std::any_of(targets.data(), targets.data() + targets.size(), [](int64_t t) { return t != kIgnored; });
  });
  check(asked,
        "the validation set of {} batches of {} sequences of {} tokens has no query; more or longer sequences or "
        "less noise have some",
        count, batch_size, setting.seq_len);
  return batches;
}

template <Real T>
Trainer<T>::Trainer(const TrainConfig& config)
    : config_(valid(config)),
      model_(config.model, RandomStream(config.seed)),
      parameters_(model_.parameters()),
      optimizer_(parameters_, AdamWSettings{.weight_decay = config.weight_decay}),
      stream_(config.setting, config.data_seed),
      validation_(validation_batches(config.setting, config.validation_seed(), config.val_batches, config.batch_size)) {
  if (!config.init.empty()) load_parameters(Safetensors::parse(config.read_init(), config.init), parameters_);
}

template <Real T>
typename Trainer<T>::Step Trainer<T>::step() {
  const double lr = learning_rate(config_.schedule, config_.lr, steps_done(), config_.steps);
  clear_grads(parameters_);
  double total_loss = 0;
  const int64_t at_once = std::max<int64_t>(1, kTokensAtOnce / config_.setting.tokens());
  int64_t parts = (config_.batch_size + at_once - 1) / at_once;
  for (int64_t left = config_.batch_size; left > 0; --parts) {
    const int64_t sequences = (left + parts - 1) / parts;
    left -= sequences;
    const auto [inputs, targets] = stream_.next_batch(sequences, Split::kTrain);
    const double share = static_cast<double>(sequences) / static_cast<double>(config_.batch_size);
    const Tensor<T> loss = scale(cross_entropy(model_.forward(inputs), targets), number<T>(share));
    backward(loss);
    total_loss += value_of(loss.value().item());
  }
  Step step = {total_loss, clip_grad_norm(parameters_, config_.clip), lr, false};
  if (!std::isfinite(step.loss) || !std::isfinite(step.grad_norm)) return step;
  optimizer_.step(lr);
  step.finite = all_finite(parameters_);
  return step;
}

template <Real T>
SafetensorsWriter Trainer<T>::model_file() {
  SafetensorsWriter writer;
  add_parameters(writer, parameters_);
  const Json settings = config_.to_json();
  for (const auto& [key, value] : settings.items()) {
    const std::string text = value.is_string() ? value.template get<std::string>() : value.dump();
    if (key != "init") writer.set_metadata(key == "read" ? "trained_read" : key, text);
  }
  return writer;
}

template <Real T>
SafetensorsWriter Trainer<T>::state_file() {
  SafetensorsWriter writer;
  const auto& state = optimizer_.state();
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const auto& [name, tensor] = parameters_[i];
    writer.add(kWeights + name, tensor->value());
    writer.add(kFirstMoments + name, state.first_moments[i]);
    writer.add(kSecondMoments + name, state.second_moments[i]);
  }
  writer.add(kSteps, Array<int64_t>({}, {state.steps}));
  writer.add(kStream, stream_.state());
  return writer;
}

template <Real T>
void Trainer<T>::restore(const Safetensors& file) {
  typename AdamW<T>::State state;
  state.steps = file.get<int64_t>(kSteps, Shape{}).item();
  check(0 <= state.steps && state.steps <= config_.steps, "{}: {} steps done, but the run has {}", file.path(),
        state.steps, config_.steps);
  std::vector<Array<T>> weights;
  for (const auto& [name, tensor] : parameters_) {
    const auto numbers = [&, &tensor = tensor](const std::string& full_name) {  // clang 14 does not capture bindings
      Array<T> found = file.get<T>(full_name, tensor->shape());
      check(all_finite(found), "{}: damaged: {} holds a number that is not finite", file.path(), full_name);
      return found;
    };
    weights.push_back(numbers(kWeights + name));
    state.first_moments.push_back(numbers(kFirstMoments + name));
    state.second_moments.push_back(numbers(kSecondMoments + name));
  }
  stream_.set_state(file.get<int64_t>(kStream));
  optimizer_.restore(std::move(state));
  for (size_t i = 0; i < weights.size(); ++i) {
    std::copy_n(weights[i].data(), weights[i].size(), parameters_[i].tensor->edit());
  }
}

template Evaluation evaluate(const RecallModel<float>&, const std::vector<RecallBatch>&, Feed,
                             const LookAtLogits<float>&);
template Evaluation evaluate(const RecallModel<double>&, const std::vector<RecallBatch>&, Feed,
                             const LookAtLogits<double>&);
template class Trainer<float>;
template class Trainer<double>;

}  // namespace orthoread
