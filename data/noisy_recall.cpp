#include "data/noisy_recall.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace orthoread {
namespace {

constexpr int64_t kLargest = 1 << 20;  // of sizes: far beyond any use, and their sums cannot overflow

/// Removes `letter` and a whole number from the start of `text`; nullopt if it does not start so.
std::optional<int64_t> take_number(char letter, std::string_view& text) {
  int64_t number = 0;
  if (!text.starts_with(letter)) return {};
  const auto [end, error] = std::from_chars(text.data() + 1, text.data() + text.size(), number);
  if (error != std::errc() || number < 0) return {};
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return number;
}

}  // namespace

void check_setting(const RecallSetting& setting) {
  const auto& [vocab_size, seq_len, noise_vocab_size, frac_noise, single_query] = setting;
  check(seq_len % 2 == 0 && 4 <= seq_len && seq_len <= kLargest,
        "seq_len must be even (a sequence is pairs) and from 4 to {}, not {}", kLargest, seq_len);
  check(0 <= frac_noise && frac_noise < 1, "frac_noise must be at least 0 and below 1, not {}", frac_noise);
  check(0 <= noise_vocab_size && noise_vocab_size <= kLargest, "noise_vocab_size must be from 0 to {}, not {}",
        kLargest, noise_vocab_size);
  check(noise_vocab_size > 0 || frac_noise == 0,
        "noise_vocab_size must be at least 1 when frac_noise is {}; 0 is allowed when frac_noise is 0", frac_noise);
  const int64_t smallest = noise_vocab_size + (single_query ? 1 : 0) + 2;
  check(smallest <= vocab_size && vocab_size <= kLargest,
        "vocab_size must be from {} to {} ({} noise tokens, {}a key and a value at least), not {}", smallest, kLargest,
        noise_vocab_size, single_query ? "a copy prefix, " : "", vocab_size);
}

RecallSetting parse_setting(std::string_view text) {
  std::string_view rest = text;
  const auto vocab_size = take_number('v', rest);
  const bool underscore = rest.starts_with('_');
  if (underscore) rest.remove_prefix(1);
  const auto seq_len = take_number('s', rest);
  check(vocab_size && underscore && seq_len && rest.empty(),
        "unknown setting '{}': the form is v<vocabulary>_s<sequence length>; the article's settings are v80_s512, "
        "v80_s768, v88_s768, v80_s1024, v96_s768 and v96_s1024",
        text);
  return {.vocab_size = *vocab_size, .seq_len = *seq_len};
}

NoisyRecall::NoisyRecall(const RecallSetting& setting, uint64_t seed) : setting_(setting), random_(seed) {
  check_setting(setting);
  value_of_.assign(static_cast<size_t>(setting.keys()), kIgnoredTarget);
}

RecallBatch NoisyRecall::next_batch(int64_t instances, Split split) {
  check(instances > 0, "instances must be at least 1, not {}", instances);
  const Shape shape = {instances, setting_.tokens()};
  RecallBatch batch = {Array<int64_t>::uninitialized(shape), Array<int64_t>::uninitialized(shape)};
  int64_t* inputs = batch.inputs.edit();
  int64_t* targets = batch.targets.edit();
  const std::vector<int64_t>& next = split == Split::kTrain ? tokens_ : answers_;
  for (int64_t i = 0; i < instances; ++i) {
    draw_instance();
    inputs = std::copy(tokens_.begin(), tokens_.end() - 1, inputs);
    targets = std::copy(next.begin() + 1, next.end(), targets);
  }
  return batch;
}

int64_t NoisyRecall::draw_noise() { return setting_.pair_vocab_size() + random_.choice(setting_.noise_vocab_size); }

/// Adds a key and its value, with a query for the value if `ask` is true and the key was seen before.
void NoisyRecall::add_key(int64_t key, bool ask) {
  int64_t& value = value_of_[static_cast<size_t>(key)];
  const bool known = value != kIgnoredTarget;
  if (!known) {
    value = random_.integers(setting_.keys(), setting_.pair_vocab_size());
    seen_.push_back(key);
  }
  tokens_.insert(tokens_.end(), {key, value});
  answers_.insert(answers_.end(), {kIgnoredTarget, known && ask ? value : kIgnoredTarget});
}

void NoisyRecall::draw_instance() {
  for (const int64_t key : seen_) value_of_[static_cast<size_t>(key)] = kIgnoredTarget;
  seen_.clear();
  tokens_.clear();
  answers_.clear();

  const int64_t pairs = setting_.seq_len / 2;
  const int64_t not_noise = random_.choice(pairs);
  for (int64_t i = 0; i < pairs - 1; ++i) {
    if (i != not_noise && setting_.frac_noise > 0 && random_.random() < setting_.frac_noise) {
      const int64_t first = draw_noise(), second = draw_noise();
      tokens_.insert(tokens_.end(), {first, second});
      answers_.insert(answers_.end(), {kIgnoredTarget, kIgnoredTarget});
    } else {
      add_key(random_.choice(setting_.keys()), !setting_.single_query);
    }
  }
  if (setting_.single_query) {
    tokens_.push_back(setting_.vocab_size - 1);
    answers_.push_back(kIgnoredTarget);
  }
  // not_noise may be the last pair, and then all earlier pairs may be noise. MAD-lab fails in that case; here the last
  // key is a new one.
  add_key(seen_.empty() ? random_.choice(setting_.keys()) : random_.choice(seen_), true);
}

}  // namespace orthoread
