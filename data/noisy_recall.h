// The task: noisy in-context recall, token for token what MAD-lab's generator draws (Poli et al. 2024; its
// mad/data/instances.py, generate_in_context_recall_instance).
//
// A sequence is seq_len / 2 pairs. A pair is noise (two noise tokens) or a key and its value; a key keeps its value for
// the whole sequence, so that the second time a key appears its value can be recalled. The last pair always repeats a
// key. Tokens, with N = vocab_size - noise_vocab_size (one less in single-query mode):
//     keys 0 … N/2 - 1, values N/2 … N - 1, noise N … N + noise_vocab_size - 1; single-query: vocab_size - 1 is a
//     prefix before the last pair, which is the only one asked for.
#pragma once

#include "core/array.h"
#include "data/numpy_random.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace orthoread {

/// What a sequence looks like; the defaults are the article's smallest setting.
struct RecallSetting {
  int64_t vocab_size = 80;        // tokens that there are, noise included
  int64_t seq_len = 512;          // tokens of a sequence
  int64_t noise_vocab_size = 16;  // tokens that are noise
  double frac_noise = 0.8;        // the probability that a pair is noise
  bool single_query = false;      // ask for one value, at the end, instead of for every repeated key

  /// Tokens of an instance, in inputs and in targets.
  int64_t tokens() const { return single_query ? seq_len : seq_len - 1; }
  /// How many tokens are keys or values.
  int64_t pair_vocab_size() const { return vocab_size - noise_vocab_size - (single_query ? 1 : 0); }
  /// How many tokens are keys; the values follow them, one more than the keys if pair_vocab_size() is odd.
  int64_t keys() const { return pair_vocab_size() / 2; }

  bool operator==(const RecallSetting&) const = default;
};

/// Throws an Error that says which number is not allowed and which are.
void check_setting(const RecallSetting& setting);

/// "v80_s512" is vocabulary 80 and sequence length 512, and the defaults for the rest. Throws an Error for text of
/// another form; the numbers themselves are check_setting's business.
RecallSetting parse_setting(std::string_view text);

/// A target that the loss and the accuracy leave out.
constexpr int64_t kIgnoredTarget = -100;

/// What the targets are: the next token at every position, or the value at the repeated keys and kIgnoredTarget
/// elsewhere.
enum class Split { kTrain, kEval };

/// Instances, and what is to be predicted at each of their tokens.
struct RecallBatch {
  Array<int64_t> inputs;   // (instances, tokens)
  Array<int64_t> targets;  // (instances, tokens)
};

/// A stream of instances, drawn one after another: how they are cut into batches does not change them.
class NoisyRecall {
 public:
  /// Throws check_setting's Error. MAD-lab's stream is that of numpy.random.default_rng(seed).
  NoisyRecall(const RecallSetting& setting, uint64_t seed);

  /// The next instances of the stream. The split decides on the targets alone; both draw the same inputs.
  RecallBatch next_batch(int64_t instances, Split split);

  /// What it was made with.
  const RecallSetting& setting() const { return setting_; }

  /// Where the stream stands: six integers, NumpyRandom::state().
  Array<int64_t> state() const { return random_.state(); }
  /// Goes on where state() was taken, between two batches; an error for numbers that no state has.
  void set_state(const Array<int64_t>& state) { random_.set_state(state); }

 private:
  void draw_instance();
  int64_t draw_noise();
  void add_key(int64_t key, bool ask);

  RecallSetting setting_;
  NumpyRandom random_;
  // The present instance. answers_ runs beside tokens_: the token where it is a value to recall, else kIgnoredTarget.
  std::vector<int64_t> tokens_, answers_;
  std::vector<int64_t> value_of_;  // by key; kIgnoredTarget for a key not seen yet
  std::vector<int64_t> seen_;      // keys in order of first appearance
};

}  // namespace orthoread
