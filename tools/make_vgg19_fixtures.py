#!/usr/bin/env python3
"""Makes tests/data/pytorch/vgg19.*: features and losses of VGG19 with random weights.

Why it exists: the program takes VGG19's weights, but those anybody would download are
574 MB. What is tested here is not what the network has learned but that Impasto evaluates
it: sixteen convolutions in their order, with their poolings between them, and three layers
that VGG16 does not have. Any weights do for that, if both sides have the same ones; so
they come from a few lines of integers, below and in tests/vgg19.rs.

  h(n)            n + 1 times 2654435769, then twice: xor with itself >> 15, times 739982445; xor with itself >> 15;
                  all modulo 2^32
  u(k, i)         (h(i + 2^26 k) >> 8) / 2^23 - 1: in [-1, 1), exact in single precision
  weight i of k   u(2 k, i) sqrt(6 / (9 inputs)), in (out, in, 3, 3)'s order: features keep their size (He et al. 2015)
  bias i of k     u(2 k + 1, i) / 16

where k counts convolutions from 0; both factors are rounded to single precision before the product is.

  vgg19.json          shape, mean and root mean square of every layer's map; the losses at `start`
  vgg19.safetensors   LAYER: 1024 values of it for `content`; gradient.content, gradient.style: likewise, at `start`

The pictures are those of pictures.safetensors, the formulas those of `reference.py`, the layers the three that only
VGG19 has: content at relu4_4, style at relu3_4 and relu5_4. All is computed in double precision. Value k is element
(k * 7919) mod (H W C) of the whole.

Needs: torch, numpy, pillow, safetensors. The same PyTorch gives the same files.

  tools/make_vgg19_fixtures.py [--output tests/data/pytorch]
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file

from make_fixtures import OUTPUT, STRIDE, chw, rounded, save_fixture, summary
from reference import VGG19, Objective, Paper, features, layer_names

WIDTHS = (64, 128, 256, 512, 512)
PAPER = Paper(
    content_layer="relu4_4", style_layers={"relu3_4": 0.75, "relu5_4": 0.25}, content_weight=5e-4, style_weight=1.5
)


def uniform(kind, count):
    """u(kind, 0), u(kind, 1), ..."""
    n = np.arange(count, dtype=np.uint32) + np.uint32(kind << 26)
    h = (n + np.uint32(1)) * np.uint32(2654435769)
    for _ in range(2):
        h = (h ^ (h >> np.uint32(15))) * np.uint32(739982445)
    h ^= h >> np.uint32(15)
    return (h >> np.uint32(8)).astype(np.float32) / np.float32(2**23) - np.float32(1)


def random_weights():
    """[(weight (out, in, 3, 3), bias (out)), ...] in the network's order, f64."""
    weights, inputs = [], 3
    for outputs, count in zip(WIDTHS, VGG19):
        for _ in range(count):
            number = len(weights)
            weight = uniform(2 * number, outputs * inputs * 9) * np.float32(np.sqrt(6 / (9 * inputs)))
            bias = uniform(2 * number + 1, outputs) * np.float32(1 / 16)
            weights.append(tuple(torch.from_numpy(a).double() for a in (weight.reshape(outputs, inputs, 3, 3), bias)))
            inputs = outputs
    return weights


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIRECTORY")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    pictures = {name: chw(x) for name, x in load_file(OUTPUT / "pictures.safetensors").items()}
    weights = random_weights()
    tensors, layers = {}, {}
    for name, feature_map in features(pictures["content"], weights, layer_names(VGG19)).items():
        tensors[name], layers[name] = summary(feature_map)

    picture = pictures["start"].clone().requires_grad_()
    losses = Objective(pictures["content"], pictures["style"], weights, PAPER)(picture)
    gradients = {}
    for part in ("content", "style"):
        (gradient,) = torch.autograd.grad(getattr(losses, part), picture, retain_graph=True)
        tensors[f"gradient.{part}"], gradients[part] = summary(gradient)

    document = {
        "made_by": "tools/make_vgg19_fixtures.py",
        "torch": torch.__version__,
        "precision": "float64",
        "sample_stride": STRIDE,
        "features": layers,
        "objective": {
            "content_layer": PAPER.content_layer,
            "style_layers": PAPER.style_layers,
            "content_weight": PAPER.content_weight,
            "style_weight": PAPER.style_weight,
            "tv_weight": PAPER.tv_weight,
        },
        "losses": rounded(losses.numbers()),
        "gradients": gradients,
    }
    save_fixture(arguments.output, "vgg19", document, tensors)


if __name__ == "__main__":
    main()
