#!/usr/bin/env python3
"""Makes tests/data/pytorch/presets.*: the losses of every preset, at one picture.

Why it exists: `make_fixtures.py` has the formulas of the paper, `make_recipe_fixtures.py`
those of our own presets, each with numbers chosen for the test. What a user gets is a
preset: formulas, layers, weights, pooling and border together. Here each one is written
down a second time, from what it is meant to be and not from what the program says, and
PyTorch computes its losses in double precision, with gradients by differentiation.

A map has N channels and M pixels; F are the picture's features, P the photograph's; G = F F^T / M
is the picture's Gram matrix, A the style picture's.

  content  sum          1/2 sum (F - P)^2
           mean         mean (F - P)^2
  style    gram         1 / (4 N^2) sum (G - A)^2
           gram-mean    mean (G / N - A / N)^2
           wasserstein  see `recipe.py`
  tv       sum          squared differences of neighbours, added up
           mean         2 / (number of values) of: 1/3 of those along each axis, 1/12 of those along each diagonal

presets.json has, for each preset, its `settings`, its `losses` and the root mean square of each
gradient; presets.safetensors has samples of these gradients, F32, at the picture `start` of
pictures.safetensors:

  PRESET.content, PRESET.style    of the raw losses
  PRESET.tv                       where it has a weight
  PRESET.total                    of content, style and tv, each with the preset's weight

Value k is element (k * 7919) mod (H W 3) of the whole.

Needs: torch, numpy, pillow, safetensors. The same PyTorch gives the same files.

  tools/make_preset_fixtures.py [--output tests/data/pytorch]
"""

import argparse
import dataclasses
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file

from make_fixtures import OUTPUT, STRIDE, chw, save_fixture
from make_recipe_fixtures import SAMPLES, picks, rms, rounded_all
from recipe import Wasserstein
from reference import WEIGHTS, features, gram_per_pixel, load_weights, total_variation


@dataclass(frozen=True)
class Settings:
    """What decides a preset's losses."""

    content_formula: str
    content_layers: dict
    content_weight: float
    statistic: str
    style_layers: dict
    style_weight: float
    tv_formula: str
    tv_weight: float
    pooling: str
    border: str


def equally(weight, *layers):
    return dict.fromkeys(layers, weight)


FIRSTS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

# "Migrating of Images Using Neural Style Transfer", with weights of ours, which it does not give.
PAPER = Settings(
    content_formula="sum", content_layers={"relu3_3": 1.0}, content_weight=5e-9,
    statistic="gram", style_layers=equally(0.25, "relu1_2", "relu2_2", "relu3_3", "relu4_3"), style_weight=1.0,
    tv_formula="sum", tv_weight=2e-5,
    pooling="max", border="zero",
)

# K. Crowson's style-transfer-pytorch: layers, their weights, and the formulas.
DEFAULT = Settings(
    content_formula="mean", content_layers={"relu4_2": 1.0}, content_weight=0.02,
    statistic="wasserstein",
    style_layers={layer: share / 341 for layer, share in zip(FIRSTS, (256, 64, 16, 4, 1))}, style_weight=1.0,
    tv_formula="mean", tv_weight=2.0,
    pooling="max", border="replicate",
)

# What follows was published with means over features and over Gram matrices.
PUBLISHED = dataclasses.replace(
    PAPER, content_formula="mean", content_layers={"relu4_2": 1.0}, statistic="gram-mean", tv_weight=0.0
)

PRESETS = {
    "fast": dataclasses.replace(DEFAULT, content_weight=0.015),
    "default": DEFAULT,
    "best": DEFAULT,
    "paper": PAPER,
    # Gatys, Ecker & Bethge 2016: average pooling, the first layer of each block. Weights for a network that is not
    # rescaled as theirs is.
    "gatys": dataclasses.replace(
        PUBLISHED, style_layers=dict(zip(FIRSTS, (15.0, 0.44, 0.018, 0.033, 1.3))),
        content_weight=0.05, style_weight=1e3, pooling="avg",
    ),
    # J. Johnson's neural-style.lua: -content_weight 5 -style_weight 100 -tv_weight 1e-3 for pixels from 0 to 255,
    # which are 58 times as large as ours. Its tv has half the gradient of a sum of squares.
    "neural-style": dataclasses.replace(
        PUBLISHED, style_layers=equally(1.0, *FIRSTS), content_weight=5.0, style_weight=100.0 * 58**2, tv_weight=0.01
    ),
    # PyTorch's tutorial: conv_4 is the fourth convolution, conv_1 to conv_5 the first five.
    "pytorch-tutorial": dataclasses.replace(
        PUBLISHED, content_layers={"relu2_2": 1.0},
        style_layers=equally(1.0, "relu1_1", "relu1_2", "relu2_1", "relu2_2", "relu3_1"),
        content_weight=1.0, style_weight=1e6,
    ),
}

