#include "apps/probe/checkpoint_probe.h"

#include "apps/probe/memory_replay.h"
#include "apps/probe/spectrum.h"
#include "apps/train/checkpoint.h"
#include "core/parallel.h"
#include "core/random.h"
#include "ops/layout.h"
#include "ops/newton_schulz.h"
#include "ops/softmax.h"

#include <numeric>

namespace orthoread {
namespace {

constexpr int64_t kDecoderBatches = 6;
constexpr double kKeyEps = 1e-6;

template <Real T>
RecallModel<T> load_model(const Safetensors& file, RecallModelConfig config, const MemoryRead& read) {
  config.read = read;
  RecallModel<T> model(config, RandomStream(0));
  load_parameters(file, model.parameters());
  return model;
}

/// `positions` evenly spaced numbers up to `tokens`.
std::vector<int64_t> evenly_spaced(int64_t positions, int64_t tokens) {
  std::vector<int64_t> found;
  for (int64_t i = 1; i <= positions; ++i) found.push_back((i * tokens + positions - 1) / positions);
  return found;
}

struct PositionValues {  // singular values of one head's matrices
  std::vector<double> memory, orthogonalized, keys;
};

/// The singular values of one head after each number of tokens.
template <Real T>
std::vector<PositionValues> head_values(const HeadWrites<T>& writes, const ProbeConfig& config,
                                        const std::vector<int64_t>& after) {
  const int64_t width = writes.key.dim(1);
  std::vector<PositionValues> found;
  Array<T> gram({width, width});
  replay_memory<T>(writes, [&](int64_t t, const Array<T>& memory) {
    const T* k = writes.key.data() + t * width;
    T squares = 0;
    for (int64_t i = 0; i < width; ++i) squares += k[i] * k[i];
    const T norm = std::max(std::sqrt(squares), T(kKeyEps));
    for (int64_t i = 0; i < width * width; ++i) gram.edit()[i] += k[i / width] / norm * (k[i % width] / norm);
    if (t + 1 != after[found.size()]) return;
    // The Gram matrix stays a sum: no figure depends on its scale.
    const Array<T> orthogonalized = newton_schulz(Tensor<T>(memory), config.read.steps, kMemoryEps).value();
    found.push_back({singular_values(memory), singular_values(orthogonalized), singular_values(gram)});
  });
  return found;
}

template <Real T>
std::vector<PositionSpectra> spectra(const MemoryInputs<T>& inputs, const ProbeConfig& config) {
  const int64_t batch = inputs.key.dim(0), heads = inputs.input_gate.dim(2), all_heads = batch * heads;
  const std::vector<int64_t> after = evenly_spaced(config.positions, inputs.key.dim(1));
  std::vector<std::vector<PositionValues>> values(static_cast<size_t>(all_heads));
  parallel_for(all_heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      values[static_cast<size_t>(i)] = head_values(head_writes(inputs, i / heads, i % heads), config, after);
  });
  std::vector<PositionSpectra> found;
  for (size_t p = 0; p < after.size(); ++p) {
    PositionSpectra& spectrum = found.emplace_back(PositionSpectra{after[p], {}, {}, {}});
    for (const auto& of_head : values) {
      const double weight = 1 / static_cast<double>(all_heads);
      spectrum.memory.add(of_head[p].memory, weight);
      spectrum.orthogonalized.add(of_head[p].orthogonalized, weight);
      spectrum.keys.add(of_head[p].keys, weight);
    }
  }
  return found;
}

/// A query of the decoder, and the token whose key it reads with.
struct DecoderQuery {
  Query query;
  int64_t asks_with;
};

/// Each query reads with the key of the token after the stored one: there the convolution has seen key and value.
std::vector<DecoderQuery> stored_pairs(const std::vector<Query>& all) {
  std::vector<DecoderQuery> found;
  for (const Query& query : all) found.push_back({query, query.stored + 1});
  return found;
}

/// Each query reads with another pair of its sequence, which was stored before the query and is queried somewhere.
std::vector<DecoderQuery> other_pairs(const std::vector<Query>& all, RandomStream& random) {
  std::vector<DecoderQuery> found;
  for (const Query& query : all) {
    std::vector<int64_t> others;
    for (const Query& other : all) {
      if (other.sequence == query.sequence && other.stored != query.stored && other.stored < query.position)
        others.push_back(other.stored + 1);
    }
    if (others.empty()) continue;
    const auto pick = static_cast<size_t>(random.uniform() * static_cast<double>(others.size()));
    found.push_back({query, others[pick]});
  }
  return found;
}

/// Adds k^T C_t, all heads side by side, for each query: C_t at the query, k of the token that it reads with. (k has
/// the scale it is written with, k / sqrt(d); the decoder standardises.)
template <Real T>
void add_samples(DecoderSamples& samples, const MemoryInputs<T>& inputs, const std::vector<DecoderQuery>& asked,
                 int64_t first_group) {
  const int64_t batch = inputs.key.dim(0), heads = inputs.input_gate.dim(2), inner = inputs.key.dim(2);
  const int64_t width = inner / heads;
  Array<double> features({static_cast<int64_t>(asked.size()), inner});
  double* to = features.edit();
  parallel_for(batch * heads, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t sequence = i / heads, head = i % heads;
      const HeadWrites<T> writes = head_writes(inputs, sequence, head);
      replay_memory<T>(writes, [&](int64_t t, const Array<T>& memory) {
        for (size_t row = 0; row < asked.size(); ++row) {
          const auto& [query, asks_with] = asked[row];
          if (query.sequence != sequence || query.position != t) continue;
          const T* k = writes.key.data() + asks_with * width;
          double* feature = to + static_cast<int64_t>(row) * inner + head * width;
          for (int64_t j = 0; j < width * width; ++j)
            feature[j % width] += static_cast<double>(k[j / width] * memory.data()[j]);
        }
      });
    }
  });
  samples.features = samples.features.defined() ? concat(std::vector{samples.features, features}, 0) : features;
  for (const auto& [query, asks_with] : asked) {
    samples.labels.push_back(query.value);
    samples.groups.push_back(first_group + query.sequence);
  }
}

