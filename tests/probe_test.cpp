// `orthoread probe`: its formulas in cases with known answers, and published figures.
#include "apps/probe/checkpoint_files.h"
#include "apps/probe/checkpoint_probe.h"
#include "apps/probe/memory_replay.h"
#include "apps/probe/spectrum.h"
#include "apps/train/checkpoint.h"
#include "data/files.h"
#include "ops/gemm.h"
#include "ops/softmax.h"
#include "tests/program.h"
#include "tests/support.h"

#include <map>
#include <numeric>

using namespace orthoread;

namespace {

/// A random orthogonal matrix: the reflection I - 2 w w^T / |w|^2.
Array<double> reflection(int64_t n, uint64_t seed) {
  const Array<double> w = uniform_array({n, 1}, seed);
  Array<double> y = matmul(w, w, false, true);
  double squares = 0;
  for (int64_t i = 0; i < n; ++i) squares += w.data()[i] * w.data()[i];
  for (int64_t i = 0; i < n * n; ++i) y.edit()[i] = (i / n == i % n ? 1 : 0) - 2 * y.data()[i] / squares;
  return y;
}

/// U S V^T, (m, n), with these singular values.
Array<double> with_singular_values(int64_t m, int64_t n, const Numbers& s) {
  Array<double> diagonal({m, n});
  for (size_t i = 0; i < s.size(); ++i) diagonal.edit()[static_cast<int64_t>(i) * (n + 1)] = s[i];
  return matmul(matmul(reflection(m, 1), diagonal), reflection(n, 2));
}

void check_near(const std::vector<double>& actual, const std::vector<double>& expected, double limit) {
  REQUIRE(actual.size() == expected.size());
  for (size_t i = 0; i < actual.size(); ++i) CHECK(std::abs(actual[i] - expected[i]) <= limit);
}

const std::string kTask = "--vocab-size 24 --seq-len 32 --noise-vocab-size 8 --frac-noise 0.5";
const std::string kRun = kTask + " --dim 16 --batch-size 4 --steps 3 --lr 0.01 --read ns1 --val-batches 2 --quiet";

Json json_of(const std::string& command) {
  const ProgramResult result = run_shell(command);
  REQUIRE_MESSAGE(result.exit_code == 0, result.err);
  CHECK(result.err.empty());
  return Json::parse(result.out);
}

}  // namespace

TEST_CASE("probe: singular values of matrices made from given ones") {
  const Numbers s = {3, 2, 1, 0.25, 1e-3};
  for (const auto& [m, n] : {std::pair<int64_t, int64_t>{5, 5}, {5, 8}, {9, 5}}) {
    const Array<double> matrix = with_singular_values(m, n, s);
    check_near(singular_values(matrix), s, 1e-14);
    check_near(singular_values(cast<float>(matrix)), s, 1e-6);
  }
  Array<double> broken({2, 2});
  broken.edit()[3] = kNaN;
  CHECK(thrown([&] { singular_values(broken); }) == "singular values: the matrix holds a number that is not finite");
}

TEST_CASE("probe: effective rank, share of the largest, condition") {
  const Numbers equal(7, 0.3), one = {5, 0, 0};
  CHECK(std::abs(effective_rank(equal) - 7) <= 1e-14);
  CHECK(std::abs(first_share(equal) - 1.0 / 7) <= 1e-15);
  CHECK(log10_condition(equal) == 0);
  CHECK(effective_rank(one) == 1);
  CHECK(first_share(one) == 1);
  CHECK(log10_condition(one) == kInfinity);
  // p = 1/2, 1/4, 1/4: the entropy is 3/2 ln 2.
  CHECK(std::abs(effective_rank({4, 2, 2}) - std::pow(2, 1.5)) <= 1e-14);
  CHECK(std::abs(log10_condition({200, 30, 2}) - 2) <= 1e-15);
  CHECK(effective_rank({0, 0}) == 0);
  CHECK(first_share({0, 0}) == 0);

  Spectrum mean;
  mean.add({1, 1}, 0.5);
  mean.add({3, 1}, 0.5);
  CHECK(std::abs(mean.first_share - (0.5 + 0.75) / 2) <= 1e-15);
  check_near(mean.singular_values, {0.625, 0.375}, 1e-15);
}

