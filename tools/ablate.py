#!/usr/bin/env python3
"""The parts of the recipe, one by one: what a picture loses, or gains, without each.

Why it exists: a recipe of a dozen parts is believed part by part. Every row is one run of the
program with everything as in a preset but one option, judged by the numbers of tools/judge.py;
so a table says what each part brings on pictures that are not alike, and can be made again
whenever a part changes. docs/recipe.md has one.

The loss is the preset's own objective at the end: it compares rows only where statistic, content
weight and variation are the same.

Needs: torch, numpy, pillow, safetensors; cargo, or --impasto.

  tools/ablate.py                                   # 256 pixels, two pairs, as docs/recipe.md
  tools/ablate.py --size 512 --pair coffee.jpg great-wave.jpg --only canvas,init
"""

import argparse
import json
import tempfile
from pathlib import Path

from compare_pytorch import ROOT, build, measured
from judge import COLUMNS, PAIRS, judge_files, pair_name, table
from reference import load_weights

# A name, and the options that leave a part out or put another in its place.
FACTORS = {
    "as it is": [],
    "init content": ["--init", "content"],
    "canvas pixels": ["--canvas", "pixels"],
    "both": ["--init", "content", "--canvas", "pixels"],
    "statistic gram-relative": ["--statistic", "gram-relative"],
    "statistic covariance": ["--statistic", "covariance"],
    "schedule 1": ["--schedule", "1"],
    "average 0": ["--average", "0"],
    "average 0.99": ["--average", "0.99"],
    "moments carried": ["--moments", "carried"],
    "detail 0": ["--detail", "0"],
    "match-result off": ["--match-result", "off"],
    "calm 0": ["--calm", "0"],
    "refresh 4": ["--refresh", "4"],
    "pooling avg2, tv 4": ["--pooling", "avg2", "--tv-weight", "4"],
    "pooling l2": ["--pooling", "l2"],
    "lbfgs on pixels": ["--optimizer", "lbfgs", "--canvas", "pixels", "--average", "0"],
}
SHOWN = ("mean", "std", "p2", "p4", "W2", "flats")


def run(arguments, folder, content, style, options):
    """One row: the last loss, seconds, and every measure of the picture."""
    picture, trace = folder / "picture.png", folder / "trace.jsonl"
    paths = [ROOT / "samples" / name for name in (content, style)]
    settings = ["--preset", arguments.preset, "--size", str(arguments.size)]
    if arguments.iterations:
        settings += ["--iterations", str(arguments.iterations)]
    command = [arguments.impasto, "stylize", *paths, "-o", picture, "--trace", trace, "-q", *settings, *options]
    seconds, _, _ = measured(command)
    loss = json.loads(trace.read_text().splitlines()[-1])["total"]
    return loss, seconds, judge_files(picture, paths[1], paths[0], arguments.network)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="default")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--iterations", type=int, metavar="N", help="in all scales together (the preset's)")
    parser.add_argument("--pair", nargs=2, action="append", metavar=("CONTENT", "STYLE"), help="of samples/; repeat")
    parser.add_argument("--only", metavar="WORDS", help="factors whose names hold one of these, by comma")
    parser.add_argument("--impasto", type=Path, metavar="PATH", help="the program; built if not given")
    arguments = parser.parse_args()
    arguments.impasto = arguments.impasto or build()
    arguments.network = load_weights()
    words = arguments.only.split(",") if arguments.only else [""]
    factors = {name: o for name, o in FACTORS.items() if not o or any(word in name for word in words)}
    for content, style in arguments.pair or [PAIRS[1], PAIRS[0]]:
        rows = []
        with tempfile.TemporaryDirectory() as folder:
            for name, options in factors.items():
                loss, seconds, numbers = run(arguments, Path(folder), content, style, options)
                rows.append([name, f"{loss:.4f}", f"{seconds:.1f}", *(COLUMNS[column](numbers) for column in SHOWN)])
        print(f"{pair_name(content, style)}, {arguments.preset} at {arguments.size} pixels\n")
        print(table(rows, ["", "loss", "s", *SHOWN]), end="\n\n", flush=True)


if __name__ == "__main__":
    main()
