#!/usr/bin/env python3
"""What one order saga costs the coordinator, counted: allocations, bytes, instructions. Prints a table, or JSON with --json.

Allocations and bytes are counted by bench's own allocator, instructions by callgrind: two runs of different length, and what the
longer one has more, so that the start is not in it. Only the worker's side is collected (bench/src/counts/allocator.rs, `cross`).
Exits 1 if a count is above its limit in bench/limits.toml, and says which number to lower if it is well below.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Sagas of the two runs under callgrind (50 times slower than without).
SHORT, LONG = 100, 400
# Lines of a short and of a long bulk order, and of all orders of the two runs together.
FEW, MANY = 50, 5000
LINES_SHORT, LINES_LONG = 5000, 10000
# A row is copied with room for one entry more, by its own `clone`, or by the copy on write of the Arc around it.
ROW_COPY = re.compile(r"::Saga::copy_with_room$|::Saga as core::clone::Clone>::clone$|::Arc<T,A>::(clone_from_ref_in|make_mut::clone)$")
# A limit is lowered when so much of it is not needed.
SLACK = 0.03


def program():
    subprocess.run(
        ["cargo", "build", "--release", "--locked", "-p", "ringmaster-bench", "--bin", "ringmaster-counts"], cwd=ROOT, check=True
    )
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "release" / "ringmaster-counts"


def collected(program, sagas, *more):
    """Instructions of a run, and copies of a row."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "callgrind.out"
        valgrind = [
            "valgrind", "--quiet", "--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*allocator::cross*",
            f"--callgrind-out-file={out}", "--dump-instr=no",
        ]
        subprocess.run([*valgrind, program, "--run-only", "--sagas", str(sagas), *more], cwd=ROOT, check=True)
        return parse(out.read_text().splitlines())


def parse(lines):
    """Total instructions and copies of a row in callgrind's output.

    >>> text = "fn=(1) main\\n10 5\\ncfn=(2) <x::state::saga::Saga as core::clone::Clone>::clone\\ncalls=3 1\\n10 7\\ncfn=(2)\\ncalls=4 1\\n1 1"
    >>> parse((text + "\\ntotals: 13").splitlines())
    (13, 7)
    """
    total, clones, names, callee = 0, 0, {}, None
    for line in lines:
        if line.startswith("cfn="):
            number, _, name = line[4:].partition(" ")
            names[number] = name or names.get(number, "")
            callee = names[number]
        elif line.startswith("fn="):
            number, _, name = line[3:].partition(" ")
            names[number] = name or names.get(number, "")
        elif line.startswith("calls=") and callee and ROW_COPY.search(callee):
            clones += int(line[6:].split()[0])
        elif line.startswith(("totals:", "summary:")):
            total = int(line.split()[1])
    return total, clones


def instructions(program, turns):
    short, long = (collected(program, sagas) for sagas in (SHORT, LONG))
    sagas = LONG - SHORT
    return {
        "instructions_turn": round((long[0] - short[0]) / sagas / turns),
        "instructions_saga": round((long[0] - short[0]) / sagas),
        "row_copies": round((long[1] - short[1]) / sagas, 2),
    }


def replayed(program):
    """What a saga costs when its partition is made anew from the journal: what two times more cost."""
    once, thrice = (collected(program, LONG, "--replayed", str(times))[0] for times in (1, 3))
    return round((thrice - once) / 2 / LONG)