TEST_CASE("probe: ages and counts in a handmade sequence") {
  // Keys 0 to 3, values 4 to 7, noise 8 and 9.
  RecallBatch batch;
  batch.inputs = Array<int64_t>({2, 11}, {0, 4, 8, 9, 1, 5, 0, 4, 0, 4, 1,  //
                                          2, 7, 2, 7, 3, 7, 9, 9, 3, 7, 2});
  batch.targets = Array<int64_t>({2, 11}, std::vector<int64_t>(22, kIgnoredTarget));
  for (const auto& [at, value] : {std::pair(6, 4), {8, 4}, {10, 5}, {11 + 2, 7}, {11 + 8, 7}, {11 + 10, 7}})
    batch.targets.edit()[at] = value;
  const std::vector<Query> expected = {
      {.sequence = 0, .position = 6, .age = 6, .times_seen = 1, .stored = 0, .value = 4},
      {.sequence = 0, .position = 8, .age = 2, .times_seen = 2, .stored = 0, .value = 4},
      {.sequence = 0, .position = 10, .age = 6, .times_seen = 1, .stored = 4, .value = 5},
      {.sequence = 1, .position = 2, .age = 2, .times_seen = 1, .stored = 0, .value = 7},
      {.sequence = 1, .position = 8, .age = 4, .times_seen = 1, .stored = 4, .value = 7},
      {.sequence = 1, .position = 10, .age = 8, .times_seen = 2, .stored = 0, .value = 7}};
  CHECK((queries(batch) == expected));

  // With a single query, the stored pair is the last earlier one.
  for (const int64_t at : {6, 8, 10}) batch.targets.edit()[at] = at == 8 ? 4 : kIgnoredTarget;
  CHECK((queries(batch)[0] == Query{.sequence = 0, .position = 8, .age = 2, .times_seen = 2, .stored = 6, .value = 4}));

  batch.targets.edit()[0] = 4;
  CHECK(thrown([&] { queries(batch); }) ==
        "queries: position 0 of sequence 0 asks for a key that was not there before");
}

TEST_CASE("probe: ranges contain every age and every count once") {
  for (const auto& ranges : {age_ranges(511), age_ranges(512), times_seen_ranges()}) {
    for (int64_t number = ranges.front().from; number < 511; ++number)
      CHECK(std::count_if(ranges.begin(), ranges.end(), [&](const auto& range) { return range.holds(number); }) == 1);
  }
  CHECK(age_ranges(511).size() == 8);
}

TEST_CASE("probe: the replayed memory is the sum of all decayed writes") {
  constexpr int64_t tokens = 7, width = 3;
  HeadWrites<double> writes = {uniform_array({tokens, width}, 1), uniform_array({tokens, width}, 2),
                               uniform_array({tokens, 1}, 3), uniform_array({tokens, 1}, 4, -2, -0.1)};
  int64_t looked = 0;
  replay_memory<double>(writes, [&](int64_t t, const Array<double>& memory) {
    CHECK(t == looked++);
    // C_t = sum over s of exp(lf_{s+1} + … + lf_t + i_s - m_t) k_s v_s^T, where m_t is the largest of these exponents
    // (without -m_t) and of lf_1 + … + lf_t.
    const auto kept = [&](int64_t from) {
      return std::accumulate(writes.log_forget.data() + from, writes.log_forget.data() + t + 1, 0.0);
    };
    Numbers exponents;
    for (int64_t s = 0; s <= t; ++s) exponents.push_back(kept(s + 1) + writes.input_gate.data()[s]);
    const double m = std::max(kept(0), *std::max_element(exponents.begin(), exponents.end()));
    Array<double> expected({width, width});
    for (int64_t s = 0; s <= t; ++s) {
      const double weight = std::exp(exponents[static_cast<size_t>(s)] - m);
      for (int64_t i = 0; i < width * width; ++i) {
        expected.edit()[i] +=
            weight * writes.key.data()[s * width + i / width] * writes.value.data()[s * width + i % width];
      }
    }
    CHECK(relative_error(memory, expected) <= 1e-14);
  });
  CHECK(looked == tokens);
}

