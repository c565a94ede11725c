#!/usr/bin/env python3
"""Does a run take the memory that `impasto plan` says? A table of both, over sizes, precisions and inputs.

    python3 tools/peaks.py --impasto target/release/impasto photo.jpg painting.jpg
    python3 tools/peaks.py --sizes 512,2048 --options "--preset paper" photo.jpg painting.jpg

Needs Linux, and nothing beyond Python's own library. Each run makes one iteration at each scale: later ones take hardly more.
A peak is the most memory that the process ever held, as the system counts it; it is that of the program's pages too, as
many as it touched.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile


def peak(command: list[str]) -> int:
    """Bytes that a command held at its fullest."""
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    if status != 0:
        sys.exit(f"{' '.join(command)} failed")
    return usage.ru_maxrss * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("content")
    parser.add_argument("style")
    parser.add_argument("--impasto", default="target/release/impasto")
    parser.add_argument("--sizes", default="128,512,1024,2048")
    parser.add_argument("--precisions", default="f32,bf16")
    parser.add_argument("--options", default="", help="for every run, such as '--preset paper --max-memory 2G'")
    arguments = parser.parse_args()

    print("| size | precision | rows | planned, MB | measured, MB | measured / planned |\n| --- | --- | --- | --- | --- | --- |")
    for size in arguments.sizes.split(","):
        for precision in arguments.precisions.split(","):
            pictures = [arguments.content, arguments.style, "--size", size, "--precision", precision]
            options = pictures + arguments.options.split()
            output = subprocess.run([arguments.impasto, "plan", *options, "--json"], capture_output=True, check=True)
            plan = json.loads(output.stdout)
            with tempfile.TemporaryDirectory() as folder:
                iterations = ["--iterations", str(len(plan["scales"])), "-q", "-o", f"{folder}/out.png"]
                measured = peak([arguments.impasto, "stylize", *options, *iterations])
            planned, rows = plan["peak_bytes"], plan["scales"][-1]["rows"] or "whole"
            ratio = measured / planned
            print(f"| {size} | {precision} | {rows} | {planned / 1e6:.0f} | {measured / 1e6:.0f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