def whole(program, simple_saga, simple_commands=3):
    """The whole order: what a command of it costs, in instructions as a ratio to the simple one."""
    counts = json.loads(subprocess.run([program, "--whole"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    short, long = (collected(program, sagas, "--whole")[0] for sagas in (SHORT, LONG))
    command = (long - short) / (LONG - SHORT) / counts["commands"]
    return {**counts, "instructions_command": round(command), "ratio": round(command / (simple_saga / simple_commands), 3)}


def lines(program, of):
    """What a line of a bulk order of so many lines costs: two items, each a row of its own."""
    told = [program, "--lines", str(of), "--sagas", str(LINES_SHORT)]
    counts = json.loads(subprocess.run(told, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    short, long = (collected(program, count, "--lines", str(of))[0] for count in (LINES_SHORT, LINES_LONG))
    return {**counts, "instructions": round((long - short) / (LINES_LONG - LINES_SHORT))}


def guards(program):
    """What asking a guard costs: each one's allocations and nanoseconds, and instructions on average."""
    counts = json.loads(subprocess.run([program, "--guards"], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    short, long = (collected(program, asked, "--guards")[0] for asked in (SHORT, LONG))
    return {"each": counts, "instructions": round((long - short) / (LONG - SHORT) / len(counts))}


def rows(all_counts):
    answers = ", ".join(f"{value:.1f}" for value in all_counts["allocations_answer"])
    memory = ", ".join(f"{value:.0f}" for value in all_counts["memory_bytes"])
    yield "turns a saga", f"{all_counts['turns']:.1f}"
    yield "heap allocations a saga", f"{all_counts['allocations']:.1f}"
    yield "  its start; its answers", f"{all_counts['allocations_start']:.1f}; {answers}"
    yield "bytes allocated a saga", f"{all_counts['allocated_bytes']:.0f}"
    yield "bytes in memory while it waits for its answers", memory
    yield "bytes of its stored row, in the middle and ended", f"{all_counts['stored_bytes']:.0f}, {all_counts['stored_bytes_ended']:.0f}"
    yield "bytes in the journal", f"{all_counts['journal_bytes']:.0f}"
    yield "heap allocations of a checkpoint, a row", f"{all_counts['checkpoint_allocations']:.1f}"
    if "instructions_turn" in all_counts:
        yield "instructions a turn", f"{all_counts['instructions_turn']:,}"
        yield "instructions a saga", f"{all_counts['instructions_saga']:,}"
        yield "instructions of a saga made anew from the journal", f"{all_counts['instructions_replayed']:,}"
        yield "copies of a row a saga", f"{all_counts['row_copies']:.1f}"
        of_whole = all_counts["whole"]
        yield "the whole order (five commands): turns", f"{of_whole['turns']:.1f}"
        yield "  heap allocations, journal bytes a command", f"{of_whole['allocations_command']:.1f}, {of_whole['journal_bytes_command']:.0f}"
        yield "  instructions a command", f"{of_whole['instructions_command']:,}"
        yield "  to those of the simple order", f"{of_whole['ratio']:.3f}"
        yield "a guard: instructions on average", f"{all_counts['guards']['instructions']:,}"
        for guard in all_counts["guards"]["each"]:
            yield f"  {guard['condition']}", f"{guard['nanos']:.0f} ns here, {guard['allocations']:.1f} allocations"
        for of in all_counts["lines"]:
            yield f"a line of a bulk order of {of['lines']:,}: instructions", f"{of['instructions']:,}"
            yield "  journal bytes, bytes of rows written", f"{of['journal_bytes']:.0f}, {of['row_bytes']:.0f}"
        yield "  the long one's to the short one's, the largest of the three", f"{all_counts['item_ratio']:.3f}"


def gate(all_counts):
    limits = tomllib.loads((ROOT / "bench/limits.toml").read_text())
    found = {
        **all_counts,
        "memory_bytes": max(all_counts["memory_bytes"]),
        "whole_instructions": all_counts["whole"]["ratio"],
        "guard_instructions": all_counts["guards"]["instructions"],
    }
    passed = True
    for name, most in limits.items():
        if found[name] > most:
            print(f"counts: {name} is {found[name]:.2f}, and bench/limits.toml allows {most}", file=sys.stderr)
            passed = False
        elif name != "item_ratio" and found[name] < most * (1 - SLACK):
            print(f"counts: {name} is {found[name]:.1f}: lower it in bench/limits.toml (now {most})", file=sys.stderr)
    return passed


def main():
    path = program()
    all_counts = json.loads(subprocess.run([path], cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    all_counts |= instructions(path, all_counts["turns"])
    all_counts["instructions_replayed"] = replayed(path)
    all_counts["whole"] = whole(path, all_counts["instructions_saga"])
    all_counts["guards"] = guards(path)
    all_counts["lines"] = few, many = [lines(path, FEW), lines(path, MANY)]
    all_counts["item_ratio"] = max(many[what] / few[what] for what in ("instructions", "journal_bytes", "row_bytes"))
    if "--json" in sys.argv[1:]:
        print(json.dumps(all_counts))
    else:
        table = list(rows(all_counts))
        width = max(len(what) for what, _ in table)
        for what, value in table:
            print(f"{what:<{width}}  {value}")
    return 0 if gate(all_counts) else 1


if __name__ == "__main__":
    sys.exit(main())