/// The decoder of the first batches' memories, with queries chosen by `ask`.
template <class Ask, Real T>
DecoderResult decode(const std::vector<MemoryInputs<T>>& inputs, const std::vector<RecallBatch>& batches, Ask ask) {
  DecoderSamples samples;
  for (size_t i = 0; i < inputs.size(); ++i)
    add_samples(samples, inputs[i], ask(queries(batches[i])), static_cast<int64_t>(i) * batches[i].inputs.dim(0));
  return ridge_decoder(samples);
}

/// Measures a read, and the accuracy of its answers by age and by times seen.
template <Real T>
Evaluation measure_read(const RecallModel<T>& model, const std::vector<RecallBatch>& batches, double ReadPair::*which,
                        CheckpointProbe& probe) {
  const auto each_range = [&](const auto& visit) {
    for (RangeAccuracy& range : probe.by_age) visit(range, &Query::age);
    for (RangeAccuracy& range : probe.by_times_seen) visit(range, &Query::times_seen);
  };
  const Evaluation evaluation =
      evaluate<T>(model, batches, Feed::whole, [&](const RecallBatch& batch, const Array<T>& logits) {
        const int64_t tokens = logits.dim(1), vocabulary = logits.dim(2);
        for (const Query& query : queries(batch)) {
          const T* scores = logits.data() + (query.sequence * tokens + query.position) * vocabulary;
          const bool right = std::max_element(scores, scores + vocabulary) - scores == query.value;
          each_range([&](RangeAccuracy& range, int64_t Query::*number) {
            if (range.range.holds(query.*number)) range.accuracy.*which += right ? 1 : 0;
          });
        }
      });
  each_range([&](RangeAccuracy& range, auto) { range.accuracy.*which /= static_cast<double>(range.queries); });
  return evaluation;
}

/// The ranges, with the number of queries in each.
std::vector<RangeAccuracy> counted(const std::vector<QueryRange>& ranges, const std::vector<RecallBatch>& batches,
                                   int64_t Query::*number) {
  std::vector<RangeAccuracy> found;
  for (const QueryRange& range : ranges) found.push_back({range});
  for (const RecallBatch& batch : batches) {
    for (const Query& query : queries(batch)) {
      for (RangeAccuracy& range : found) range.queries += range.range.holds(query.*number) ? 1 : 0;
    }
  }
  return found;
}

/// The cosine between the gradients of two batches, over the parameters that `chosen` accepts.
template <Real T>
double cosine(const Parameters<T>& parameters, const std::vector<Array<T>>& a, const std::vector<Array<T>>& b,
              bool (*chosen)(std::string_view name)) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (!chosen(parameters[i].name)) continue;
    for (int64_t j = 0; j < a[i].size(); ++j) {
      const double x = value_of(a[i].data()[j]), y = value_of(b[i].data()[j]);
      ab += x * y;
      aa += x * x;
      bb += y * y;
    }
  }
  return ab / std::sqrt(aa * bb);
}

