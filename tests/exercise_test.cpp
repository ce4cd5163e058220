// The exercises: each hole fails with the message in docs/exercises.md, and each solution passes.
#include "data/files.h"
#include "tests/program.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <filesystem>
#include <map>

using namespace orthoread;
namespace fs = std::filesystem;

namespace {

const fs::path kPrograms = fs::path(ORTHOREAD_BUILD_DIR) / "exercises";

std::vector<std::string> names() {
  std::vector<std::string> found;
  for (const auto& entry : fs::directory_iterator(kPrograms))
    if (entry.path().extension() == ".cpp") found.push_back(entry.path().stem());
  std::sort(found.begin(), found.end());
  return found;
}

/// Runs `./dev exercise …` with the reader's files in this folder.
ProgramResult dev(const TemporaryFolder& mine, const std::string& words) {
  return run_shell(fmt::format("cd '{}' && DEV_BUILD_FOLDER='{}' DEV_EXERCISES_FOLDER='{}' ./dev exercise {}",
                               kRoot.string(), ORTHOREAD_BUILD_DIR, mine.path(), words));
}

}  // namespace

TEST_CASE("exercise: ten exercises; the holes fail with their message, the solutions pass") {
  const std::string page = read_file(kRoot / "docs/exercises.md");
  CHECK(names().size() == 10);
  for (const std::string& name : names()) {
    CAPTURE(name);
    const ProgramResult hole = run_shell(fmt::format("'{}/hole_{}'", kPrograms.string(), name));
    CHECK(hole.exit_code == 1);
    CHECK(hole.out.ends_with("\nNot yet.\n"));
    CHECK_MESSAGE(contains(page, "```text\n" + hole.out + "```\n"), hole.out);
    const ProgramResult solved = run_shell(fmt::format("'{}/solved_{}'", kPrograms.string(), name));
    CHECK(solved.exit_code == 0);
    CHECK(solved.out.ends_with("\nSolved.\n"));
    CHECK(!contains(solved.out, "wrong"));
    const std::string hints = read_file(kRoot / "apps/exercise/hints" / (name + ".txt"));
    CHECK(std::count(hints.begin(), hints.end(), '\n') == 3);
  }
}

TEST_CASE("exercise: from a hole to the solution, as a reader does it") {
  const TemporaryFolder mine;
  CHECK(contains(dev(mine, "").out, "9: the gradient of a rank-one write.\n"));
  const ProgramResult begun = dev(mine, "1");
  CHECK(begun.exit_code == 1);
  CHECK(contains(begun.out, "wrong  the gradient of a is wrong"));
  CHECK(begun.err.ends_with("dev: ./dev exercise 1 hint 1 gives a hint; 2 and 3 say more\n"));
  CHECK(contains(dev(mine, "1 hint").out, "Hold b still"));
  CHECK(contains(dev(mine, "1 hint 3").out, "mul(dy, b) and mul(dy, a)"));
  const std::string solution = dev(mine, "1 solution").out, path = mine / "01_product.cpp";
  std::string text = read_file(path);
  const std::string hole = "return {dy, dy};";
  REQUIRE(text.find(hole) != text.npos);
  write_file_atomically(path, text.replace(text.find(hole), hole.size(), solution));
  const ProgramResult solved = dev(mine, "1");
  CHECK(solved.exit_code == 0);
  CHECK(solved.out.ends_with("\nSolved.\n"));
  write_file_atomically(path, text + "nonsense");
  const ProgramResult broken = dev(mine, "1");
  CHECK(broken.exit_code == 1);
  CHECK_MESSAGE(contains(broken.err, "| nonsense\n"), broken.err);  // the reader's line
  CHECK(!contains(broken.err, "FAILED"));
  CHECK(broken.err.ends_with("01_product.cpp does not compile yet\n"));
}

