#!/usr/bin/env python3
"""A table of runs, a row for each seed: the final accuracy with each read, and the step at which the run escapes.

usage: reads.py TABLE.jsonl
"""
import json
import pathlib
import sys

from beside_published import escape


def main(table):
    runs = {}
    for line in pathlib.Path(table).read_text().splitlines():
        run = json.loads(line)
        runs[run["settings"]["seed"], run["settings"]["read"]] = run
    reads = sorted({read for _, read in runs}, key=lambda read: (read != "raw", read))
    print("| seed |" + "".join(f" {read} | escapes at |" for read in reads))
    print("|---|" + "---|---|" * len(reads))
    for seed in sorted({seed for seed, _ in runs}):
        cells = [f" {run['result']['final_val_accuracy']:.3f} | {escape(run['evaluations'])} |" if run else " | |"
                 for run in (runs.get((seed, read)) for read in reads)]
        print(f"| {seed} |" + "".join(cells))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
