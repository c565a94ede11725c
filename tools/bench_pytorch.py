#!/usr/bin/env python3
"""One optimisation step in PyTorch, timed: the peer that Impasto is measured against.

Why it exists: "fast" means nothing alone. This is the same step as Impasto's preset
`paper` (VGG16 down to relu4_3, four Gram matrices, content at relu3_3, total
variation, backward to the picture, Adam, clamp) the way PyTorch does it best on a
CPU: `channels_last`, so that oneDNN picks its fastest convolutions, and for bf16
the weights and the features themselves in bf16, which is faster than autocast.
Losses are summed in f32 either way.

The pictures are made by a formula (`test_picture` in reference.py), so that another
program can compute the losses of the first two steps and show that it does the same
work. Run both programs in turn and compare medians: absolute times drift.

oneDNN reads ONEDNN_MAX_CPU_ISA (AVX2, AVX512_CORE, AVX512_CORE_BF16, ...), which
makes it comparable with a kernel for that instruction set.

Needs: torch, numpy, safetensors.

  tools/bench_pytorch.py --size 512 --dtype f32 --threads 2 --repeats 5
  ONEDNN_MAX_CPU_ISA=AVX2 tools/bench_pytorch.py --size 256 --json
"""

import argparse
import json
import os
import resource
import statistics
import time

import torch

from reference import Objective, Optimisation, Paper, load_weights, test_picture


def peak_rss_mb():
    """The most memory this process ever had, in MB (Linux counts in KiB)."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def measure(arguments):
    """Everything the program reports, by name."""
    imported = peak_rss_mb()
    memory_format = torch.contiguous_format if arguments.contiguous else torch.channels_last
    dtype = {"f32": torch.float32, "bf16": torch.bfloat16}[arguments.dtype]
    weights = load_weights(dtype=dtype, memory_format=memory_format)
    content, style = (
        test_picture(arguments.size, arguments.size, kind).float().contiguous(memory_format=memory_format)
        for kind in ("content", "style")
    )
    paper = Paper(
        content_weight=arguments.content_weight, style_weight=arguments.style_weight, tv_weight=arguments.tv_weight
    )
    run = Optimisation(Objective(content, style, weights, paper), content)
    losses = [run.step().numbers() for _ in range(2)]  # the first steps also warm oneDNN's caches

    seconds = []
    for _ in range(arguments.repeats):
        start = time.perf_counter()
        run.step()
        seconds.append(time.perf_counter() - start)
    return {
        "torch": torch.__version__,
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "onednn_max_cpu_isa": os.environ.get("ONEDNN_MAX_CPU_ISA"),
        "layout": "contiguous" if arguments.contiguous else "channels_last",
        "size": arguments.size,
        "dtype": arguments.dtype,
        "threads": torch.get_num_threads(),
        "repeats": arguments.repeats,
        "seconds": {"median": statistics.median(seconds), "min": min(seconds), "max": max(seconds)},
        "peak_rss_mb": peak_rss_mb(),
        "peak_rss_mb_after_import": imported,
        "losses": losses,
    }


def report(result):
    """The same for people."""
    isa = result["onednn_max_cpu_isa"] or "not limited"
    print(f"PyTorch {result['torch']}, {result['cpu_capability']}, ONEDNN_MAX_CPU_ISA {isa}")
    print(f"{result['size']} x {result['size']}, {result['dtype']}, {result['layout']}, {result['threads']} threads")
    print("seconds/step: median {median:.3f}, min {min:.3f}, max {max:.3f}".format(**result["seconds"]), end="")
    print(f" ({result['repeats']} repeats)")
    print(f"peak memory: {result['peak_rss_mb']:.0f} MB ({result['peak_rss_mb_after_import']:.0f} after import)")
    for iteration, losses in enumerate(result["losses"], 1):
        layers = ", ".join(f"{name} {loss:.6g}" for name, loss in losses["layers"].items())
        print(
            "step {}: content {content:.6g}, style {style:.6g}, tv {tv:.6g}, total {total:.6g}".format(
                iteration, **losses
            ),
            f"({layers})",
        )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=512, metavar="N", help="side of the square pictures (%(default)s)")
    parser.add_argument("--dtype", choices=("f32", "bf16"), default="f32", help="the network's precision (%(default)s)")
    parser.add_argument("--threads", type=int, metavar="N", help="default: as many as PyTorch takes")
    parser.add_argument("--repeats", type=int, default=5, metavar="R", help="steps timed, after two more (%(default)s)")
    parser.add_argument("--contiguous", action="store_true", help="PyTorch's default layout instead of channels_last")
    paper = Paper()
    parser.add_argument("--content-weight", type=float, default=paper.content_weight)
    parser.add_argument("--style-weight", type=float, default=paper.style_weight)
    parser.add_argument("--tv-weight", type=float, default=paper.tv_weight)
    parser.add_argument("--json", action="store_true", help="print JSON instead of text")
    arguments = parser.parse_args()
    if arguments.repeats < 1:
        parser.error("--repeats: give at least 1")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    result = measure(arguments)
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        report(result)


if __name__ == "__main__":
    main()
