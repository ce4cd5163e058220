// The task: noisy in-context recall, token for token as MAD-lab's generator draws it (Poli et al. 2024;
// mad/data/instances.py, generate_in_context_recall_instance).
//
// A sequence is seq_len / 2 pairs. A pair is noise (two noise tokens) or a key and its value. A key has the same value
// throughout a sequence, so when the key appears again, its value can be recalled. The last pair always repeats a key.
// Tokens, with N = vocab_size - noise_vocab_size (one less in single-query mode):
//     keys 0 … N/2 - 1, values N/2 … N - 1, noise N … N + noise_vocab_size - 1; single-query: vocab_size - 1 is a
//     prefix before the last pair, the only query.
#pragma once

#include "core/array.h"
#include "data/numpy_random.h"

#include <cstdint>
#include <string_view>
#include <vector>

namespace orthoread {

/// The parameters of the task; the defaults are the article's smallest setting.
struct RecallSetting {
  int64_t vocab_size = 80;        // number of tokens, noise included
  int64_t seq_len = 512;          // tokens in a sequence
  int64_t noise_vocab_size = 16;  // number of noise tokens
  double frac_noise = 0.8;        // the probability that a pair is noise
  bool single_query = false;      // one query, at the end, instead of one at every repeated key

  /// Tokens of an instance, in inputs and in targets.
  int64_t tokens() const { return single_query ? seq_len : seq_len - 1; }
  /// The number of tokens that are keys or values.
  int64_t pair_vocab_size() const { return vocab_size - noise_vocab_size - (single_query ? 1 : 0); }
  /// The number of keys. The values follow them: as many, or one more if pair_vocab_size() is odd.
  int64_t keys() const { return pair_vocab_size() / 2; }

  bool operator==(const RecallSetting&) const = default;
};

/// An Error that says which number is not allowed, and what is.
void check_setting(const RecallSetting& setting);

/// "v80_s512" means vocabulary 80 and sequence length 512, with defaults for the rest. An Error for text of another
/// form; check_setting checks the numbers.
RecallSetting parse_setting(std::string_view text);

/// A target that loss and accuracy ignore.
constexpr int64_t kIgnoredTarget = -100;

/// kTrain: the target is the next token at every position. kEval: it is the value at repeated keys, else
/// kIgnoredTarget.
enum class Split { kTrain, kEval };

/// Instances and their targets.
struct RecallBatch {
  Array<int64_t> inputs;   // (instances, tokens)
  Array<int64_t> targets;  // (instances, tokens)
};

/// A stream of instances. Their division into batches does not change them.
class NoisyRecall {
 public:
  /// Throws check_setting's Error. The stream is that of MAD-lab with numpy.random.default_rng(seed).
  NoisyRecall(const RecallSetting& setting, uint64_t seed);

  /// The next instances of the stream. `split` affects only the targets.
  RecallBatch next_batch(int64_t instances, Split split);

  /// The setting it was made with.
  const RecallSetting& setting() const { return setting_; }

  /// The position in the stream: six integers, NumpyRandom::state().
  Array<int64_t> state() const { return random_.state(); }
  /// Continues from a state() taken between two batches. An Error for numbers that are no state.
  void set_state(const Array<int64_t>& state) { random_.set_state(state); }

 private:
  void draw_instance();
  int64_t draw_noise();
  void add_key(int64_t key, bool ask);

  RecallSetting setting_;
  NumpyRandom random_;
  // The current instance. answers_[i] is tokens_[i] if that is a value to recall, else kIgnoredTarget.
  std::vector<int64_t> tokens_, answers_;
  std::vector<int64_t> value_of_;  // of each key; kIgnoredTarget if not seen yet
  std::vector<int64_t> seen_;      // keys in order of first appearance
};

}  // namespace orthoread