TEST_CASE("probe: the decoder finds linearly stored values, and nothing where none are stored") {
  // Sequences of 8 orthonormal keys, each with one of 5 values. Values are written as random codes and never forgotten,
  // so k^T C is the code of the key's value. With the key of another pair it contains nothing about the label.
  constexpr int64_t width = 8, values = 5, sequences = 100;
  const Array<double> keys = reflection(width, 1), codes = uniform_array({values, width}, 2);
  RandomStream random(3);
  DecoderSamples stored{Array<double>({sequences * width, width}), {}, {}}, other = stored;
  for (int64_t sequence = 0; sequence < sequences; ++sequence) {
    HeadWrites<double> writes = {keys, Array<double>({width, width}), Array<double>({width, 1}),
                                 Array<double>({width, 1})};
    for (int64_t t = 0; t < width; ++t) {
      const auto value = static_cast<int64_t>(random.uniform() * values);
      std::copy_n(codes.data() + value * width, width, writes.value.edit() + t * width);
      for (DecoderSamples* samples : {&stored, &other}) {
        samples->labels.push_back(value);
        samples->groups.push_back(sequence);
      }
    }
    replay_memory<double>(writes, [&](int64_t t, const Array<double>& memory) {
      if (t + 1 < width) return;
      const Array<double> asked = matmul(keys, memory);
      for (int64_t row = 0; row < width; ++row) {
        std::copy_n(asked.data() + row * width, width, stored.features.edit() + (sequence * width + row) * width);
        std::copy_n(asked.data() + row * width, width,
                    other.features.edit() + (sequence * width + (row + 1) % width) * width);
      }
    });
  }
  const DecoderResult found = ridge_decoder(stored);
  CHECK(found.accuracy == 1);
  CHECK(found.train == 70 * width);  // groups up to 69.3, the .7 quantile of 0 to 99
  CHECK(found.test == 30 * width);
  CHECK(found.lambda == .1);  // the first of equal ones
  // 240 answers, a fifth right by chance.
  CHECK(std::abs(ridge_decoder(other).accuracy - 0.2) <= 5 * std::sqrt(0.2 * 0.8 / 240));
  stored.groups.assign(stored.groups.size(), 0);
  CHECK(thrown([&] { ridge_decoder(stored); }) ==
        "ridge decoder: 800 samples to train on and 0 to test are too few; give it more sequences");
}

TEST_CASE("probe: the decoder chooses a large lambda where a small one fits noise") {
  // As many features as training samples; only one is related to the label.
  constexpr int64_t n = 300, width = 168;
  RandomStream random(5);
  DecoderSamples samples{Array<double>({n, width}), {}, {}};
  for (int64_t i = 0; i < n; ++i) {
    const int64_t label = random.uniform() < 0.5 ? 0 : 1;
    samples.labels.push_back(label);
    samples.groups.push_back(i);
    for (int64_t j = 0; j < width; ++j)
      samples.features.edit()[i * width + j] = random.normal() + (j == 0 && label == 1 ? 2 : 0);
  }
  CHECK(ridge_decoder(samples).lambda > .1);
}

TEST_CASE("probe: the files of a path") {
  const TemporaryFolder folder;
  const auto make = [&](const std::string& file) {
    std::filesystem::create_directories(std::filesystem::path(folder / file).parent_path());
    write_file_atomically(folder / file, "");
  };
  for (const char* file :
       {"sweep/runs/b/model.safetensors", "sweep/runs/b/config.json", "sweep/runs/a/config.json",
        "sweep/runs/c/checkpoints/1000.safetensors", "sweep/runs/c/checkpoints/200.safetensors",
        "sweep/runs/c/checkpoints/200.safetensors.1.tmp", "sweep/runs/c/checkpoints/last.safetensors",
        "sweep/runs/c/model.safetensors", "empty/config.json"}) {
    make(file);
  }
  const std::string runs = folder / "sweep/runs/";
  const std::vector<std::string> b = {runs + "b/model.safetensors"},
                                 c = {runs + "c/checkpoints/200.safetensors", runs + "c/checkpoints/1000.safetensors",
                                      runs + "c/model.safetensors"};
  CHECK(checkpoint_files(runs + "b").files == b);
  CHECK(checkpoint_files(runs + "c").files == c);
  std::vector<std::string> both = b;
  both.insert(both.end(), c.begin(), c.end());
  std::filesystem::create_directories(runs + "d/checkpoints");
  write_file_atomically(runs + "d/config.json", "");
  CHECK(checkpoint_files(folder / "sweep").files == both);
  CHECK(checkpoint_files(folder / "sweep").runs_without == 2);  // a and d
  CHECK(checkpoint_files(runs + "c").runs_without == 0);
  CHECK(checkpoint_files(b[0]).files == b);
  CHECK(checkpoint_files("nowhere").files == std::vector<std::string>{"nowhere"});  // reading it fails later
  CHECK(thrown([&] { checkpoint_files(folder / "empty"); }) ==
        folder / "empty: no run folder in it has a model.safetensors or checkpoints/STEP.safetensors");
  CHECK(step_in_path(c[1]) == 1000);
  CHECK_FALSE(step_in_path(c[2]));
  CHECK_FALSE(step_in_path("checkpoints/last.safetensors"));
}

