"""Do the tests notice a mistake? Breaks the kernels and the engine, one line at a time, and sees which test fails.

The list is tests/mutants.txt, which says what a mutant looks like. (What any op can do wrong with a gradient as a whole
needs no list: tests/generic_mutants_test.cpp.) All of them are built at once, into a copy of the
source, where each site chooses at run time between what stands there and what is wrong, by an environment variable:
    x + y  becomes  (orthoread_mutant(17) ? (x - y) : (x + y))
So there is one build, in which the tests first have to pass, and then a run of the tests for each mutant. A crash
counts as caught, and so does a run that takes too long. Exit code: 0 if every mutant was caught.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIST = ROOT / "tests/mutants.txt"
VARIABLE = "ORTHOREAD_MUTANT"

# Included before everything else in the copy, the kernels of each instruction set too: hence no function that a linker
# could share between them.
HEADER = f"""#pragma once
#include <cstdlib>
inline const int orthoread_chosen_mutant = std::getenv("{VARIABLE}") ? std::atoi(std::getenv("{VARIABLE}")) : 0;
__attribute__((always_inline)) inline bool orthoread_mutant(int number) {{ return number == orthoread_chosen_mutant; }}
"""


class ListError(Exception):
    """Something in the list that does not fit the source."""


@dataclass(frozen=True)
class Mutant:
    file: str
    tests: tuple
    ops: tuple  # or functions and classes of other folders
    mistake: str
    before: str  # the code in front of the site
    right: str  # the code of the site
    behind: str
    wrong: str  # what replaces it

    @property
    def name(self):
        return f"{', '.join(self.ops)}: {self.mistake}"

    @property
    def number(self):
        """Depends on the mutant alone, so that another one in the list does not mean to build all files again."""
        text = "\n".join((self.file, self.name, self.before, self.right, self.behind, self.wrong))
        return zlib.crc32(text.encode()) & 0x7FFFFFFF

    def site(self, text):
        """Where in the text of its file the site begins and ends."""
        found = list(re.finditer(pattern((self.before, self.right, self.behind)), text))
        if len(found) != 1:
            raise ListError(f"{self.name}: {self.file} has {len(found)} times: {self.before}{self.right}{self.behind}")
        return found[0].span(1)


def pattern(parts):
    """Matches the code of (before the site, site, after it), whatever its line breaks and spaces. Group 1: the site."""
    code, last = "", ""
    for part, opening, closing in zip(parts, ("", "(", ""), ("", ")", "")):
        for token in re.findall(r"\w+|[^\w\s]", part):
            if is_word(token):
                code += r"\s+" if is_word(last) else r"\s*\b"
            elif last:
                code += r"\s*"
            code += opening + re.escape(token)
            opening, last = "", token
        code += closing
    return code + (r"\b" if is_word(last) else "")


def is_word(token):
    return re.fullmatch(r"\w+", token) is not None


def read_list():
    """The mutants of the list; `file` and `tests` hold until they are given again."""
    mutants, scope, name = [], {"file": "", "tests": ""}, ""
    for line in [*LIST.read_text().splitlines(), ""]:
        keyword, _, value = line.partition(" ")
        if name:
            mutants.append(parsed(name, line, scope))
            name = ""
        elif keyword in scope:
            scope[keyword] = value
        elif line and not line.startswith("#"):
            name = line
    return mutants


def parsed(name, line, scope):
    """The mutant of two lines, the name of which is 'op, another op: what is wrong'."""
    ops, colon, mistake = name.partition(": ")
    found = re.fullmatch(r"- (?:([^`]*)`)?([^`]+?) =>(?: ([^`]*))?(?:`([^`]*))?", line)
    if not colon or found is None or (found[1] is None) != (found[4] is None):
        raise ListError(f"not 'op: mistake', '- code `right => wrong` code':\n{name}\n{line}")
    before, right, wrong, behind = (found[group] or "" for group in range(1, 5))
    return Mutant(scope["file"], tuple(scope["tests"].split()), tuple(ops.split(", ")), mistake, before, right, behind,
                  wrong)


def declared():
    """The words in the headers: no more is asked of the name of what a mutant breaks."""
    headers = [path for folder in ("core", "ops", "data", "optim") for path in (ROOT / folder).rglob("*.h")]
    return {word for header in headers for word in re.findall(r"\w+", header.read_text())}


def check(mutants):
    """What is wrong with the list, a line each."""
    wrong, known = [], declared()
    for mutant in mutants:
        wrong += [f"{mutant.name}: nothing is called {op}" for op in mutant.ops if op not in known]
        wrong += [f"{mutant.name}: there is no tests/{test}_test.cpp" for test in mutant.tests or ["?"]
                  if not (ROOT / f"tests/{test.split('.')[0]}_test.cpp").exists()]
    numbers = {}
    for mutant in mutants:
        if numbers.setdefault(mutant.number, mutant) is not mutant:
            wrong.append(f"{mutant.name}: is there twice, or has the number of another")
    for file in dict.fromkeys(mutant.file for mutant in mutants):
        try:
            mutated(file, (ROOT / file).read_text(), mutants)
        except (ListError, OSError) as error:
            wrong.append(str(error))
    return wrong


def mutated(file, text, mutants):
    """The text of a file with the choice between right and wrong at every site."""
    sites, wrong = {}, []
    for mutant in mutants:
        if mutant.file != file:
            continue
        try:
            sites.setdefault(mutant.site(text), []).append(mutant)
        except ListError as error:
            wrong.append(str(error))
    if wrong:
        raise ListError("\n".join(wrong))
    ordered = sorted(sites, key=lambda span: (span[0], -span[1]))  # a site before those inside it

    def render(begin, end):
        out, at = "", begin
        while ordered and ordered[0][0] < end:
            span = ordered.pop(0)
            if span[1] > end:
                raise ListError(f"{sites[span][0].name}: its site overlaps with another one")
            statement = text[span[0]:span[1]].endswith(";")
            out += text[at:span[0]] + choice(render(*span), sites[span], statement)
            at = span[1]
        return out + text[at:end]

    return render(0, len(text))


def choice(right, mutants, statement):
    for mutant in mutants:
        if statement:
            right = f"{{ if (orthoread_mutant({mutant.number})) {{ {mutant.wrong} }} else {{ {right} }} }}"
        else:
            right = f"(orthoread_mutant({mutant.number}) ? ({mutant.wrong}) : ({right}))"
    return right


def write(path, text):
    """Leaves a file that has this text alone, so that what it goes into is not built again."""
    content = text if isinstance(text, bytes) else text.encode()
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def build(folder, mutants, jobs):
    """Copies the source, with all mutants in it, and builds its tests; returns what CTest knows of each, by name."""
    source, out = folder / "source", folder / "build"
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT,
                            check=True, capture_output=True, text=True).stdout
    files = {mutant.file for mutant in mutants}
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            content = (ROOT / name).read_bytes()
            write(source / name, mutated(name, content.decode(), mutants) if name in files else content)
    write(folder / "mutant.h", HEADER)
    flags = f"-include {folder / 'mutant.h'} -w -fno-unswitch-loops"  # a loop is not to be copied for each mutant
    run_or_die(["cmake", "-S", source, "-B", out, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                f"-DCMAKE_CXX_FLAGS={flags}"])
    run_or_die(["cmake", "--build", out, "--target", "orthoread_tests", "-j", str(jobs)])
    known = json.loads(run_or_die(["ctest", "--test-dir", out, "--show-only=json-v1"]))
    return {test["name"]: test for test in known["tests"]}


def run_or_die(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        sys.exit(done.stdout[-8000:] + f"\nmutate: {command[0]} failed")
    return done.stdout


@dataclass(frozen=True)
class Failure:
    case: str
    message: str
    report: str = ""  # all that doctest says; empty after a crash, which is noticed whatever the op

    def is_about(self, op):
        """Whether a check's message, or what was captured, begins with the op's name."""
        return not self.report or re.search(rf"(?:^|logged: |:= ) *{op}\b", self.report, re.MULTILINE) is not None


def run(test, number, limit, to_the_end=False):
    """Runs one of CTest's tests, up to its first failure unless to the end. That failure, or None."""
    properties = {entry["name"]: entry["value"] for entry in test["properties"]}
    environment = dict(entry.split("=", 1) for entry in properties.get("ENVIRONMENT", []))
    command = test["command"] + ["--no-colors=true", f"--abort-after={0 if to_the_end else 1}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          cwd=properties["WORKING_DIRECTORY"], env=os.environ | environment | {VARIABLE: str(number)},
                          start_new_session=True) as process:
        try:
            report = process.communicate(timeout=limit)[0].decode(errors="replace")
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            return Failure(test["name"], f"no end after {limit:.0f} s")
    if re.search(r"test cases: +0 ", report):
        sys.exit(f"mutate: {test['name']} has no test cases")
    return first_failure(test["name"], report, process.returncode) if process.returncode else None


