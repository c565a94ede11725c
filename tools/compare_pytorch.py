#!/usr/bin/env python3
"""Impasto against PyTorch, step for step, on this machine.

Why it exists: absolute times drift, on a shared machine by a factor of two within
minutes, so two programs can only be compared side by side. This runs them in turn,
Impasto, PyTorch, Impasto, PyTorch, each time as a fresh process that does the same
optimisation step on the same pictures with the same weights, divides the times
of each neighbouring pair, and reports the median of these ratios. Which of the two
goes first changes from round to round.

Before a ratio counts, both must have computed the same losses in their first two
steps; the second step's depend on the first one's gradient.

PyTorch runs with its best setting (`channels_last`; for bf16 the whole network in
bf16), Impasto with what it chooses. A limit on the instruction set is set on both
sides: IMPASTO_ISA, and ONEDNN_MAX_CPU_ISA with ATEN_CPU_CAPABILITY.

Peak memory is each process's own, PyTorch's with what importing it takes, because
that is what a user's machine has to have.

On a machine whose cores are busy with other work even ratios mislead: a program whose
threads wait for each other often loses more than its share. The load before the
first run is printed, with a warning where it is above a quarter of a core.

Needs: cargo (or --binary), and for PyTorch what bench_pytorch.py needs.

  tools/compare_pytorch.py
  tools/compare_pytorch.py --size 512 --precision f32 --isa native,avx2 --rounds 5
"""

import argparse
import datetime
import json
import os
import platform
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Our instruction set: oneDNN's, ATen's.
ISAS = {"native": None, "avx2": ("AVX2", "avx2"), "avx512": ("AVX512_CORE", "avx512")}

# How far losses may be apart. f32 programs differ in the order of their sums alone. With the network in bf16, 8 bits
# of mantissa, PyTorch's own second step has a content loss 3 % from its f32 one at 64².
TOLERANCE = {"f32": 0.01, "bf16": 0.05}


class Unsupported(Exception):
    """Impasto has no such precision."""


def build():
    """Builds the program and returns its path."""
    command = ["cargo", "build", "--release", "--bin", "impasto", "--message-format=json-render-diagnostics"]
    lines = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    executables = [json.loads(line).get("executable") for line in lines if line.startswith("{")]
    return next(path for path in reversed(executables) if path)


def run_json(command, environment):
    """What a program prints as JSON."""
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True)
    if done.returncode == 2 and "--precision" in done.stderr:
        raise Unsupported
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\nended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout)


def impasto(arguments, size, precision, isa):
    """Seconds per step, peak memory, losses, and what else its report says."""
    command = [arguments.binary, "bench", "--only", "step", "--format", "json", "--size", str(size)]
    command += ["--precision", precision, "--repeats", str(arguments.repeats), "--threads", str(arguments.threads)]
    report = run_json(command, {} if isa == "native" else {"IMPASTO_ISA": isa})
    used = report["machine"]["instruction_set"]
    if isa not in ("native", used):
        sys.exit(f"this processor has no {isa}: leave it out of --isa")
    (row,) = report["rows"]
    return {
        "seconds": row["seconds"]["median"],
        "mib": (row["memory"] or float("nan")) / 2**20,
        "losses": row["losses"],
        "weights": report["weights"],
        "cpu": report["machine"]["cpu"],
        "signature": report["machine"]["signature"],
        "instruction_set": used,
        "version": report["version"],
    }


def pytorch(arguments, size, precision, isa, weights):
    """The same of PyTorch."""
    alpha, beta, gamma = map(str, weights)
    command = [arguments.python, ROOT / "tools/bench_pytorch.py", "--json", "--size", str(size), "--dtype", precision]
    command += ["--repeats", str(arguments.repeats), "--threads", str(arguments.threads)]
    command += ["--content-weight", alpha, "--style-weight", beta, "--tv-weight", gamma]
    environment = {}
    if ISAS[isa]:
        environment = dict(zip(("ONEDNN_MAX_CPU_ISA", "ATEN_CPU_CAPABILITY"), ISAS[isa]))
    result = run_json(command, environment)
    return {
        "seconds": result["seconds"]["median"],
        "mib": result["peak_rss_mib"],
        "losses": result["losses"],
        "torch": result["torch"],
    }


def largest_difference(ours, theirs):
    """Of content, style and tv in both steps, relative to PyTorch's; content starts at 0."""
    worst = 0.0
    for mine, other in zip(ours, theirs, strict=True):
        for name in ("content", "style", "tv", "total"):
            if other[name] != 0 or mine[name] != 0:
                worst = max(worst, abs(mine[name] - other[name]) / max(abs(other[name]), 1e-30))
    return worst