/// The gradient of the training loss on a batch, for each parameter.
template <Real T>
std::vector<Array<T>> gradient(RecallModel<T>& model, const RecallBatch& batch) {
  const Parameters<T> parameters = model.parameters();
  clear_grads(parameters);
  backward(cross_entropy(model.forward(batch.inputs), batch.targets));
  std::vector<Array<T>> grads;
  for (const auto& [name, tensor] : parameters) grads.push_back(tensor->grad());
  return grads;
}

template <Real T>
RecallModel<T> checked_model(const Safetensors& file, const ProbeConfig& config) {
  RecallModel<T> model = load_model<T>(file, config.model, config.model.read);
  for (const auto& [name, tensor] : model.parameters()) {
    const T* numbers = tensor->value().data();
    check(std::all_of(numbers, numbers + tensor->value().size(), [](T x) { return isfinite(x); }),
          "{}: {} holds a number that is not finite", file.path(), name);
  }
  return model;
}

template <Real T>
CheckpointProbe probe(const Safetensors& file, const ProbeConfig& config) {
  RecallModel<T> model = checked_model<T>(file, config);
  CheckpointProbe found;
  const std::vector<RecallBatch> batches =
      validation_batches(config.setting, 10000 + config.data_seed, config.batches, config.batch_size);
  {
    const NoGrad no_grad;
    std::vector<MemoryInputs<T>> inputs;
    for (int64_t i = 0; i < std::min(kDecoderBatches, config.batches); ++i)
      inputs.push_back(model.memory_inputs(batches[static_cast<size_t>(i)].inputs));
    found.positions = spectra(inputs[0], config);
    found.decoder = decode(inputs, batches, stored_pairs);
    RandomStream random(config.data_seed);
    found.control = decode(inputs, batches, [&](const std::vector<Query>& all) { return other_pairs(all, random); });
  }
  found.by_age = counted(age_ranges(config.setting.tokens()), batches, &Query::age);
  found.by_times_seen = counted(times_seen_ranges(), batches, &Query::times_seen);
  for (const auto& [read, which] :
       {std::pair(MemoryRead::raw(), &ReadPair::raw), {config.read, &ReadPair::orthogonalized}}) {
    const Evaluation evaluation = measure_read(load_model<T>(file, config.model, read), batches, which, found);
    found.accuracy.*which = evaluation.accuracy;
    found.loss.*which = evaluation.loss;
  }
  NoisyRecall stream(config.setting, 1000000 * (config.data_seed + 1) + static_cast<uint64_t>(config.step));
  const auto a = gradient(model, stream.next_batch(config.batch_size, Split::kTrain));
  const auto b = gradient(model, stream.next_batch(config.batch_size, Split::kTrain));
  found.gradient_cosine = cosine(model.parameters(), a, b, [](std::string_view) { return true; });
  found.query_key_gradient_cosine = cosine(model.parameters(), a, b, [](std::string_view name) {
    return name == "layer.q_proj.weight" || name == "layer.k_proj.weight";
  });
  return found;
}

}  // namespace

void Spectrum::add(const std::vector<double>& s, double weight) {
  effective_rank += weight * orthoread::effective_rank(s);
  first_share += weight * orthoread::first_share(s);
  log10_condition += weight * orthoread::log10_condition(s);
  singular_values.resize(s.size());
  const double total = std::accumulate(s.begin(), s.end(), 0.0);
  for (size_t i = 0; i < s.size(); ++i) singular_values[i] += total == 0 ? 0 : weight * s[i] / total;
}

void check_checkpoint(const Safetensors& file, const ProbeConfig& config) {
  const int64_t tokens = config.setting.tokens();
  check(1 <= config.positions && config.positions <= tokens, "--positions: from 1 to the {} tokens is allowed, not {}",
        tokens, config.positions);
  if (config.dtype == "float32")
    checked_model<float>(file, config);
  else
    checked_model<double>(file, config);
}

CheckpointProbe probe_checkpoint(const Safetensors& file, const ProbeConfig& config) {
  return config.dtype == "float32" ? probe<float>(file, config) : probe<double>(file, config);
}

}  // namespace orthoread