TEST_CASE("probe: the program agrees with eval, the model and the gradients") {
  const TemporaryFolder folder;
  REQUIRE(run_shell("orthoread train --seed 5 --out " + folder / "run " + kRun).exit_code == 0);
  const std::string model = folder / "run/model.safetensors";
  const std::string probe = "orthoread probe --batches 6 --batch-size 8 --positions 3 --quiet --checkpoint ";
  const Json list = json_of(probe + model + " --json --threads 2");
  REQUIRE(list.size() == 1);
  const Json& found = list[0];
  CHECK(found["checkpoint"] == model);
  CHECK(found["read"] == "ns1");
  CHECK(found["data_seed"] == 5);
  CHECK(found["step"] == 3);
  CHECK(json_of(probe + folder / "run --json --threads 1") == list);  // a run folder, and any number of threads

  const Safetensors file = Safetensors::read(model);
  const RecallSetting setting{.vocab_size = 24, .seq_len = 32, .noise_vocab_size = 8, .frac_noise = 0.5};
  const auto batches = validation_batches(setting, 10005, 6, 8);
  size_t asked = 0;
  for (const RecallBatch& batch : batches) asked += queries(batch).size();

  SUBCASE("accuracies: as in eval, for both reads; each query is in one range of ages and one of counts") {
    for (const std::string read : {"raw", "ns1"}) {
      const Json eval = json_of("orthoread eval --json --checkpoint " + model + " --read " + read +
                                " --data-seed 10005 --batches 6 --batch-size 8");
      CHECK(found["accuracy"][read] == eval["val_accuracy"]);
      CHECK(found["loss"][read] == eval["val_loss"]);
      for (const char* by : {"by_age", "by_times_seen"}) {
        size_t counted = 0;
        double right = 0;
        for (const Json& range : found[by]) {
          const auto n = range["queries"].get<size_t>();
          counted += n;
          if (n > 0) right += range[read].get<double>() * static_cast<double>(n);
        }
        CHECK(counted == asked);
        CHECK(std::abs(right - std::round(right)) <= 1e-9);
        // eval gives equal weight to batches, this to queries.
        CHECK(std::abs(right / static_cast<double>(asked) - eval["val_accuracy"].get<double>()) <= 0.02);
      }
    }
    CHECK(found["decoder"]["train"].get<size_t>() + found["decoder"]["test"].get<size_t>() == asked);
  }
  SUBCASE("spectra of the memories that the model writes") {
    RecallModel<float> copy(checkpoint_config(file), RandomStream(0));
    load_parameters(file, copy.parameters());
    const MemoryInputs<float> inputs = copy.memory_inputs(batches[0].inputs);
    const std::vector<int64_t> tokens = {11, 21, 31};
    std::vector<double> ranks(3), of_keys(3);
    for (int64_t i = 0; i < 8 * 4; ++i) {
      const HeadWrites<float> writes = head_writes(inputs, i / 4, i % 4);
      size_t next = 0;
      replay_memory<float>(writes, [&](int64_t t, const Array<float>& memory) {
        if (t + 1 != tokens[next]) return;
        ranks[next] += effective_rank(singular_values(memory)) / 32;
        // The singular values of sum u u^T are the squares of those of the matrix with rows u.
        Array<double> u({t + 1, writes.key.dim(1)});
        for (int64_t s = 0; s <= t; ++s) {
          double squares = 0;
          for (int64_t j = 0; j < u.dim(1); ++j) squares += std::pow(writes.key.data()[s * u.dim(1) + j], 2);
          for (int64_t j = 0; j < u.dim(1); ++j)
            u.edit()[s * u.dim(1) + j] = value_of(writes.key.data()[s * u.dim(1) + j]) / std::sqrt(squares);
        }
        Numbers s = singular_values(u);
        for (double& x : s) x *= x;
        of_keys[next++] += effective_rank(s) / 32;
      });
    }
    for (size_t p = 0; p < 3; ++p) {
      const Json& position = found["positions"][p];
      CHECK(position["tokens"] == tokens[p]);
      CHECK(std::abs(position["memory"]["effective_rank"].get<double>() - ranks[p]) <= 1e-4);
      CHECK(std::abs(position["keys"]["effective_rank"].get<double>() - of_keys[p]) <= 1e-4);
      // One step s (3 - s^2) / 2 brings singular values closer together.
      CHECK(position["orthogonalized"]["effective_rank"] > position["memory"]["effective_rank"]);
      double sum = 0;
      for (const Json& s : position["memory"]["singular_values"]) sum += s.get<double>();
      CHECK(std::abs(sum - 1) <= 1e-6);
    }
  }
  SUBCASE("the cosine of two gradients") {
    RecallModel<double> copy(checkpoint_config(file), RandomStream(0));
    load_parameters(file, copy.parameters());
    NoisyRecall stream(setting, 6000000 + 3);
    std::map<std::string, Array<double>> grads[2];
    for (auto& of_batch : grads) {
      const RecallBatch batch = stream.next_batch(8, Split::kTrain);
      clear_grads(copy.parameters());
      backward(cross_entropy(copy.forward(batch.inputs), batch.targets));
      for (const auto& [name, tensor] : copy.parameters()) of_batch[name] = tensor->grad();
    }
    const auto cosine = [&](const std::vector<std::string>& names) {
      double ab = 0, aa = 0, bb = 0;
      for (const std::string& name : names) {
        const Array<double>&a = grads[0][name], &b = grads[1][name];
        ab += std::inner_product(a.data(), a.data() + a.size(), b.data(), 0.0);
        aa += std::inner_product(a.data(), a.data() + a.size(), a.data(), 0.0);
        bb += std::inner_product(b.data(), b.data() + b.size(), b.data(), 0.0);
      }
      return ab / std::sqrt(aa * bb);
    };
    const Json& shown = found["gradient_cosine"];
    CHECK(std::abs(shown["all"].get<double>() - cosine(file.names())) <= 1e-3);
    CHECK(std::abs(shown["query_and_key"].get<double>() - cosine({"layer.q_proj.weight", "layer.k_proj.weight"})) <=
          1e-3);
  }
  SUBCASE("a table, and a picture") {
    const ProgramResult table = run_shell(probe + model + " " + model + " --plot " + folder / "probe.svg");
    REQUIRE_MESSAGE(table.exit_code == 0, table.err);
    CHECK(table.out.find(fmt::format("{:.3f}", found["positions"][2]["memory"]["effective_rank"].get<double>())) !=
          std::string::npos);
    std::istringstream lines(table.out);
    for (std::string line; std::getline(lines, line);) CHECK_MESSAGE((line.size() <= 100 || line == model), line);
    CHECK(read_file(folder / "probe.svg").find("Accuracy by the age of the key") != std::string::npos);
    check_refused("PATH=/nowhere; " + probe + model + " --plot " + folder / "no.svg --json > /dev/null", 2,
                  "gnuplot is not installed (Debian: apt-get install gnuplot-nox)");
    std::filesystem::create_directory(folder / "bin");
    REQUIRE(run_shell("printf '#!/bin/sh\\necho\\necho line 7: no\\nexit 1\\n' > " +
                      folder / "bin/gnuplot && chmod +x " + folder / "bin/gnuplot")
                .exit_code == 0);
    check_refused("PATH=" + folder / "bin:$PATH; " + probe + model + " --plot " + folder / "no.svg --json > /dev/null",
                  2, "gnuplot says: line 7: no");
    CHECK_FALSE(std::filesystem::exists(folder / "no.svg"));
  }
}

