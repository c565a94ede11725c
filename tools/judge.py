#!/usr/bin/env python3
"""How good a stylised picture is, as far as numbers can say, and the gallery that shows the rest.

Why it exists: losses fall in bad pictures too. Most of what goes wrong in style transfer
can be measured on the finished picture without asking the network for its own opinion: tones
that are off, grain, halftone dots, rims, grey patches. The numbers compare a picture with
its style picture, and where it is given with the photograph; they find faults, and do not
replace a look at the pictures.

  mean        difference of the mean colour, of 255, for red, green, blue: 0 is best
  std         ratio of the colours' standard deviations: 1 is best
  band        energy of the finest pyramid level, relative to the style's
  p2 p4 p6    spectral energy at periods of 2, 4 and 6 pixels, relative to the style's; halftone dots
              and woven grain raise them, blur lowers them
  W2          squared Wasserstein distance of features at relu1_2, relu2_2, relu3_3, relu4_3, which are not
              optimised, relative to the style's variance: the mean of the four
  rim tone    how much brighter the outer 8 pixels are than the 16 next to them, of 255, beyond what they are
              in the style picture and in the photograph in the style's colours: 0 if between the two
  rim detail  the same for the finest level's amplitude, as a ratio: 1 if between the two
  clipped     share of channel values at 0 or 255, in per cent; the style's in parentheses
  grey        share of the picture, in per cent, that is grey, flat, and so neither in the photograph at that
              place nor in the style picture at that brightness
  flats       10th and 25th percentile of the local standard deviation (9 x 9 pixels, of 255);
              the style's in parentheses. Higher than the style's: grain where it should be calm

With --matrix it runs the program over pairs of samples and presets, measures the time and the
memory of each run, and writes docs/gallery.md with small copies of the pictures. Whole ones stay
in the folder --runs, from which --reuse takes those that are there. --also adds
pictures made elsewhere, as NAME=FOLDER, with files called CONTENT-STYLE.png after the samples,
and beside each, if there is one, the summary of `recipe.py` as CONTENT-STYLE.json.

Needs: torch, numpy, pillow, safetensors; for --matrix cargo, or --impasto.

  tools/judge.py out.png style.jpg photo.jpg
  tools/judge.py --matrix --size 512 --presets fast,default,best
  tools/judge.py --matrix --presets fast --reuse --also PyTorch=folder
"""

import argparse
import json
import math
import os
import platform
import shlex
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from PIL import Image

from compare_pytorch import ROOT, build, measured, today
from recipe import bilinear, match_colours, moments, read_resized, shrink, spectral
from reference import features, load_weights

# The pairs of the gallery: an easy one, flat colour, a grey photograph, a dark one, hard outlines, loose strokes.
PAIRS = (
    ("astronaut.jpg", "village-street-in-auvers.jpg"),
    ("coffee.jpg", "great-wave.jpg"),
    ("cameraman-grey.png", "horse-mackerel-and-prawn.jpg"),
    ("hubble-dark.jpg", "great-wave.jpg"),
    ("astronaut.jpg", "poppies.jpg"),
    ("coffee.jpg", "summertime.jpg"),
)

LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3")
RIM, RING = 8, 16
LUMINANCE = (0.2126, 0.7152, 0.0722)

# What counts as a grey flat: windows of this many pixels, with less chroma and deviation than these,
# neither nearly black nor nearly white. The style has the like if one of its windows is as bright within a bit.
WINDOW, CHROMA, DEVIATION, BRIGHTNESS, AS_BRIGHT = 16, 0.06, 0.02, (0.15, 0.85), 0.05


# --- Measures -----------------------------------------------------------------------


def luminance(picture):
    """(1, 1, H, W) of a picture (1, 3, H, W)."""
    return (picture * torch.tensor(LUMINANCE).view(1, 3, 1, 1)).sum(1, keepdim=True)