def first_failure(test, report, code):
    """From doctest's report: the test case, the values that were compared, and the first lines of what was logged."""
    case = re.search(r"^TEST CASE:  (.*)$", report, re.MULTILINE)
    name = case[1] if case else test
    error = re.search(r"ERROR: (.*)\n((?:.+\n)*)", report)
    if error is None or "CRASHED" in error[1]:
        return Failure(name, f"crash, {error[1] if error else f'exit code {code}'}")
    values = re.search(r"^  values: (.*)$", error[2], re.MULTILINE)
    compared = values[1] if values and "{?}" not in values[1] else error[1]  # {?}: what doctest cannot print
    logged = re.search(r"^  logged: (.*\n(?: {10}.*\n)*)", error[2], re.MULTILINE)
    lines = [line.strip() for line in logged[1].splitlines()] if logged else []
    if compared == "CHECK( false )":
        compared = "" if lines else error[1]
    message = "; ".join(filter(None, [compared] + lines))
    return Failure(name, message, report)


def outcome(tests, mutant, limit):
    """The failure that caught the mutant, or what to say of it. Of several ops each has to be named in a failure."""
    several, failures = len(mutant.ops) > 1, []
    for test in mutant.tests:
        failed = run(tests[test], mutant.number, limit, to_the_end=several)
        failures += [failed] if failed else []
        if failed and not several:
            break
    missed = [op for op in mutant.ops if several and not any(failed.is_about(op) for failed in failures)]
    if not failures or missed:
        return None, f"{' '.join(mutant.tests)}: no test of {', '.join(missed or mutant.ops)} fails"
    return failures[0], ""


