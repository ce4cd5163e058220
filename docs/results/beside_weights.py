#!/usr/bin/env python3
"""Two sets of initial weights, array by array: do they come from one distribution? z is a difference in standard errors.

usage: beside_weights.py 'OURS/*.safetensors' 'THEIRS/*.safetensors'
"""
import glob
import json
import sys

try:
    import numpy as np
except ModuleNotFoundError:
    sys.exit("beside_weights.py: needs the package python3-numpy")


def read(path):
    """The arrays of a safetensors file: 8 bytes with the header's length, the header in JSON, the numbers."""
    data = open(path, "rb").read()
    start = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:start])
    kinds = {"F32": "<f4", "F64": "<f8"}
    return {name: np.frombuffer(data[start + entry["data_offsets"][0]:start + entry["data_offsets"][1]],
                                kinds[entry["dtype"]]).astype(float)
            for name, entry in header.items() if name != "__metadata__"}


def read_all(pattern):
    """Each array of all files, one file after the other."""
    files = [read(path) for path in sorted(glob.glob(pattern))]
    if not files:
        sys.exit(f"beside_weights.py: there are no files {pattern}")
    return {name: np.concatenate([arrays[name] for arrays in files]) for name in files[0]}


def moments(values):
    """Mean, standard deviation, fourth moment over its square."""
    deviation = values.std()
    return values.mean(), deviation, ((values - values.mean()) ** 4).mean() / deviation**4


def main(our_pattern, their_pattern):
    ours, theirs = read_all(our_pattern), read_all(their_pattern)
    if ours.keys() != theirs.keys():
        sys.exit(f"beside_weights.py: other arrays: {', '.join(sorted(ours.keys() ^ theirs.keys()))}")
    print("| array | numbers | deviation | other | z | z of the means | fourth moment | other |")
    print("|---|---|---|---|---|---|---|---|")
    for name in sorted(ours):
        a, b = ours[name], theirs[name]
        if a.shape == b.shape and (a == b).all():  # what begins with a constant, the same for each seed
            print(f"| {name} | {a.size} | equal | equal | | | | |")
            continue
        (mean_a, sd_a, fourth_a), (mean_b, sd_b, fourth_b) = moments(a), moments(b)
        # The logarithm of a sample's deviation has the variance (fourth moment - 1) / (4 n).
        z_sd = np.log(sd_a / sd_b) / np.sqrt((fourth_a - 1) / (4 * a.size) + (fourth_b - 1) / (4 * b.size))
        z_mean = (mean_a - mean_b) / np.sqrt(sd_a**2 / a.size + sd_b**2 / b.size)
        print(f"| {name} | {a.size} | {sd_a:.4f} | {sd_b:.4f} | {z_sd:.2f} | {z_mean:.2f} | {fourth_a:.2f} | {fourth_b:.2f} |")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
