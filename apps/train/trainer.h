// Training, one step at a time. Knows nothing of folders, terminals or signals.
#pragma once

#include "apps/train/train_config.h"
#include "data/safetensors.h"
#include "optim/adamw.h"

namespace orthoread {

struct Evaluation {
  double loss = 0, accuracy = 0;
};

/// Receives the logits of each batch. Logits at ignored targets are undefined.
template <Real T>
using LookAtLogits = std::function<void(const RecallBatch& batch, const Array<T>& logits)>;

/// How a model is given the tokens of a batch: all of them, or one at a time, with a state of constant size.
enum class Feed { whole, streamed };

/// Loss and accuracy: means over the batches of each batch's mean over the targets that are not ignored. Batches
/// without such targets are skipped.
template <Real T>
Evaluation evaluate(const RecallModel<T>& model, const std::vector<RecallBatch>& batches, Feed feed = Feed::whole,
                    const LookAtLogits<T>& look = {});

/// `count` batches of a new stream, with evaluation targets.
std::vector<RecallBatch> validation_batches(const RecallSetting& setting, uint64_t seed, int64_t count,
                                            int64_t batch_size);

/// A batch of more tokens is trained in parts, whose gradients add up, so that what the backward needs is held for
/// one part only. All of a training batch's targets count, so a part's share of the mean loss is that of its sequences.
inline constexpr int64_t kTokensAtOnce = 1 << 15;

template <Real T>
class Trainer {
 public:
  /// A model with random weights, or with those of config.init.
  explicit Trainer(const TrainConfig& config);
  Trainer(const Trainer&) = delete;  // the optimizer points into the model
  Trainer& operator=(const Trainer&) = delete;

  struct Step {
    double loss, grad_norm, lr;  // grad_norm before clipping
    bool finite;                 // loss, gradient and new weights
  };
  /// One step on the next batch. If the loss or the gradient is not finite, the weights do not change.
  Step step();

  Evaluation evaluate() const { return orthoread::evaluate(model_, validation_); }
  int64_t steps_done() const { return optimizer_.state().steps; }
  int64_t parameter_count() { return count(parameters_); }

  /// The weights, under the published names, with the settings as metadata.
  SafetensorsWriter model_file();
  /// All that is needed to continue bit for bit: weights, optimizer, stream of batches.
  SafetensorsWriter state_file();
  /// Continues from a state file. Before anything changes, checks shapes, finiteness and the number of steps.
  void restore(const Safetensors& file);

 private:
  TrainConfig config_;
  RecallModel<T> model_;
  Parameters<T> parameters_;
  AdamW<T> optimizer_;
  NoisyRecall stream_;
  std::vector<RecallBatch> validation_;
};

}  // namespace orthoread