def row(op, mistake, case, message):
    return f"{op:<24.24} | {mistake:<66.66} | {case:<60.60} | {message[:200]}".rstrip()


def test_all(tests, mutants, jobs, limit):
    """Prints the table; true if every mutant was caught."""
    for test in dict.fromkeys(test for mutant in mutants for test in mutant.tests):
        if test not in tests:
            sys.exit(f"mutate: CTest knows no test {test}")
        failed = run(tests[test], 0, limit)
        if failed:
            sys.exit(f"mutate: without a mutant {test} fails: {failed.case}: {failed.message}")
    print(row("op", "mutant", "caught by", "which says"))
    begun, survivors = time.monotonic(), []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        outcomes = pool.map(lambda mutant: outcome(tests, mutant, limit), mutants)
        for mutant, (failed, reason) in zip(mutants, outcomes):
            case, message = (failed.case, failed.message) if failed else ("NOT CAUGHT", reason)
            print(row(", ".join(mutant.ops), mutant.mistake, case, message), flush=True)
            if not failed:
                survivors.append(f"not caught: {mutant.name}: {reason}")
    seconds = time.monotonic() - begun
    print("\n".join(["", f"{len(mutants) - len(survivors)} of {len(mutants)} caught, in {seconds:.0f} s", *survivors]))
    return not survivors


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", metavar="REGEX", default="", help="mutants whose 'op: mistake' matches")
    parser.add_argument("--list", action="store_true", help="print the mutants and build nothing")
    parser.add_argument("--check", action="store_true",
                        help="build nothing; fail if the list does not fit the source")
    parser.add_argument("--keep", metavar="FOLDER", type=pathlib.Path, help="build there, and build less next time")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="how much to run at once")
    parser.add_argument("--limit", type=float, default=300, help="seconds that a test may take")
    options = parser.parse_args()

    mutants = read_list()
    wrong = check(mutants)
    if wrong:
        sys.exit("\n".join(wrong))
    chosen = [mutant for mutant in mutants if re.search(options.only, mutant.name)]
    if not chosen:
        sys.exit(f"mutate: no mutant matches {options.only}")
    if options.list:
        print("\n".join(mutant.name for mutant in chosen))
    if options.check:
        print(f"{len(mutants)} mutants fit the source")
    if options.list or options.check:
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory() as folder:
        tests = build((options.keep or pathlib.Path(folder)).resolve(), mutants, options.jobs)
        sys.exit(0 if test_all(tests, chosen, options.jobs, options.limit) else 1)


if __name__ == "__main__":
    try:
        main()
    except ListError as list_error:
        sys.exit(str(list_error))