TEST_CASE("probe: errors are one line") {
  const TemporaryFolder folder;
  REQUIRE(run_shell("orthoread train --out " + folder / "run " + kRun + " --steps 1").exit_code == 0);
  const std::string model = folder / "run/model.safetensors", probe = "orthoread probe --quiet --checkpoint " + model;
  check_refused("orthoread probe", 2, "--checkpoint");
  check_refused("orthoread probe --checkpoint " + folder / "nothing", 2, "cannot read " + folder / "nothing");
  std::filesystem::create_directory(folder / "empty");
  check_refused("orthoread probe --checkpoint " + folder / "empty", 2, "no run folder in it");
  check_refused(probe + " --read raw", 2, "--read: raw is measured anyway; ns<k> with k from 0 to 10 is allowed");
  check_refused(probe + " --read ns11", 2, "'ns11'");
  check_refused(probe + " --positions 32", 2, "--positions: from 1 to the 31 tokens is allowed, not 32");
  check_refused(probe + " --step -1", 2, "--step: a whole number from 0 is allowed, not -1");
  check_refused(probe + " --batches 0", 2, "--batches: a whole number from 1 is allowed, not 0");
  check_refused(probe + " --batches 1 --batch-size 1", 2, "give it more sequences");
  check_refused(probe + " --dtype float16", 2, "--dtype: float32 and float64 are allowed, not 'float16'");
  check_refused(probe + " --plot spectra.pdf", 2, "--plot: .svg and .png are allowed, not spectra.pdf");
  check_refused(probe + " --vocab-size 30", 2, "has 24 tokens, the task 30");

  std::filesystem::create_directory(folder / "begun");
  write_file_atomically(folder / "begun/config.json", "");
  const ProgramResult both = run_shell("orthoread probe --batches 6 --checkpoint '" + folder / "'");
  CHECK_MESSAGE(contains(both.err, "not ended, without a checkpoint: 1 of the runs\n"), both.err);

  const Safetensors file = Safetensors::read(model);
  SafetensorsWriter writer;
  for (const std::string& name : file.names()) {
    Array<float> numbers = file.get<float>(name);
    if (name == "head.bias") numbers.edit()[1] = std::numeric_limits<float>::quiet_NaN();
    writer.add(name, numbers);
  }
  writer.write(folder / "nan.safetensors");
  check_refused("orthoread probe --quiet " + kTask + " --checkpoint " + folder / "nan.safetensors", 2,
                folder / "nan.safetensors: head.bias holds a number that is not finite");
}

