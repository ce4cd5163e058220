#include "data/noisy_recall.h"

#include "data/safetensors.h"
#include "tests/golden.h"

#include <doctest/doctest.h>

#include <chrono>
#include <limits>

using namespace orthoread;

namespace {

std::vector<int64_t> numbers_of(const Array<int64_t>& x) { return {x.data(), x.data() + x.size()}; }

void check_equal(const Array<int64_t>& actual, const Array<int64_t>& expected) {
  CHECK(actual.shape() == expected.shape());
  CHECK(numbers_of(actual) == numbers_of(expected));
}

/// The constructor's message for the default setting with one change.
template <class Change>
std::string refused_setting(Change change) {
  RecallSetting setting;
  change(setting);
  try {
    NoisyRecall(setting, 0);
  } catch (const Error& error) {
    return error.what();
  }
  return "allowed";
}

}  // namespace

TEST_CASE("noisy recall: MAD-lab's golden streams, token for token") {
  for (const char* name : {"mad_v80_s512_seed11.safetensors", "mad_v96_s1024_seed12.safetensors",
                           "mad_v32_s128_single_query_seed3.safetensors"}) {
    CAPTURE(name);
    const auto file = Safetensors::read(golden(name));
    const auto number = [&](const char* key) { return std::stoll(file.metadata().at(key)); };
    const RecallSetting setting = {number("vocab_size"), number("seq_len"), number("noise_vocab_size"),
                                   std::stod(file.metadata().at("frac_noise")),
                                   file.metadata().at("multi_query") == "False"};
    for (const Split split : {Split::kTrain, Split::kEval}) {
      const std::string prefix = split == Split::kTrain ? "train." : "eval.";
      NoisyRecall stream(setting, static_cast<uint64_t>(number("seed")));
      const auto [inputs, targets] = stream.next_batch(number("instances"), split);
      check_equal(inputs, file.get<int64_t>(prefix + "inputs"));
      check_equal(targets, file.get<int64_t>(prefix + "targets"));
    }
  }
}

TEST_CASE("noisy recall: a short sequence in both modes") {
  // Vocabulary 9 without 2 noise tokens: keys 0 1 2, values 3 … 6, noise 7 8. MAD-lab's output for default_rng(5).
  RecallSetting setting = {.vocab_size = 9, .seq_len = 16, .noise_vocab_size = 2, .frac_noise = 0.3};
  constexpr int64_t o = kIgnoredTarget;
  SUBCASE("every repeated key is a query") {
    const auto train = NoisyRecall(setting, 5).next_batch(1, Split::kTrain);
    const auto eval = NoisyRecall(setting, 5).next_batch(1, Split::kEval);
    CHECK(train.inputs.shape() == Shape{1, 15});
    CHECK(numbers_of(train.inputs) == std::vector<int64_t>{2, 4, 8, 8, 0, 5, 7, 7, 0, 5, 0, 5, 8, 7, 2});
    CHECK(numbers_of(train.targets) == std::vector<int64_t>{4, 8, 8, 0, 5, 7, 7, 0, 5, 0, 5, 8, 7, 2, 4});
    CHECK(numbers_of(eval.targets) == std::vector<int64_t>{o, o, o, o, o, o, o, o, 5, o, 5, o, o, o, 4});
  }
  SUBCASE("only the last key is a query, after the prefix 8") {
    setting.single_query = true;
    const auto train = NoisyRecall(setting, 5).next_batch(1, Split::kTrain);
    const auto eval = NoisyRecall(setting, 5).next_batch(1, Split::kEval);
    CHECK(train.inputs.shape() == Shape{1, 16});
    CHECK(numbers_of(train.inputs) == std::vector<int64_t>{2, 4, 7, 7, 0, 4, 6, 6, 0, 4, 0, 4, 7, 6, 8, 2});
    CHECK(numbers_of(train.targets) == std::vector<int64_t>{4, 7, 7, 0, 4, 6, 6, 0, 4, 0, 4, 7, 6, 8, 2, 4});
    CHECK(numbers_of(eval.targets) == std::vector<int64_t>{o, o, o, o, o, o, o, o, o, o, o, o, o, o, o, 4});
  }
}