def compare(arguments, size, precision, isa, weights):
    """The rounds of one case."""
    ours, theirs = [], []
    for number in range(arguments.rounds):
        turns = [
            lambda: ours.append(impasto(arguments, size, precision, isa)),
            lambda: theirs.append(pytorch(arguments, size, precision, isa, weights)),
        ]
        for turn in turns if number % 2 == 0 else reversed(turns):
            turn()
    difference = max(largest_difference(a["losses"], b["losses"]) for a, b in zip(ours, theirs))
    if not difference <= TOLERANCE[precision]:
        sys.exit(
            f"{size} {precision} {isa}: the losses differ by {100 * difference:.2g} %, more than "
            f"{100 * TOLERANCE[precision]:g} %: the two programs do not do the same work\n"
            f"Impasto {json.dumps(ours[0]['losses'])}\nPyTorch {json.dumps(theirs[0]['losses'])}"
        )
    return {
        "size": size,
        "precision": precision,
        "isa": isa if isa != "native" else f"native ({ours[0]['instruction_set']})",
        "ours": ours,
        "theirs": theirs,
        "ratios": [b["seconds"] / a["seconds"] for a, b in zip(ours, theirs)],
        "difference": difference,
    }


HEADER = (
    "| size | precision | instruction sets | Impasto s/step | PyTorch s/step | times faster | range of pairs "
    "| Impasto MiB | PyTorch MiB | losses differ |\n"
    "| ---: | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def line(case):
    """One case as a row of the table."""
    median = lambda runs, what: statistics.median(run[what] for run in runs)
    ours, theirs, ratios = case["ours"], case["theirs"], case["ratios"]
    return (
        f"| {case['size']}² | {case['precision']} | {case['isa']} "
        f"| {median(ours, 'seconds'):.3f} | {median(theirs, 'seconds'):.3f} "
        f"| **{statistics.median(ratios):.2f}×** | {min(ratios):.2f}–{max(ratios):.2f} "
        f"| {median(ours, 'mib'):.0f} | {median(theirs, 'mib'):.0f} | {100 * case['difference']:.2g} % |"
    )


def load_note(load):
    """What the load average of the last minute means for the ratios."""
    if load <= 0.25:
        return f"Load before the first run: {load:.2f}."
    return (
        f"**Load before the first run: {load:.2f}, so other programs were running.** They slow both down, and not "
        "equally: take the ratios as a hint, and repeat on an idle machine."
    )


def chosen_cases(arguments):
    """(size, precision, instruction set): limits are for f32 at 512 alone, unless asked for."""
    for size in arguments.size:
        for precision in arguments.precision:
            for isa in arguments.isa or ["native", "avx512", "avx2"]:
                if arguments.isa or isa == "native" or (size, precision) == (512, "f32"):
                    yield size, precision, isa


def listed(kind, choices=None):
    """An argument type: words separated by commas."""

    def parse(text):
        values = [kind(word) for word in text.split(",")]
        for value in values:
            if choices and value not in choices:
                raise argparse.ArgumentTypeError(f"'{value}' is none of {', '.join(choices)}")
        return values

    return parse


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sizes, precisions = listed(int), listed(str, TOLERANCE)
    parser.add_argument("--size", type=sizes, default=[256, 512, 1024], metavar="N,…", help="default: 256,512,1024")
    parser.add_argument("--precision", type=precisions, default=list(TOLERANCE), metavar="P,…", help="default: f32,bf16")
    parser.add_argument(
        "--isa", type=listed(str, ISAS), metavar="I,…", help="native, avx512, avx2; default: native, at 512 f32 all"
    )
    parser.add_argument("--rounds", type=int, default=5, metavar="R", help="pairs per case (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, metavar="R", help="steps timed in each process (%(default)s)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="default: all")
    parser.add_argument("--binary", metavar="FILE", help="the impasto program; default: built with cargo")
    parser.add_argument("--python", default=sys.executable, metavar="FILE", help="an interpreter that has PyTorch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every run here")
    arguments = parser.parse_args()
    if min(arguments.rounds, arguments.repeats, arguments.threads) < 1:
        parser.error("--rounds, --repeats, --threads: give at least 1")
    load = os.getloadavg()[0]  # before the build, which is a load itself
    arguments.binary = arguments.binary or build()

    # Its weights of the losses are the preset's; PyTorch is given the same.
    first = impasto(arguments, 64, "f32", "native")
    cases, missing = [], []
    for size, precision, isa in chosen_cases(arguments):
        try:
            case = compare(arguments, size, precision, isa, first["weights"])
        except Unsupported:
            if precision not in missing:
                missing.append(precision)
            continue
        if not cases:
            date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")
            print(f"{first['cpu']}, {first['signature']}, {platform.system()} {platform.machine()}, ", end="")
            print(f"{arguments.threads} thread(s), {date}; Impasto {first['version']}, ", end="")
            print(f"PyTorch {case['theirs'][0]['torch']}; {arguments.rounds} pairs of processes,", end=" ")
            print(f"{arguments.repeats} steps each. {load_note(load)}\n\n{HEADER}")
        cases.append(case)
        print(line(case), flush=True)
    for precision in missing:
        print(f"\nThis build of Impasto has no --precision {precision}.")
    if arguments.json:
        arguments.json.write_text(json.dumps({"first": first, "cases": cases}, indent=2) + "\n")


if __name__ == "__main__":
    main()