def finest_level(picture):
    """What halving the picture would lose."""
    small = shrink(picture, (side // 2 for side in picture.shape[2:]))
    return picture - bilinear(small, picture.shape[2:])


def spectral_energies(picture, side=64, step=16):
    """Mean energy at periods of about 2, 4 and 6 pixels, over windows all over the picture."""
    grey = picture.mean(1)[0]
    if min(grey.shape) < side:
        return (math.nan,) * 3
    windows = grey.unfold(0, side, step).unfold(1, side, step).reshape(-1, side, side)
    hann = torch.hann_window(side)
    windows = (windows - windows.mean((1, 2), keepdim=True)) * hann[:, None] * hann
    energy = torch.fft.fft2(windows).abs().square().mean(0)
    frequency = (torch.fft.fftfreq(side) * side).abs()
    frequency = torch.maximum(frequency[:, None], frequency)  # cycles per window along the faster axis
    bands = ((29, 32), (15, 17), (9, 13))
    return tuple(energy[(frequency >= low) & (frequency <= high)].mean().item() for low, high in bands)


def feature_distances(picture, style, weights):
    """{layer: squared Wasserstein distance relative to the style's variance}."""
    pictures = features(picture, weights, LAYERS, border="replicate")
    styles = features(style, weights, LAYERS, border="replicate")
    distances = {}
    for layer in LAYERS:
        (mean, own), (style_mean, wanted) = moments(pictures[layer]), moments(styles[layer])
        root = spectral(wanted, torch.sqrt)
        between = torch.linalg.eigvalsh(root @ own @ root).clamp(min=0).sqrt().sum()
        distance = (mean - style_mean).square().sum() + own.trace() + wanted.trace() - 2 * between
        distances[layer] = (distance / wanted.trace()).item()
    return distances


def rim_against_ring(picture):
    """(difference of mean luminance, of 255; ratio of the finest level's amplitudes)."""
    height, width = picture.shape[2:]
    y, x = torch.arange(height)[:, None], torch.arange(width)
    from_edge = torch.minimum(torch.minimum(y, height - 1 - y), torch.minimum(x, width - 1 - x))
    rim, ring = from_edge < RIM, (from_edge >= RIM) & (from_edge < RIM + RING)
    tone, level = luminance(picture)[0, 0], finest_level(picture).square().mean(1)[0]
    difference = 255 * (tone[rim].mean() - tone[ring].mean())
    return difference.item(), (level[rim].mean() / level[ring].mean().clamp(min=1e-12)).sqrt().item()


def clipped(picture):
    """Share of channel values that 8 bits write as 0 or 255."""
    return ((picture < 0.5 / 255) | (picture > 254.5 / 255)).float().mean().item()


def grey_flats(picture):
    """(which windows are grey and flat, how bright each window is)."""
    mean = lambda x: F.avg_pool2d(x, WINDOW, WINDOW // 2)
    colours, tone = mean(picture)[0], luminance(picture)
    chroma = colours.amax(0) - colours.amin(0)
    brightness = mean(tone)[0, 0]
    deviation = (mean(tone.square())[0, 0] - brightness.square()).clamp(min=0).sqrt()
    between = (brightness > BRIGHTNESS[0]) & (brightness < BRIGHTNESS[1])
    return (chroma < CHROMA) & (deviation < DEVIATION) & between, brightness


def grey_patches(picture, style, content):
    """Share of windows that are grey and flat with no example for it."""
    patches, brightness = grey_flats(picture)
    examples, example_brightness = grey_flats(style)
    for value in example_brightness[examples]:
        patches = patches & ((brightness - value).abs() > AS_BRIGHT)
    if content is not None:
        patches = patches & ~grey_flats(content)[0]
    return patches.float().mean().item()


def flats(picture, side=9):
    """10th and 25th percentile of the local standard deviation of luminance, of 255."""
    tone = luminance(picture).double()
    mean = lambda x: F.avg_pool2d(x, side, 1)
    deviation = (mean(tone.square()) - mean(tone).square()).clamp(min=0).sqrt()
    ranked = deviation.flatten().sort().values
    return [255 * ranked[int(part * (len(ranked) - 1))].item() for part in (0.1, 0.25)]


def judge(picture, style, content, weights):
    """Every measure by name, of pictures (1, 3, H, W) in [0, 1]; the content may be None."""
    own, wanted = spectral_energies(picture), spectral_energies(style)
    tone, detail = rim_against_ring(picture)
    models = [style] if content is None else [style, match_colours(content, style, 5.0)]
    tones, details = zip(*map(rim_against_ring, models))
    distances = feature_distances(picture, style, weights)
    energy = lambda x: finest_level(x).square().mean().item()
    return {
        "mean": (255 * (picture.mean((2, 3)) - style.mean((2, 3))))[0].tolist(),
        "std": (picture.std((2, 3)) / style.std((2, 3)))[0].tolist(),
        "band": energy(picture) / energy(style),
        **{name: a / b for name, a, b in zip(("p2", "p4", "p6"), own, wanted)},
        "W2": sum(distances.values()) / len(distances),
        "W2_layers": distances,
        "rim_tone": tone - min(max(tone, min(tones)), max(tones)),
        "rim_detail": detail / max(min(max(detail, min(details)), max(details)), 1e-6),
        "clipped": clipped(picture),
        "clipped_style": clipped(style),
        "grey": grey_patches(picture, style, content),
        "flats": flats(picture),
        "flats_style": flats(style),
    }


def judge_files(picture, style, content, weights):
    """The same of files: the others are brought to the picture's longest side."""
    longest = max(Image.open(picture).size)
    picture, style = read_resized(picture, longest), read_resized(style, longest)
    if content is not None:
        content = read_resized(content, longest)
        if content.shape != picture.shape:  # another program may round the shorter side otherwise
            content = bilinear(content, picture.shape[2:])
    with torch.no_grad():
        return judge(picture, style, content, weights)


def signed(value, digits):
    """A number with its sign, and none for zero."""
    value = round(value, digits)
    return f"{value:+.{digits}f}".replace("-", "−") if value else "0"


# Column titles, and each measure as text.
COLUMNS = {
    "mean": lambda n: " ".join(signed(value, 0) for value in n["mean"]),
    "std": lambda n: " ".join(f"{value:.2f}" for value in n["std"]),
    "band": lambda n: f"{n['band']:.2f}",
    "p2": lambda n: f"{n['p2']:.2f}",
    "p4": lambda n: f"{n['p4']:.2f}",
    "p6": lambda n: f"{n['p6']:.2f}",
    "W2": lambda n: f"{n['W2']:.3f}",
    "rim tone": lambda n: signed(n["rim_tone"], 1),
    "rim detail": lambda n: f"{n['rim_detail']:.2f}",
    "clipped %": lambda n: f"{100 * n['clipped']:.1f} ({100 * n['clipped_style']:.1f})",
    "grey %": lambda n: f"{100 * n['grey']:.1f}",
    "flats": lambda n: "{:.1f} {:.1f} ({:.1f} {:.1f})".format(*n["flats"], *n["flats_style"]),
}


# --- The matrix ---------------------------------------------------------------------


def pair_name(content, style):
    return f"{Path(content).stem}-{Path(style).stem}"


def run_program(arguments, content, style, preset):
    """One picture by the program, or the one that an earlier run left: {picture, command, seconds, mb}."""
    output = arguments.runs / f"{pair_name(content, style)}-{preset}.png"
    record = output.with_suffix(".json")
    options = ["--preset", preset, "--size", str(arguments.size)]
    if arguments.threads:
        options += ["--threads", str(arguments.threads)]
    options += arguments.option
    inputs = [f"samples/{content}", f"samples/{style}"]  # as a reader would type them, from the repository's root
    shown = shlex.join(["impasto", "stylize", *inputs, "-o", output.name, *options])
    if arguments.reuse and output.is_file() and record.is_file():
        known = json.loads(record.read_text())
        if known["command"] == shown:
            return known | {"picture": output}
    program = arguments.impasto or build()
    arguments.impasto = program
    paths = [ROOT / path for path in inputs]
    seconds, mb, _ = measured([program, "stylize", *paths, "-o", output, *options, "-q"])
    known = {"command": shown, "seconds": seconds, "mb": mb}
    record.write_text(json.dumps(known) + "\n")
    return known | {"picture": output}


def made_elsewhere(folder, content, style):
    """A picture of `--also`, with what its summary says; None where the folder has none."""
    found = sorted(folder.glob(f"{pair_name(content, style)}.*"))
    pictures = [path for path in found if path.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp")]
    if not pictures:
        return None
    summary = pictures[0].with_suffix(".json")
    known = json.loads(summary.read_text()) if summary.is_file() else {}
    return {"picture": pictures[0], "command": None, "seconds": known.get("seconds"), "mb": known.get("peak_rss_mb")}


def save_small(picture, path, longest):
    """A JPEG of a picture, its longest side at most this long."""
    image = Image.open(picture).convert("RGB")
    image.thumbnail((longest, longest), Image.Resampling.LANCZOS)
    image.save(path, quality=85, optimize=True)


def processor():
    """The processor's name, as far as the system tells."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def table(rows, titles):
    """A Markdown table; every column but the first is aligned right."""
    lines = [f"| {' | '.join(titles)} |", f"| --- |{' ---: |' * (len(titles) - 1)}"]
    return "\n".join([*lines, *(f"| {' | '.join(row)} |" for row in rows)])


def number(value, form):
    return "" if value is None else form.format(value)


GALLERY = """# Gallery

Pairs of [sample pictures](../samples/README.md), each stylised with every preset at {size} pixels: what the presets
give, what they cost, and what can be measured on the result. `tools/judge.py --matrix` makes this page; its head says
what each number means, and `tools/judge.py PICTURE STYLE CONTENT` prints the same numbers for any picture. In short:
mean, rim tone and grey are best at 0, std and rim detail at 1, clipped and flats at the style picture's, in
parentheses; p2 above 1 is grain, far below it blur; W2 is a distance, so smaller is nearer to the style.{also}

{machine}, {threads}, {date}. Seconds are those of the whole program, files and all, and missing
where it was not alone; MB is the most memory it had.

{summary}
"""


def gallery(arguments, results):
    """docs/gallery.md and the small pictures beside it."""
    folder = arguments.gallery / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    kinds = list(dict.fromkeys(kind for kind, *_ in results))
    rows, sections = [], []
    for content, style in PAIRS:
        made = {kind: run for kind, pair, run in results if pair == (content, style)}
        if not made:
            continue
        name = pair_name(content, style)
        images, commands = [], []
        for kind, run in made.items():
            small = f"{name}-{kind}.jpg".replace(" ", "-")
            save_small(run["picture"], folder / small, 512 if kind == "default" else 320)
            images.append((kind, f"gallery/{small}"))
            if run["command"]:
                commands.append(run["command"])
            numbers = [text(run["numbers"]) for text in COLUMNS.values()]
            cost = [number(run["seconds"], "{:.1f}"), number(run["mb"], "{:.0f}")]
            rows.append([name if kind == next(iter(made)) else "", kind, *cost, *numbers])
        titles = ["photograph", "style", *(kind for kind, _ in images)]
        cells = [f'<img src="../samples/{content}" width="160">', f'<img src="../samples/{style}" width="160">']
        cells += [f'<a href="{path}"><img src="{path}" width="240"></a>' for _, path in images]
        pictures = f"| {' | '.join(titles)} |\n|{' --- |' * len(titles)}\n| {' | '.join(cells)} |"
        listed = "\n".join(["\n```sh", *commands, "```\n"]) if commands else ""
        sections.append(f"\n## {name}\n\n{pictures}\n{listed}")
    also = ", ".join(name for name, _ in arguments.also)
    head = GALLERY.format(
        size=arguments.size,
        machine=processor(),
        threads=f"{arguments.threads or len(os.sched_getaffinity(0))} thread(s)",
        also=f"\nBy another program, as [the recipe](recipe.md) has it: {also}." if also else "",
        date=today(),
        summary=table(rows, ["pair", "made by", "s", "MB", *COLUMNS]),
    )
    (arguments.gallery / "gallery.md").write_text(head + "".join(sections))
    total = sum(path.stat().st_size for path in folder.iterdir())
    print(f"{arguments.gallery / 'gallery.md'}: {len(rows)} pictures of {len(kinds)} kinds, {total / 1e6:.1f} MB")


def matrix(arguments, weights):
    """Every pair with every preset, then what was made elsewhere: [(kind, pair, run)]."""
    arguments.runs.mkdir(parents=True, exist_ok=True)
    results = []
    for content, style in PAIRS[: arguments.pairs]:
        runs = [(preset, run_program(arguments, content, style, preset)) for preset in arguments.presets]
        runs += [(name, made_elsewhere(folder, content, style)) for name, folder in arguments.also]
        for kind, run in runs:
            if run is None:
                print(f"{kind}: no picture of {pair_name(content, style)}", file=sys.stderr)
                continue
            run["numbers"] = judge_files(run["picture"], ROOT / "samples" / style, ROOT / "samples" / content, weights)
            results.append((kind, (content, style), run))
            seconds = number(run["seconds"], "{:.1f} s,")
            print(f"{pair_name(content, style)} {kind}:", seconds, report(run["numbers"]), flush=True)
    return results


def report(numbers):
    """The measures in one line."""
    return ", ".join(f"{title} {text(numbers)}" for title, text in COLUMNS.items())


def named_folder(text):
    name, _, folder = text.partition("=")
    if not name or not Path(folder).is_dir():
        raise argparse.ArgumentTypeError(f"'{text}' is not NAME=FOLDER")
    return name, Path(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("picture", type=Path, nargs="?")
    parser.add_argument("style", type=Path, nargs="?")
    parser.add_argument("content", type=Path, nargs="?", help="the photograph, for rims and grey patches")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a line")
    parser.add_argument("--matrix", action="store_true", help="run the program over the pairs and write the gallery")
    parser.add_argument("--size", type=int, default=512, metavar="N", help="longest side (%(default)s)")
    parser.add_argument("--presets", type=lambda t: t.split(","), default=["fast", "default", "best"], metavar="P,…")
    parser.add_argument("--pairs", type=int, default=len(PAIRS), metavar="N", help="only the first N pairs")
    parser.add_argument("--option", action="append", default=[], metavar="ARG", help="for the program, repeatable")
    parser.add_argument("--also", type=named_folder, action="append", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--impasto", metavar="FILE", help="the program; default: built with cargo")
    parser.add_argument("--threads", type=int, metavar="N", help="default: as many as there are cores")
    parser.add_argument("--runs", type=Path, default=ROOT / "target" / "judge", metavar="FOLDER", help="%(default)s")
    parser.add_argument("--reuse", action="store_true", help="leave out runs whose picture is in --runs")
    parser.add_argument("--gallery", type=Path, default=ROOT / "docs", metavar="FOLDER", help="%(default)s")
    arguments = parser.parse_args()
    if arguments.matrix == bool(arguments.picture) or (arguments.picture and not arguments.style):
        parser.error("give PICTURE and STYLE, or --matrix")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    weights = load_weights(memory_format=torch.channels_last)
    if arguments.matrix:
        arguments.runs, arguments.gallery = arguments.runs.resolve(), arguments.gallery.resolve()
        arguments.impasto = arguments.impasto and Path(arguments.impasto).resolve()
        gallery(arguments, matrix(arguments, weights))
        return
    numbers = judge_files(arguments.picture, arguments.style, arguments.content, weights)
    print(json.dumps(numbers) if arguments.json else report(numbers))


if __name__ == "__main__":
    main()