TEST_CASE("noisy recall: many settings and seeds") {
  // For each instance: h = (31 h + x) mod 2^64 over its inputs, training targets and evaluation targets, drawn by
  // MAD-lab's algorithm in NumPy.
  const struct {
    RecallSetting setting;
    uint64_t seed;
    int64_t instances;
    uint64_t digest;
  } rows[] = {
      {{80, 512, 16, 0.8, false}, 11u, 64, 8079078616082423036u},
      {{96, 1024, 16, 0.8, false}, 10012u, 16, 17794913067394998784u},
      {{88, 768, 16, 0.8, false}, 3u, 16, 205158917149114020u},
      {{23, 64, 8, 0.5, false}, 7u, 64, 4428322934733745175u},  // an odd number of tokens: one more value than keys
      {{20, 40, 0, 0, false}, 1u, 64, 17091472126014086687u},
      {{17, 64, 1, 0.3, true}, 5u, 64, 14236939350415520910u},
      {{2, 4, 0, 0, false}, 9u, 8, 9013166607024228096u},  // the smallest: one key, one value
      {{24, 64, 8, 0.5, false}, 7u, 8, 10799598376154965611u},
      {{80, 512, 16, 0, true}, 9223372036854775808u, 8, 12623656952454805339u},
      {{7, 256, 3, 0.9, true}, 18446744073709551615u, 8, 16060757045088334495u},
  };
  for (const auto& row : rows) {
    CAPTURE(row.setting.vocab_size);
    CAPTURE(row.seed);
    NoisyRecall train(row.setting, row.seed), eval(row.setting, row.seed);
    uint64_t h = 0;
    const auto add = [&h](const Array<int64_t>& x) {
      for (const int64_t token : numbers_of(x)) h = h * 31 + static_cast<uint64_t>(token);
    };
    for (int64_t i = 0; i < row.instances; ++i) {
      const auto batch = train.next_batch(1, Split::kTrain);
      add(batch.inputs);
      add(batch.targets);
      add(eval.next_batch(1, Split::kEval).targets);
    }
    CHECK(h == row.digest);
  }
}

TEST_CASE("noisy recall: batches are consecutive parts of one stream") {
  NoisyRecall whole(RecallSetting(), 11), parts(RecallSetting(), 11);
  const auto four = whole.next_batch(4, Split::kEval);
  for (int64_t part = 0; part < 2; ++part) {
    const auto two = parts.next_batch(2, Split::kEval);
    const auto offset = part * two.inputs.size();
    CHECK(std::equal(two.inputs.data(), two.inputs.data() + two.inputs.size(), four.inputs.data() + offset));
    CHECK(std::equal(two.targets.data(), two.targets.data() + two.targets.size(), four.targets.data() + offset));
  }
}

TEST_CASE("noisy recall: a restored stream continues with the same tokens") {
  NoisyRecall stream(RecallSetting(), 11), other(RecallSetting(), 99);
  for (int i = 0; i < 5; ++i) {  // odd and even numbers of 32-bit draws, because half a draw is buffered
    stream.next_batch(1, Split::kTrain);
    other.set_state(stream.state());
    const auto expected = stream.next_batch(2, Split::kTrain), actual = other.next_batch(2, Split::kTrain);
    check_equal(actual.inputs, expected.inputs);
    check_equal(actual.targets, expected.targets);
  }
}

TEST_CASE("noisy recall: if all other pairs are noise, the last key is new and no query") {
  const RecallSetting setting = {.vocab_size = 8, .seq_len = 6, .noise_vocab_size = 2, .frac_noise = 0.5};
  const auto batch = NoisyRecall(setting, 0).next_batch(1, Split::kEval);  // MAD-lab's choice([]) fails here
  for (int i = 0; i < 4; ++i) CHECK(batch.inputs.data()[i] >= 6);
  CHECK(batch.inputs.data()[4] < 3);
  CHECK(numbers_of(batch.targets) == std::vector<int64_t>(5, kIgnoredTarget));
}