TEST_CASE("probe: the published figures of four checkpoints" * doctest::test_suite("long")) {
  const std::optional<std::string> checkpoints = replication_folder();
  if (!checkpoints) return;
  // arXiv:2607.19390 (CC BY 4.0, K. Aquino-Michaels).
  struct Published {
    std::string name;
    double rank, share, condition, cosine, query_key_cosine, decoder;
    Numbers orthogonalized;  // rank, share and condition, for those trained with ns5
  };
  for (const Published& run : {Published{"baseline_seed25", 3.27, .7885, 9.673, .5923, .8973, .9652, {}},
                               {"baseline_seed26", 4.465, .691, 8.148, -.0788, -.1984, .802, {}},
                               {"ns5_seed11", 6.13, .5226, 8.567, .0648, -.067, .9963, {10.05, .2294, 7.755}},
                               {"ns5_seed18", 5.798, .5471, 8.917, -.0055, -.1126, .965, {9.333, .2679, 8.057}}}) {
    CAPTURE(run.name);
    const Json probe = json_of(
        fmt::format("orthoread probe --json --quiet --positions 1 --checkpoint '{}/v80_s512_{}_steps2000.safetensors'",
                    *checkpoints, run.name))[0];
    const Json& last = probe["positions"][0];
    CHECK(std::abs(last["memory"]["effective_rank"].get<double>() - run.rank) <= .0006);
    CHECK(std::abs(last["memory"]["first_share"].get<double>() - run.share) <= .00006);
    // In float the smallest singular value is rounding noise.
    CHECK(std::abs(last["memory"]["log10_condition"].get<double>() - run.condition) <= .5);
    if (!run.orthogonalized.empty()) {
      CHECK(std::abs(last["orthogonalized"]["effective_rank"].get<double>() - run.orthogonalized[0]) <= .006);
      CHECK(std::abs(last["orthogonalized"]["first_share"].get<double>() - run.orthogonalized[1]) <= .00006);
      CHECK(std::abs(last["orthogonalized"]["log10_condition"].get<double>() - run.orthogonalized[2]) <= .5);
    }
    CHECK(std::abs(probe["gradient_cosine"]["all"].get<double>() - run.cosine) <= .0001);
    CHECK(std::abs(probe["gradient_cosine"]["query_and_key"].get<double>() - run.query_key_cosine) <= .0001);
    CHECK(std::abs(probe["decoder"]["accuracy"].get<double>() - run.decoder) <= .00006);
  }
}
