#!/usr/bin/env python3
"""Impasto against PyTorch on this machine, step for step or picture for picture.

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

With --recipe whole pictures are made instead: `impasto stylize` with a preset, against
`recipe.py`, which is the same preset in PyTorch. The time is that of the whole process,
the way a user waits for it: for Impasto with the precision it chooses by itself (or
--own-precision), for PyTorch in bf16, its fastest; --precision f32 also asks for f32, on
both sides. Both write a trace, and at the end of each scale their losses must be about
equal: runs of many steps drift apart, as the function has corners, but not far.

Needs: cargo (or --binary), and for PyTorch what bench_pytorch.py and recipe.py need.

  tools/compare_pytorch.py
  tools/compare_pytorch.py --size 512 --precision f32 --isa native,avx2 --rounds 5
  tools/compare_pytorch.py --recipe --presets fast,default --precision bf16,f32
"""

import argparse
import datetime
import json
import os
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# Our instruction set: oneDNN's, ATen's.
ISAS = {"native": None, "avx2": ("AVX2", "avx2"), "avx512": ("AVX512_CORE", "avx512")}

# How far losses may be apart. f32 programs differ in the order of their sums alone. With the network in bf16, 8 bits
# of mantissa, PyTorch's own second step has a content loss 3 % from its f32 one at 64².
TOLERANCE = {"f32": 0.01, "bf16": 0.05}

# The same for the total at the end of a scale: nearly equal runs end this close, others do not.
PICTURE_TOLERANCE = 0.1

PAIR = (ROOT / "samples" / "coffee.jpg", ROOT / "samples" / "great-wave.jpg")


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
        "mb": (row["memory"] or float("nan")) / 1e6,
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
        "mb": result["peak_rss_mb"],
        "losses": result["losses"],
        "torch": result["torch"],
    }


def resident_peak(pid):
    """The most memory a running process has had so far, in KiB; 0 if it has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    peaks = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peaks[0]) if peaks else 0


def measured(command):
    """Runs a command and returns (seconds, the most memory it had in MB, what it printed).

    The memory is looked up while it runs: what the system says afterwards counts that of this process too, from which
    the other one was forked.
    """
    command = [str(word) for word in command]
    with tempfile.TemporaryFile("w+") as printed:
        started, peak = time.perf_counter(), 0
        process = subprocess.Popen(command, stdout=printed)
        while process.poll() is None:
            peak = max(peak, resident_peak(process.pid))
            time.sleep(0.02)
        seconds = time.perf_counter() - started
        if process.returncode:
            sys.exit(f"{shlex.join(command)}\nended with {process.returncode}")
        printed.seek(0)
        return seconds, peak * 1024 / 1e6, printed.read()


def ends_of_scales(trace):
    """The total before the last update of each scale, from a trace of either program."""
    lines = [json.loads(line) for line in trace.read_text().splitlines()]
    totals = {line["scale"]: line["total"] for line in lines if "total" in line and not line.get("final")}
    return list(totals.values())


def make_picture(command, folder, options):
    """One picture by one program."""
    trace = folder / "trace.jsonl"
    seconds, mb, printed = measured([*command, "-o", folder / "out.png", "--trace", trace, *options])
    return {"seconds": seconds, "mb": mb, "totals": ends_of_scales(trace), "printed": printed}


def compare_pictures(arguments, size, preset, precision):
    """The rounds of whole pictures with one preset."""
    options = ["--preset", preset, "--threads", arguments.threads]
    if arguments.scales or size != 512:
        options += ["--scales", arguments.scales or scales_at(preset, size)]
    own_precision = "f32" if precision == "f32" else arguments.own_precision
    commands = {
        "ours": [arguments.binary, "stylize", *arguments.pair, "-q", "--size", size, "--precision", own_precision],
        "theirs": [arguments.python, ROOT / "tools/recipe.py", *arguments.pair]
        + (["--bf16"] if precision == "bf16" else []),
    }
    runs = {"ours": [], "theirs": []}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.rounds):
            for who in ("ours", "theirs") if number % 2 == 0 else ("theirs", "ours"):
                runs[who].append(make_picture(commands[who], Path(folder), options))
    ours, theirs = runs["ours"], runs["theirs"]
    pairs = [pair for a, b in zip(ours, theirs) for pair in zip(a["totals"], b["totals"], strict=True)]
    difference = max(abs(mine - other) / abs(other) for mine, other in pairs)
    if not difference <= PICTURE_TOLERANCE:
        sys.exit(
            f"{preset} at {size}: a scale's last total differs by {100 * difference:.2g} %, more than "
            f"{100 * PICTURE_TOLERANCE:g} %: the two programs do not make the same picture\n"
            f"Impasto {ours[0]['totals']}\nPyTorch {theirs[0]['totals']}"
        )
    return {
        "size": size,
        "preset": preset,
        "precision": f"{own_precision}, {precision}",
        "ours": ours,
        "theirs": theirs,
        "ratios": [b["seconds"] / a["seconds"] for a, b in zip(ours, theirs)],
        "difference": difference,
        "torch": json.loads(theirs[0]["printed"])["torch"],
    }


def scales_at(preset, size):
    """A preset's scales, made for 512 pixels, with every side in proportion to another size."""
    from recipe import PRESETS  # imports PyTorch, which only this needs in this process

    return ",".join(f"{longest * size // 512}:{iterations}" for longest, iterations in PRESETS[preset].scales)