TEST_CASE("exercise: crashes and subtly wrong answers are rejected with an explanation") {
  const TemporaryFolder mine;
  const auto judged = [&](const std::string& number, const std::string& name, const std::string& filling) {
    if (!fs::exists(mine / name)) fs::copy_file(kPrograms / name, mine / name);  // as the first call would do
    std::string text = read_file(mine / name);
    const size_t begin = text.find('\n', text.find("// >>> your turn")) + 1;
    write_file_atomically(mine / name, text.replace(begin, text.find("// <<<") - begin, filling));
    return dev(mine, number);
  };
  const ProgramResult crash =
      judged("6", "06_accumulation.cpp", "T* volatile nothing = nullptr;\nnothing[0] += from.data()[0];\n");
  CHECK(crash.exit_code == 1);
  CHECK_MESSAGE(contains(crash.out, "wrong  your program: it crashed\n"), crash.out);
  CHECK(crash.out.ends_with("\nNot yet.\n"));
  const ProgramResult leak = judged("7", "07_destructor.cpp", "new std::vector<Edge<T>>(std::move(inputs));\n");
  CHECK(leak.exit_code == 1);
  CHECK_MESSAGE(contains(leak.out, "wrong  with the last tensor of a chain its leaf goes, too: no\n"), leak.out);
  // The judge recognizes what is wrong.
  const std::map<std::string, std::vector<std::string>> said_of = {
      {judged("1", "01_product.cpp", "return {mul(dy, a), scale(mul(dy, a), T(-1))};\n").out,
       {"the gradient of a is wrong: yours is the gradient of b, and backward returns them in the order of the "
        "inputs; ",
        "the gradient of b is wrong: each number has the wrong sign; "}},
      {judged("3", "03_cross_entropy.cpp",
              "const T of = p.data()[b * V + v] * dy.item();\nto[b * V + v] = (target ? dy.item() - of : of) / n;\n")
           .out,
       {"the gradient of logits is wrong: 9 of its 12 numbers are right, and each of the others has the wrong sign; "}},
      {judged("5", "05_decaying_sum.cpp", "for (int64_t t = S; t-- > 0;) dx.edit()[t] += decay * dx.data()[t + 1];\n")
           .out,
       {"the gradient of x is wrong: a number outside its array was used, or 0 / 0; at [0] yours is NaN, ",
        "the gradient of a is wrong: it is 0; "}},
      {judged("9", "09_rank_one_write.cpp", "dv.edit()[r] += dy(r, c);\n").out,
       {"wrong  your program: it wrote a number outside its array\n"}}};
  CHECK(said_of.size() == 4);
  for (const auto& [said, parts] : said_of)
    for (const std::string& part : parts) CHECK_MESSAGE(contains(said, part), (part + "\nis not in\n" + said));
  CHECK(contains(judged("1", "01_product.cpp", "return {b, a};\n").out,
                 "the gradient of a is wrong: it stays the same when dy is twice as large"));
  const ProgramResult two_errors = judged("1", "01_product.cpp", "return {dy * b,\ndy * a};\n");
  CHECK_MESSAGE(std::count(two_errors.err.begin(), two_errors.err.end(), '^') == 2, two_errors.err);
  CHECK(!contains(two_errors.err, "required from"));
}

TEST_CASE("exercise: shape puzzles") {
  const TemporaryFolder mine;
  const std::string program = (kPrograms / "shape_puzzles").string();
  const auto judged = [&](const std::string& text) {
    write_file_atomically(mine / "shapes.txt", text);
    return run_shell(program + " '" + (mine / "shapes.txt") + "'");
  };
  const ProgramResult open = judged(read_file(kRoot / "apps/exercise/shapes.txt"));
  CHECK(open.exit_code == 1);
  CHECK(contains(open.out, "8: not answered yet\n\n0 of 8 right.\n"));
  const std::string right = read_file(kRoot / "apps/exercise/solutions/shapes.txt");
  CHECK(judged(right).exit_code == 0);
  CHECK(contains(judged(right).out, "8 of 8 right.\n"));
  const auto with = [&](const std::string& answer) {
    const std::string first = "permute(x, 1, 0) @ dy";
    return judged(std::string(right).replace(right.find(first), first.size(), answer));
  };
  CHECK(with("permute(x, 1, 0) @ dy").exit_code == 0);
  CHECK(with("permute(dy, 1, 0) @ x").out.starts_with("1: dw must have w's shape [3, 4], and this has [4, 3]\n"));
  CHECK(with("2 * permute(x, 1, 0) @ dy").out.starts_with("1: the shape fits, but the numbers are wrong\n"));
  CHECK(with("dy @ x").out.starts_with("1: matmul: inner sizes differ"));
  CHECK(with("z").out.starts_with("1: there is no 'z' in this puzzle\n"));
  CHECK(with("x.T @ dy").out.starts_with("1: 'x.T @ dy' is no formula: a transpose is written as permute(x, 1, 0)\n"));
  CHECK(judged("").exit_code == 2);
  CHECK(contains(judged("").err, "has 0 puzzles of 8"));
  CHECK(contains(judged("1: y = x @ w with x=a,3\ndx = x\n").err, "shapes: 'a' is no size in "));
  CHECK(contains(dev(mine, "shapes hint 2").out, "What forward sums, backward repeats"));
}

TEST_CASE("exercise: an unknown exercise") {
  const TemporaryFolder mine;
  CHECK(dev(mine, "11").exit_code == 2);
  CHECK(dev(mine, "11").err == "dev: there are the exercises 1 to 10, and shapes, not '11'\n");
  CHECK(dev(mine, "2 hnit").err == "dev: hint 1, 2 or 3, or solution, may follow exercise 2, not 'hnit'\n");
  CHECK(dev(mine, "2 hint 4").err == "dev: exercise 2 has the hints 1, 2 and 3\n");
}
