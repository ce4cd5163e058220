#!/usr/bin/env python3
"""A table's runs as run folders FOLDER/runs/NAME again, with what `orthoread report` needs of them.

usage: unpack.py TABLE.jsonl FOLDER
"""
import json
import pathlib
import sys


def unpack(table, folder):
    for line in pathlib.Path(table).read_text().splitlines():
        run = json.loads(line)
        to = pathlib.Path(folder) / "runs" / run["run"]
        if to.exists():
            sys.exit(f"unpack.py: {to} exists already; unpack into a new folder")
        to.mkdir(parents=True)
        config = {"settings": run["settings"], "environment": run["environment"]}
        metrics = [{"step": step, "val_loss": loss, "val_accuracy": accuracy}
                   for step, accuracy, loss in run["evaluations"]]
        (to / "config.json").write_text(json.dumps(config))
        (to / "metrics.jsonl").write_text("".join(json.dumps(m) + "\n" for m in metrics))
        (to / "result.json").write_text(json.dumps(run["result"]))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    unpack(*sys.argv[1:])
