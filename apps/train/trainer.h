// Training, a step at a time. Knows nothing of folders, terminals or signals.
#pragma once

#include "apps/train/train_config.h"
#include "data/safetensors.h"
#include "optim/adamw.h"

namespace orthoread {

struct Evaluation {
  double loss = 0, accuracy = 0;
};

/// Looks at the logits of a batch: those at ignored targets mean nothing.
template <Real T>
using LookAtLogits = std::function<void(const RecallBatch& batch, const Array<T>& logits)>;

/// Means over the batches of the batch means over the targets that are not ignored; batches without any are left out.
/// With `stream`, token by token with a state of constant size instead of all tokens at once.
template <Real T>
Evaluation evaluate(const RecallModel<T>& model, const std::vector<RecallBatch>& batches, bool stream = false,
                    const LookAtLogits<T>& look = {});

/// `count` batches of a fresh stream, with evaluation targets.
std::vector<RecallBatch> validation_batches(const RecallSetting& setting, uint64_t seed, int64_t count,
                                            int64_t batch_size);

template <Real T>
class Trainer {
 public:
  /// A model with initial values, or with those of config.init.
  explicit Trainer(const TrainConfig& config);
  Trainer(const Trainer&) = delete;  // the optimizer points into the model
  Trainer& operator=(const Trainer&) = delete;

  struct Step {
    double loss, grad_norm, lr;  // grad_norm before clipping
    bool finite;                 // the loss, the gradient and the weights after the step
  };
  /// One step on the next batch. Without a finite loss and gradient the weights stay as they were.
  Step step();

  Evaluation evaluate() const { return orthoread::evaluate(model_, validation_); }
  int64_t steps_done() const { return optimizer_.state().steps; }
  int64_t parameter_count() { return count(parameters_); }

  /// The weights, under the published names, with the settings as metadata.
  SafetensorsWriter model_file();
  /// Everything that a later process needs to go on bit for bit: weights, optimizer, the stream of batches.
  SafetensorsWriter state_file();
  /// Goes on from there. Everything is checked before anything changes: shapes, that the numbers are finite, the steps.
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