TEST_CASE("noisy recall: settings by name") {
  CHECK(parse_setting("v80_s512") == RecallSetting());
  CHECK(parse_setting("v96_s1024") == RecallSetting{.vocab_size = 96, .seq_len = 1024});
  for (const char* text :
       {"", "v", "v80", "v80_", "v80s512", "v80_s", "v80_s512 ", " v80_s512", "V80_S512", "v-80_s512", "v80_s-512",
        "v80_s5.5", "v99999999999999999999_s512", "v80_s99999999999999999999", "x"}) {
    const std::string expected = fmt::format(
        "unknown setting '{}': the form is v<vocabulary>_s<sequence length>; the article's settings are v80_s512, "
        "v80_s768, v88_s768, v80_s1024, v96_s768 and v96_s1024",
        text);
    CHECK_THROWS_WITH_AS(parse_setting(text), expected.c_str(), Error);
  }
}

TEST_CASE("noisy recall: errors") {
  using Setting = RecallSetting;
  CHECK(refused_setting([](Setting&) {}) == "allowed");
  for (const int64_t seq_len : {511, 2, 0, -2, 1 << 21}) {
    CHECK(refused_setting([&](Setting& s) { s.seq_len = seq_len; }) ==
          fmt::format("seq_len must be even (a sequence is pairs) and from 4 to 1048576, not {}", seq_len));
  }
  for (const double frac_noise :
       {-0.1, 1.0, 1.5, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    CHECK(refused_setting([&](Setting& s) { s.frac_noise = frac_noise; }) ==
          fmt::format("frac_noise must be at least 0 and below 1, not {}", frac_noise));
  }
  CHECK(refused_setting([](Setting& s) { s.noise_vocab_size = -1; }) ==
        "noise_vocab_size must be from 0 to 1048576, not -1");
  CHECK(refused_setting([](Setting& s) { s.noise_vocab_size = 0; }) ==
        "noise_vocab_size must be at least 1 when frac_noise is 0.8; 0 is allowed when frac_noise is 0");
  CHECK(refused_setting([](Setting& s) { s.vocab_size = 18; }) == "allowed");
  CHECK(refused_setting([](Setting& s) { s.vocab_size = 17; }) ==
        "vocab_size must be from 18 to 1048576 (16 noise tokens, a key and a value at least), not 17");
  CHECK(refused_setting([](Setting& s) { s.vocab_size = 18, s.single_query = true; }) ==
        "vocab_size must be from 19 to 1048576 (16 noise tokens, a copy prefix, a key and a value at least), not 18");
  for (const int64_t vocab_size : {std::numeric_limits<int64_t>::max(), std::numeric_limits<int64_t>::min()}) {
    CHECK(refused_setting([&](Setting& s) { s.vocab_size = vocab_size; }) ==
          fmt::format("vocab_size must be from 18 to 1048576 (16 noise tokens, a key and a value at least), not {}",
                      vocab_size));
  }
  NoisyRecall stream(RecallSetting(), 0);
  CHECK_THROWS_WITH_AS(stream.next_batch(0, Split::kTrain), "instances must be at least 1, not 0", Error);
}

TEST_CASE("noisy recall: a large batch takes a small part of a training step") {
  const RecallSetting setting = {.vocab_size = 96, .seq_len = 1024};
  NoisyRecall stream(setting, 1);
  auto fastest = std::chrono::steady_clock::duration::max();
  for (int i = 0; i < 5; ++i) {
    const auto start = std::chrono::steady_clock::now();
    stream.next_batch(64, Split::kTrain);
    fastest = std::min(fastest, std::chrono::steady_clock::now() - start);
  }
  CHECK(fastest < std::chrono::milliseconds(50));  // about 1 ms; sanitizers and busy machines take longer
}
