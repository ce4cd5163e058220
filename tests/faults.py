#!/usr/bin/env python3
"""Runs that are killed, or find the disk full, at a chosen system call, and are then resumed.

strace first lists the writes, syncs, renames, opens and closes of a small run in its folder, for a whole run and for one
that is resumed halfway. Then it injects faults at calls spread over this list: the process is killed on entering the
call, or the call fails with ENOSPC. Each run is resumed and must end with the same metrics.jsonl and model.safetensors,
byte for byte, as the undisturbed run. A run that was not killed must end with exit code 0, 1 or 2 and, unless it is 0,
with one line that says why. Faults that did not happen are counted.

usage: tests/faults.py PROGRAM [COUNT]
"""

import collections
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

CALLS = {
    "write": ("write", "pwrite64"),
    "fsync": ("fsync", "fdatasync"),
    "rename": ("rename", "renameat", "renameat2"),
    "open": ("open", "openat"),
    "close": ("close",),
}
ACTIONS = {"killed": "signal=KILL", "ENOSPC": "error=ENOSPC"}
# One thread: strace counts the calls of each thread by itself.
FLAGS = """--vocab-size 24 --seq-len 16 --noise-vocab-size 8 --frac-noise 0.5 --dim 16 --batch-size 2 --steps 12
    --lr 0.01 --read ns1 --eval-every 4 --val-batches 1 --checkpoint-every 3 --quiet --threads 1""".split()


def traced(command, log, calls, inject=()):
    strace = ["strace", "-f", "-y", "-o", str(log), "-e", "trace=" + ",".join(calls)]
    return subprocess.run(strace + [word for rule in inject for word in ("-e", "inject=" + rule)] + command,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True)


def places(command, folder, log):
    """{kind: [(call, its number)]} for the calls of an undisturbed run that concern the folder."""
    result = traced(command, log, [call for calls in CALLS.values() for call in calls])
    if result.returncode != 0:
        sys.exit(f"faults: the undisturbed run failed: {result.stderr.strip()}")
    seen, found = collections.Counter(), collections.defaultdict(list)
    for line in log.read_text().splitlines():
        match = re.match(r"\d+ +(\w+)\(", line)
        if not match:
            continue
        seen[match[1]] += 1
        if str(folder) in line:
            kind = next(kind for kind, calls in CALLS.items() if match[1] in calls)
            found[kind].append((match[1], seen[match[1]]))
    return found


def chosen(found, count):
    """{(kind, action): [(start, call, its number)]} with `count` faults: equally many for each kind and action, as far as
    there are places, spread over the places, which `found` has for each start."""
    groups = {(kind, action): [(start, *place) for start in found for place in found[start][kind]]
              for kind in CALLS for action in ACTIONS}
    share = collections.Counter()
    while sum(share.values()) < count:
        room = [group for group, of in groups.items() if share[group] < len(of)]
        if not room:
            sys.exit(f"faults: the run has places for {sum(share.values())} faults only, not for {count}")
        share[min(room, key=lambda group: share[group])] += 1
    return {group: [of[i * len(of) // share[group]] for i in range(share[group])] for group, of in groups.items()}


def results(folder):
    return [(folder / name).read_bytes() for name in ("metrics.jsonl", "model.safetensors")]


def main():
    program, count = str(pathlib.Path(sys.argv[1]).resolve()), int(sys.argv[2]) if len(sys.argv) > 2 else 100
    begin, failures, total = time.monotonic(), [], 0
    with tempfile.TemporaryDirectory() as work:
        work = pathlib.Path(work)
        log, run = work / "strace", work / "run"

        def command(folder):
            return [program, "train", "--resume", "--out", str(folder), *FLAGS]

        def start_from(start):
            shutil.rmtree(run, ignore_errors=True)
            if start.exists():
                shutil.copytree(start, run)

        nothing, middle, whole = work / "nothing", work / "middle", work / "whole"
        found = {nothing: places(command(run), run, log)}
        run.rename(whole)
        lines = found[nothing]["write"]
        traced(command(middle), log, ["write"], ["write:signal=KILL:when={}".format(lines[len(lines) // 2][1])])
        start_from(middle)
        found[middle] = places(command(run), run, log)
        for (kind, action), faults in chosen(found, count).items():
            hit = same = 0
            for start, call, number in faults:
                start_from(start)
                result = traced(command(run), log, [call], [f"{call}:{ACTIONS[action]}:when={number}"])
                struck = ("killed by SIGKILL" if action == "killed" else "(INJECTED)") in log.read_text()
                what = f"{action} at {call} number {number}, from {start.name}"
                hit += struck
                if not struck:
                    failures.append(f"{what}: did not happen")
                lines = result.stderr.splitlines()
                if struck and action != "killed":
                    if result.returncode not in (0, 1, 2) or result.returncode != 0 and len(lines) != 1:
                        failures.append(f"{what}: exit code {result.returncode}, stderr {lines}")
                again = subprocess.run(command(run), stdin=subprocess.DEVNULL, capture_output=True, text=True)
                if again.returncode == 0 and results(run) == results(whole):
                    same += 1
                else:
                    failures.append(f"{what}, then resumed: exit code {again.returncode}, "
                                    f"{again.stderr.strip() or 'other bits'}")
            total += hit
            print(f"{kind:<7} {action:<7} {hit} of {len(faults)} hit, {same} resumed to the same bits", flush=True)
    print(f"{total} of {count} faults hit, in {time.monotonic() - begin:.0f} s")
    for failure in failures:
        print(f"faults: {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