CONTENTS = {
    "sum": lambda f, p: (f - p).square().sum() / 2,
    "mean": lambda f, p: (f - p).square().mean(),
}


def gram_distance(factor):
    """A statistic: the squared distance of Gram matrices per pixel, times a function of the number of channels."""

    def to(style_map):
        target = gram_per_pixel(style_map, style_map.dtype)
        return lambda x: factor(x.shape[1]) * (gram_per_pixel(x, x.dtype) - target).square().sum()

    return to


STATISTICS = {
    "gram": gram_distance(lambda n: 1 / (4 * n**2)),
    "gram-mean": gram_distance(lambda n: 1 / n**4),
    "wasserstein": lambda style_map: Wasserstein(style_map, refresh=1),
}


def nine_points(x):
    """The mean variation, of pairs that are in the picture; `recipe.py` has pairs along two of its edges as well."""
    squares = lambda a, b: (a - b).square().sum()
    axes = squares(x[..., 1:, :], x[..., :-1, :]) + squares(x[..., :, 1:], x[..., :, :-1])
    diagonals = squares(x[..., 1:, 1:], x[..., :-1, :-1]) + squares(x[..., 1:, :-1], x[..., :-1, 1:])
    return 2 * (axes / 3 + diagonals / 12) / x.numel()


VARIATIONS = {"sum": total_variation, "mean": nine_points}


def weighted(weights, losses):
    return sum(weight * losses[layer] for layer, weight in weights.items())


def losses(settings, content, style, picture, weights):
    """{name: loss}: content, style, tv, total and each style layer."""
    maps = lambda picture, layers: features(picture, weights, layers, settings.pooling, settings.border)
    with torch.no_grad():
        wanted = maps(content, settings.content_layers)
        distances = {layer: STATISTICS[settings.statistic](x) for layer, x in maps(style, settings.style_layers).items()}
    found = maps(picture, {*settings.content_layers, *settings.style_layers})
    contents = {layer: CONTENTS[settings.content_formula](found[layer], wanted[layer]) for layer in wanted}
    layers = {layer: distances[layer](found[layer]) for layer in settings.style_layers}
    parts = {
        "content": weighted(settings.content_layers, contents),
        "style": weighted(settings.style_layers, layers),
        "tv": VARIATIONS[settings.tv_formula](picture),
    }
    total = sum(getattr(settings, f"{name}_weight") * loss for name, loss in parts.items())
    return parts | {"total": total}, layers


def measure(name, pictures, weights):
    """A preset's losses with the root mean squares of their gradients, and samples of these."""
    settings = PRESETS[name]
    picture = pictures["start"].clone().requires_grad_()
    parts, layers = losses(settings, pictures["content"], pictures["style"], picture, weights)
    kept = [part for part in parts if part != "tv" or settings.tv_weight]
    gradients = {part: torch.autograd.grad(parts[part], picture, retain_graph=True)[0] for part in kept}
    scalars = {part: loss.item() for part, loss in parts.items()}
    document = {
        "settings": dataclasses.asdict(settings),
        "losses": scalars | {"layers": {layer: loss.item() for layer, loss in layers.items()}},
        "rms": {part: rms(gradient) for part, gradient in gradients.items()},
    }
    return document, {f"{name}.{part}": picks(gradient) for part, gradient in gradients.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIRECTORY")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    pictures = {name: chw(x) for name, x in load_file(OUTPUT / "pictures.safetensors").items()}
    weights = load_weights(dtype=torch.float64)
    presets, tensors = {}, {}
    for name in PRESETS:
        document, samples = measure(name, pictures, weights)
        # A weight is what it is; what was computed has the last bits of this machine.
        presets[name] = document | {part: rounded_all(document[part]) for part in ("losses", "rms")}
        tensors |= samples

    document = {
        "made_by": "tools/make_preset_fixtures.py",
        "torch": torch.__version__,
        "precision": "float64",
        "weights": WEIGHTS.name,
        "samples": SAMPLES,
        "sample_stride": STRIDE,
        "presets": presets,
    }
    save_fixture(arguments.output, "presets", document, tensors)


if __name__ == "__main__":
    main()
