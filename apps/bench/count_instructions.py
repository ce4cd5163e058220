#!/usr/bin/env python3
"""Counts the vector instructions that `orthoread bench scan` executes for a token and head, both passes.

    apps/bench/count_instructions.py build/orthoread --instruction-set avx2 --heads 4

Needs valgrind (which knows baseline and avx2) and binutils. Ten minutes: every instruction is emulated. The run is made
twice, with two repeats more the second time, and the difference is counted, so that what is done once is left out.
"""
import collections
import os
import re
import subprocess
import sys
import tempfile


def executed(program, flags, repeats):
    """How often each instruction of the program was executed: {address: times}."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "callgrind")
        subprocess.run(["valgrind", "-q", "--tool=callgrind", "--dump-instr=yes", "--dump-line=no",
                        "--callgrind-out-file=" + out, program, "bench", "scan", "--threads", "1", "--quiet",
                        *flags, "--repeats", str(repeats)], check=True, stdout=subprocess.DEVNULL)
        lines = open(out).read().splitlines()
    # The format: https://valgrind.org/docs/manual/cl-format.html. Addresses may be relative to the line before.
    times, names, ours, address, call = collections.Counter(), {}, False, 0, False
    for line in lines:
        if found := re.match(r"(c?)ob=\((\d+)\)(?: (.*))?", line):
            called, number, name = found.groups()
            if name:
                names[number] = os.path.realpath(name)
            if not called:
                ours = names[number] == os.path.realpath(program)
        elif line.startswith("calls="):
            call = True  # the next line has the cost of the callee, which is counted there
        elif found := re.match(r"(0x[0-9a-f]+|[+-]\d+|\*) (\d+)$", line):
            position, count = found.groups()
            if position != "*":
                address = int(position, 16) if position.startswith("0x") else address + int(position)
            if ours and not call:
                times[address] += int(count)
            call = False
    return times


def disassembled(program):
    """{address: (mnemonic, operands)}"""
    text = subprocess.run(["objdump", "-d", "--no-show-raw-insn", program], check=True, capture_output=True,
                          text=True).stdout
    found = re.findall(r"^\s*([0-9a-f]+):\t(\S+) *([^#\n]*)", text, re.MULTILINE)
    return {int(address, 16): (name, operands.strip()) for address, name, operands in found}


def kinds(name, operands):
    """What a vector instruction does; one with an operand in memory also loads."""
    arithmetic = ("multiply-add" if re.match("vfn?m", name) else "multiply" if re.match("v?mul", name) else
                  "add" if re.match("v?(add|sub)", name) else None)
    if "mm" not in operands:
        return []
    memory = "(" in operands
    stores = memory and operands.endswith(")")
    return [kind for kind in (arithmetic, "store" if stores else "load" if memory else None) if kind]


def main():
    program, *flags = sys.argv[1:] or sys.exit(__doc__)

    def flag(name, default):
        return int(flags[flags.index(name) + 1]) if name in flags else default

    tokens = flag("--heads", 64) * flag("--tokens", 512)
    instructions, counts, total = disassembled(program), collections.Counter(), 0
    few, more = executed(program, flags, 1), executed(program, flags, 3)
    for address, times in (more - few).items():
        total += times
        for kind in kinds(*instructions[address]):
            counts[kind] += times
    for kind, times in counts.most_common():
        print(f"{kind:<13}{times / 2 / tokens:>9,.0f}")
    print(f"{'instructions':<13}{total / 2 / tokens:>9,.0f}")


main()
