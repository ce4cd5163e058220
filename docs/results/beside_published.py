#!/usr/bin/env python3
"""A table of runs beside the published ones of equal seed and read, in Markdown.

usage: beside_published.py TABLE.jsonl PUBLISHED.jsonl EXPERIMENT…
"""
import json
import pathlib
import sys


def escape(evaluations):
    """The first step with an accuracy of .8; - if there is none."""
    return next((str(step) for step, accuracy, _ in evaluations if accuracy >= 0.8), "-")


def main(table, published, *experiments):
    read = lambda path: [json.loads(line) for line in pathlib.Path(path).read_text().splitlines()]
    theirs = {}
    for run in read(published):
        if run["experiment"] not in experiments:
            continue
        key = run["seed"], "raw" if run["variant"] == "baseline" else run["variant"]
        if key in theirs:
            sys.exit(f"beside_published.py: seed {key[0]} with {key[1]} is published twice in {', '.join(experiments)}")
        theirs[key] = run
    print("| seed | read | accuracy here | published | escapes at step, here | published |")
    print("|---|---|---|---|---|---|")
    for run in sorted(read(table), key=lambda run: (run["settings"]["seed"], run["settings"]["read"] != "raw")):
        seed, name = run["settings"]["seed"], run["settings"]["read"]
        other = theirs[seed, name]
        print(f"| {seed} | {name} | {run['result']['final_val_accuracy']:.3f} | {other['final_val_accuracy']:.3f} "
              f"| {escape(run['evaluations'])} | {escape(other['evaluations'])} |")


if __name__ == "__main__":
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