PICTURE_HEADER = (
    "| preset | size | precision (Impasto, PyTorch) | Impasto s | PyTorch s | times faster | range of pairs "
    "| Impasto MB | PyTorch MB | losses differ |\n"
    "| --- | ---: | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def picture_line(case):
    """One case as a row of the table."""
    median = lambda runs, what: statistics.median(run[what] for run in runs)
    ours, theirs, ratios = case["ours"], case["theirs"], case["ratios"]
    return (
        f"| {case['preset']} | {case['size']} | {case['precision']} "
        f"| {median(ours, 'seconds'):.1f} | {median(theirs, 'seconds'):.1f} "
        f"| **{statistics.median(ratios):.2f}×** | {min(ratios):.2f}–{max(ratios):.2f} "
        f"| {median(ours, 'mb'):.0f} | {median(theirs, 'mb'):.0f} | {100 * case['difference']:.2g} % |"
    )


def recipes(arguments, load):
    """Whole pictures: every preset, size and precision."""
    cases = []
    for preset in arguments.presets:
        for size in arguments.size or [512]:
            for precision in arguments.precision or ["bf16"]:
                case = compare_pictures(arguments, size, preset, precision)
                if not cases:
                    names = " and ".join(path.name for path in arguments.pair)
                    print(f"{names}, {platform.system()} {platform.machine()}, {arguments.threads} thread(s), ", end="")
                    print(f"{today()}; PyTorch {case['torch']}; {arguments.rounds} pairs of processes. ", end="")
                    print(f"{load_note(load)}\n\n{PICTURE_HEADER}")
                cases.append(case)
                print(picture_line(case), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"cases": cases}, indent=2) + "\n")


def today():
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d")


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
    "| Impasto MB | PyTorch MB | losses differ |\n"
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
        f"| {median(ours, 'mb'):.0f} | {median(theirs, 'mb'):.0f} | {100 * case['difference']:.2g} % |"
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
    for size in arguments.size or [256, 512, 1024]:
        for precision in arguments.precision or TOLERANCE:
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
    parser.add_argument("--recipe", action="store_true", help="compare whole pictures instead of steps")
    parser.add_argument("--size", type=sizes, metavar="N,…", help="default: 256,512,1024; with --recipe 512")
    parser.add_argument("--precision", type=precisions, metavar="P,…", help="default: f32,bf16; with --recipe bf16")
    parser.add_argument(
        "--isa", type=listed(str, ISAS), metavar="I,…", help="native, avx512, avx2; default: native, at 512 f32 all"
    )
    parser.add_argument("--rounds", type=int, metavar="R", help="pairs per case; default: 5, with --recipe 3")
    parser.add_argument("--repeats", type=int, default=3, metavar="R", help="steps timed in each process (%(default)s)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="default: all")
    parser.add_argument("--binary", metavar="FILE", help="the impasto program; default: built with cargo")
    parser.add_argument("--python", default=sys.executable, metavar="FILE", help="an interpreter that has PyTorch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every run here")
    whole = parser.add_argument_group("with --recipe")
    whole.add_argument("--presets", type=listed(str), default=["default", "fast"], metavar="P,…", help="default,fast")
    whole.add_argument("--scales", metavar="N:I,…", help="longest side : iterations, in place of the preset's")
    whole.add_argument("--pair", nargs=2, type=Path, default=PAIR, metavar=("CONTENT", "STYLE"), help="two samples")
    whole.add_argument("--own-precision", default="auto", metavar="P", help="Impasto's beside PyTorch's bf16 (auto)")
    arguments = parser.parse_args()
    arguments.rounds = arguments.rounds if arguments.rounds is not None else 3 if arguments.recipe else 5
    if min(arguments.rounds, arguments.repeats, arguments.threads) < 1:
        parser.error("--rounds, --repeats, --threads: give at least 1")
    load = os.getloadavg()[0]  # before the build, which is a load itself
    arguments.binary = arguments.binary or build()
    if arguments.recipe:
        recipes(arguments, load)
        return

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
            print(f"{first['cpu']}, {first['signature']}, {platform.system()} {platform.machine()}, ", end="")
            print(f"{arguments.threads} thread(s), {today()}; Impasto {first['version']}, ", end="")
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
