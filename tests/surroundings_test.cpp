// The program in any environment: closed or full streams, little memory, names of any bytes. It ends with an exit code
// and a line of its own, and its results do not change.
#include "data/files.h"
#include "tests/program.h"
#include "tests/support.h"

#include <doctest/doctest.h>

#include <algorithm>

namespace orthoread {
namespace {

namespace fs = std::filesystem;

const std::string kProgram = "'" ORTHOREAD_PROGRAM "' ";

}  // namespace

TEST_CASE("a log that cannot be written ends no run, and closed descriptors are not reused for files") {
  const TemporaryFolder folder;
  const std::string train = "orthoread train " + kSmallRun + " --out ";
  std::string loud = train;
  loud.erase(loud.find(" --quiet"), 8);
  REQUIRE(run_shell(train + folder / "whole").exit_code == 0);
  const std::string whole = run_files(folder / "whole");
  int number = 0;
  for (const std::string streams : {"2> /dev/full", "2>&-", "0<&- 2>&-", "0<&-", "2> >(true)"}) {
    CAPTURE(streams);
    const std::string run = folder / std::to_string(++number);
    const std::string line = fmt::format("{} {}", loud + run, streams);
    // A pipe without a reader needs bash.
    const ProgramResult result =
        streams.find(">(") == std::string::npos
            ? run_shell(line)
            : run_shell("bash -c \"" + kProgram + line.substr(std::string("orthoread ").size()) + "\"");
    CHECK(result.exit_code == 0);
    CHECK((run_files(run) == whole));
  }
}

TEST_CASE("results that cannot be written to stdout are exit code 1") {
  for (const std::string command : {"info", "info --json", "--help", "--version", "train --help", "gradcheck gain"}) {
    CAPTURE(command);
    check_refused("orthoread " + command + " > /dev/full", 1, "cannot write to stdout: No space left on device");
    check_refused("orthoread " + command + " >&-", 1, "cannot write to stdout: Bad file descriptor");
  }
  const TemporaryFolder folder;
  run_shell("{ sleep 0.3; orthoread info; echo $? > " + folder / "code; } | true");  // after the reader has gone
  CHECK(read_file(folder / "code") == "1\n");
  const std::string train = "orthoread train --out " + folder / "run " + kSmallRun;
  check_refused(train + " > /dev/full", 1, "cannot write to stdout");
  CHECK(run_shell(train + " --resume").exit_code == 0);  // the run itself had finished
}

TEST_CASE("text from flags and files cannot control the terminal") {
  const TemporaryFolder folder;
  const std::string bad = "\"$(printf 'a\\nb\\033[31m\\302\\233c\\377d\\303\\244')\"";
  const std::string shown = "a\\nb\\x1b[31m\\xc2\\x9bc\\xffd\u00e4";
  check_refused("orthoread " + bad, 2, shown);
  check_refused("orthoread train --out " + folder / "x --setting " + bad, 2, "'" + shown + "'");
  check_refused("orthoread train --out " + folder / "x --" + bad, 2, shown);
  check_refused("orthoread eval --checkpoint " + folder / "" + bad, 2, folder / shown);
  const ProgramResult text = run_shell("orthoread data --instances 1 --out " + folder / "" + bad);
  CHECK(text.out == folder / (shown + ": 1 instances of 511 tokens\n"));
  const ProgramResult json = run_shell("orthoread data --json --instances 1 --out " + folder / "" + bad);
  CHECK(json.exit_code == 0);
  CHECK(std::count(json.out.begin(), json.out.end(), '\n') == 1);
}

TEST_CASE("names that are not UTF-8 and paths that are too long") {
  const TemporaryFolder folder;
  const std::string name = folder / "" + "\"$(printf 'caf\\351')\"";
  REQUIRE(run_shell("orthoread train --steps 1 --out " + name + " " + kSmallTask + " --dim 16 --quiet").exit_code == 0);
  const std::string checkpoint = name + "/model.safetensors";
  CHECK(run_shell("orthoread eval --checkpoint " + checkpoint).exit_code == 0);
  const std::string init = "orthoread train --resume --steps 1 --dim 16 --quiet " + kSmallTask + " --init " +
                           checkpoint + " --out " + folder / "second";
  CHECK(run_shell(init).exit_code == 0);
  CHECK(run_shell(init).exit_code == 0);

  std::string long_path = folder.path();
  while (long_path.size() < 4085 - 200) long_path += "/" + std::string(199, 'x');
  long_path += "/" + std::string(4085 - long_path.size() - 1, 'x');
  check_refused("orthoread train --out " + long_path + " " + kSmallRun, 2, "File name too long");
  check_refused("orthoread data --out " + long_path, 2, "cannot write");
  check_refused("orthoread eval --checkpoint " + long_path, 2, "cannot read");
}

TEST_CASE("no threads but ours") {
  const TemporaryFolder folder;
  const ProgramResult result = run_shell(kProgram + "train --threads 1 --steps 100000 --out " + folder / "run " +
                                         kSmallRun + " --steps 100000 & until [ -s " +
                                         folder /
                                             "run/metrics.jsonl ] || ! kill -0 $! 2> /dev/null; do sleep 0.05; done; "
                                             "ls /proc/$!/task | wc -l; kill $!; wait $!");
  CHECK(result.exit_code == 75);
  CHECK(result.out == "1\n");
}

TEST_CASE("the version names the commit, and whether its files were changed") {
  if (run_shell("git --version").exit_code != 0) {
    MESSAGE("skipped: git is not installed");
    return;
  }
  const TemporaryFolder folder;
  const std::string root = "'" + folder / "root'";
  const auto version = [&] {
    REQUIRE(run_shell(fmt::format("cmake -DROOT={} -DVERSION=1.2.3 -DOUT='{}' -P '{}/apps/version.cmake'", root,
                                  folder / "version.cpp", kRoot.string()))
                .exit_code == 0);
    const std::string source = read_file(folder / "version.cpp");
    const size_t begin = source.find('"', source.find("return")) + 1;
    return source.substr(begin, source.find('"', begin) - begin);
  };
  REQUIRE(run_shell("mkdir " + root + " && touch " + root + "/file").exit_code == 0);
  CHECK(version() == "1.2.3");
  const std::string git = "git -c user.name=n -c user.email=n@example.org -C " + root + " ";
  REQUIRE(run_shell(git + "init -q && " + git + "add file && " + git + "commit -qm first").exit_code == 0);
  const std::string commit = run_shell(git + "rev-parse --short=12 HEAD").out;
  CHECK(version() + "\n" == "1.2.3+" + commit);
  REQUIRE(run_shell("echo more >> " + root + "/file").exit_code == 0);
  CHECK(version() + "\n" == "1.2.3+" + commit.substr(0, 12) + ".changed\n");
}

#ifndef ORTHOREAD_ADDRESS_SANITIZER  // AddressSanitizer needs terabytes of addresses

TEST_CASE("little memory") {
  const TemporaryFolder folder;
  for (const int mebibytes : {80, 100, 150}) {
    CAPTURE(mebibytes);
    const std::string limit = fmt::format("ulimit -v {}; ", mebibytes * 1024);
    CHECK(run_shell(limit + fmt::format("timeout 60 {}train --threads 1 {} --out {}", kProgram, kSmallRun,
                                        folder / std::to_string(mebibytes)))
              .exit_code == 0);
  }
  const std::string limit = "ulimit -v 300000; ";
  check_refused(limit + "orthoread train --threads 4096 " + kSmallRun + " --out " + folder / "many", 1,
                "cannot start 4096 threads: Resource temporarily unavailable; use a smaller --threads");
  check_refused(limit + "orthoread data --instances 1000000 --out " + folder / "data", 1, "out of memory");
}

#endif

}  // namespace orthoread
