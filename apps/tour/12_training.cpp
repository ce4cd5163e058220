// Stop 12: AdamW and a training loop: the recall model learns to look up what it has read.
#include "models/recall_model.h"
#include "ops/softmax.h"
#include "optim/adamw.h"
#include "optim/clip.h"

using namespace orthoread;

constexpr int64_t kBatch = 8, kPairs = 8, kKeys = 8, kTokens = 2 * kPairs;

// Pairs of a key and a value, the same value for a key each time. What counts are the values of keys seen before.
void draw(RandomStream& random, Array<int64_t>& tokens, Array<int64_t>& targets) {
  tokens = Array<int64_t>({kBatch, kTokens}), targets = Array<int64_t>::filled({kBatch, kTokens}, kIgnored);
  for (int64_t b = 0; b < kBatch; ++b) {
    int64_t value_of_key[kKeys] = {};
    for (int64_t t = 0; t < kTokens; t += 2) {
      const auto key = static_cast<int64_t>(random.uniform() * kKeys);
      const int64_t at = b * kTokens + t;
      if (value_of_key[key] != 0)
        targets.edit()[at] = value_of_key[key];
      else
        value_of_key[key] = kKeys + static_cast<int64_t>(random.uniform() * kKeys);
      tokens.edit()[at] = key, tokens.edit()[at + 1] = value_of_key[key];
    }
  }
}

int main() {
  RecallModel<double> model({.vocab_size = 2 * kKeys, .dim = 16, .heads = 1, .read = MemoryRead::ns(5)},
                            RandomStream(1));
  AdamW<double> optimizer(model.parameters(), {});
  RandomStream random(2);
  Array<int64_t> tokens, targets;
  for (int step = 0; step <= 200; ++step) {
    draw(random, tokens, targets);
    const Tensor<double> logits = model.forward(tokens);
    const Tensor<double> loss = cross_entropy(logits, targets);
    if (step % 25 == 0)
      fmt::print("step {:3}   loss {:.2f}   right {:3.0f} %\n", step, loss.value().item(),
                 100 * accuracy(logits.value(), targets));
    clear_grads(model.parameters());
    backward(loss);
    clip_grad_norm(model.parameters(), 1.0);
    optimizer.step(0.005);
  }
}
