#!/usr/bin/env python3
"""Published runs as a table that unpack.py reads, so that `orthoread report` can be asked about them.

usage: published_table.py PUBLISHED.jsonl EXPERIMENT…
"""
import json
import pathlib
import sys


def main(published, *experiments):
    for line in pathlib.Path(published).read_text().splitlines():
        run = json.loads(line)
        if run["experiment"] not in experiments:
            continue
        read = "raw" if run["variant"] == "baseline" else run["variant"]
        step, _, loss = run["evaluations"][-1]
        print(json.dumps({
            "run": f"{run['experiment']}-{read}-seed{run['seed']}",
            "settings": {"read": read, "seed": run["seed"], "steps": step}, "environment": {},
            "result": {"final_val_accuracy": run["final_val_accuracy"], "final_val_loss": loss, "steps_run": step},
            "evaluations": run["evaluations"]}))


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
