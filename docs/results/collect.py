#!/usr/bin/env python3
"""The finished runs of a sweep as one JSON line each: settings, environment, result and evaluations.

usage: collect.py SWEEP > TABLE.jsonl
"""
import json
import pathlib
import sys


def lines(sweep):
    for result in sorted(pathlib.Path(sweep).glob("runs/*/result.json")):
        folder = result.parent
        config = json.loads((folder / "config.json").read_text())
        settings = config["settings"]
        if "init" in settings:  # the file's name; its content is init_sha256
            settings["init"] = pathlib.Path(settings["init"]).name
        metrics = (json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines())
        evaluations = [[m["step"], m["val_accuracy"], m["val_loss"]] for m in metrics if "val_loss" in m]
        yield {"run": folder.name, "settings": settings, "environment": config["environment"],
               "result": json.loads(result.read_text()), "evaluations": evaluations}


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    for line in lines(sys.argv[1]):
        print(json.dumps(line))
