#!/usr/bin/env python3
"""Makes tests/data/pytorch/: PyTorch's numbers, for Impasto's tests to agree with.

Why it exists: gradient checks show that backward belongs to forward, not that
forward is right. These files hold what PyTorch computes, in double precision from
inputs that single precision holds exactly, so that a test measures Impasto's error
and not the sum of two.

  fixtures.json          how the files were made; every scalar; the cases of ops
  pictures.safetensors   content 37 x 45, style 29 x 51, start (content with a disturbance)
  ops.safetensors        conv2d, max_pool2d, avg_pool2d, gram, total_variation, normalize
  features.safetensors   1024 values of every relu layer for `content`, both poolings
  losses.safetensors     gradients of content, style and tv at `start`, both poolings
  steps.safetensors      the picture after ten Adam steps of the preset `paper` from `content`

All tensors are F32; pictures and feature maps are (H, W, C), convolution weights
(out, in, 3, 3). Value k of a layer is element (k * 7919) mod (H W C) of its map. An
op's upstream gradient `d_out` is random; `d_x` and its kin are the answers to it.

fixtures.json also says how far PyTorch's own f32 run is from its f64 run for the ten
steps, which is what tolerances can be argued from: Adam's first updates are nearly
the sign of the gradient, and where that is close to zero two roundings may part.

Needs: torch, numpy, safetensors. The same PyTorch gives the same files, but for `steps_f32_deviation`, which also
depends on the processor.

  tools/make_fixtures.py [--seed 7] [--output tests/data/pytorch]
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

import reference
from reference import LAYERS, Objective, Optimisation, Paper, features, load_weights, total_variation

OUTPUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "pytorch"
CONTENT, STYLE = (37, 45), (29, 51)
POOLINGS = ("max", "avg")
SAMPLES, STRIDE = 1024, 7919
STEPS = 10

# (H, W, in, out): odd sizes, single pixels, rows and columns, channels around 4, 8 and 16.
CONVOLUTIONS = ((5, 7, 3, 8), (1, 1, 4, 5), (1, 9, 2, 3), (8, 1, 5, 4), (13, 6, 9, 17), (2, 3, 16, 8))
# (H, W, C): with floor the odd last row and column are never seen.
POOLED = ((6, 8, 4), (7, 5, 3), (2, 3, 5), (3, 2, 1), (9, 11, 8))
MAPS = ((5, 7, 6), (1, 3, 9), (4, 1, 1))
PICTURES = ((5, 7, 3), (1, 4, 3), (6, 1, 3))


def hwc(tensor):
    """(1, C, H, W) to the (H, W, C), F32, that is stored."""
    return tensor.detach()[0].permute(1, 2, 0).float().contiguous()


def chw(array):
    """A stored (H, W, C) to PyTorch's (1, C, H, W), f64."""
    return array.double().permute(2, 0, 1)[None].contiguous()


def rounded(value):
    """Numbers with ten digits: more than single precision, fewer than another machine's last bits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.10g}")


def save_fixture(folder, name, document, tensors):
    """A document and its tensors, NAME.json and NAME.safetensors, and how large they are."""
    document_file, tensor_file = folder / f"{name}.json", folder / f"{name}.safetensors"
    document_file.write_text(json.dumps(document, indent=1) + "\n")
    save_file(tensors, tensor_file, {"format": "pt"})
    for path in (document_file, tensor_file):
        print(f"{path.stat().st_size:8} {path}")


class Random:
    """Seeded single-precision arrays."""

    def __init__(self, seed):
        self.generator = np.random.default_rng(seed)

    def normal(self, *shape):
        return torch.from_numpy(self.generator.standard_normal(shape, dtype=np.float32))

    def distinct(self, *shape):
        """A shuffle of equally spaced numbers in (-1, 1): no two alike, so that a maximum has one place."""
        count = int(np.prod(shape))
        values = (self.generator.permutation(count) + 0.5) * (2 / count) - 1
        return torch.from_numpy(values.astype(np.float32).reshape(shape))


def pictures(random):
    """The three pictures, (H, W, 3) F32 in [0, 1]: smooth, with grain, start away from content."""
    grainy = lambda picture: (hwc(picture) + 0.03 * random.normal(*hwc(picture).shape)).clamp(0, 1)
    content = grainy(reference.test_picture(*CONTENT, "content"))
    style = grainy(reference.test_picture(*STYLE, "style"))
    wave = hwc(reference.test_picture(*CONTENT, "style")) - 0.5
    start = (content + 0.2 * wave + 0.05 * random.normal(*content.shape)).clamp(0, 1)
    return {"content": content, "style": style, "start": start}


def differentiate(function, *inputs, random):
    """(out, d_out, gradients): a function's value and its answer to a random upstream gradient."""
    inputs = [tensor.requires_grad_() for tensor in inputs]
    out = function(*inputs)
    d_out = random.normal(*out.shape).double()
    return out.detach(), d_out, torch.autograd.grad(out, inputs, d_out)


def ops(random):
    """Tensors `op.case.what` and the list of cases of each op."""
    tensors, cases = {}, {}

    def store(op, case, **arrays):
        cases.setdefault(op, []).append(case)
        for what, array in arrays.items():
            copy = array.detach().float().clone(memory_format=torch.contiguous_format)
            tensors[f"{op}.{case}.{what}"] = copy

    for height, width, inputs, outputs in CONVOLUTIONS:
        x, bias = random.normal(height, width, inputs), random.normal(outputs)
        weight = random.normal(outputs, inputs, 3, 3)
        convolve = lambda x, weight, bias: F.conv2d(x, weight, bias, padding=1)
        out, d_out, (d_x, d_weight, d_bias) = differentiate(
            convolve, chw(x), weight.double(), bias.double(), random=random
        )
        store(
            "conv2d", f"{height}x{width}x{inputs}-{outputs}", x=x, weight=weight, bias=bias,
            out=hwc(out), d_out=hwc(d_out), d_x=hwc(d_x), d_weight=d_weight, d_bias=d_bias,
        )
    for op, pool in (("max_pool2d", F.max_pool2d), ("avg_pool2d", F.avg_pool2d)):
        for shape in POOLED:
            x = random.distinct(*shape)
            out, d_out, (d_x,) = differentiate(lambda x: pool(x, 2), chw(x), random=random)
            store(op, "x".join(map(str, shape)), x=x, out=hwc(out), d_out=hwc(d_out), d_x=hwc(d_x))
    for shape in MAPS:
        x = random.normal(*shape)
        out, d_out, (d_x,) = differentiate(reference.gram, chw(x), random=random)
        store("gram", "x".join(map(str, shape)), x=x, out=out, d_out=d_out, d_x=hwc(d_x))
    mean, std = (torch.tensor(v, dtype=torch.float64).view(1, 3, 1, 1) for v in (reference.MEAN, reference.STD))
    for shape in PICTURES:
        x, case = random.distinct(*shape), "x".join(map(str, shape))
        out, d_out, (d_x,) = differentiate(total_variation, chw(x), random=random)
        store("total_variation", case, x=x, out=out.view(1), d_out=d_out.view(1), d_x=hwc(d_x))
        out, d_out, (d_x,) = differentiate(lambda x: (x - mean) / std, chw(x), random=random)
        store("normalize", case, x=x, out=hwc(out), d_out=hwc(d_out), d_x=hwc(d_x))
    return tensors, cases


def summary(feature_map):
    """Samples of a map, and its shape, mean and root mean square."""
    flat = feature_map[0].permute(1, 2, 0).flatten()
    picks = torch.arange(min(SAMPLES, len(flat))) * STRIDE % len(flat)
    _, channels, height, width = feature_map.shape
    whole = rounded({"mean": flat.mean().item(), "rms": flat.square().mean().sqrt().item()})
    return flat[picks].float(), {"shape": [height, width, channels]} | whole


def layer_samples(content, weights):
    """Samples of every layer as tensors; shape, mean and root mean square of the whole maps as scalars."""
    tensors, scalars = {}, {}
    for pooling in POOLINGS:
        scalars[pooling] = {}
        for name, feature_map in features(content, weights, LAYERS, pooling).items():
            tensors[f"{pooling}.{name}"], scalars[pooling][name] = summary(feature_map)
    return tensors, scalars


def losses_and_gradients(content, style, start, weights):
    """Gradients of each raw loss and of the total with respect to the picture, and the losses themselves."""
    tensors, scalars = {}, {}
    for pooling in POOLINGS:
        picture = start.clone().requires_grad_()
        losses = Objective(content, style, weights, Paper(pooling=pooling))(picture)
        scalars[pooling] = rounded(losses.numbers())
        for name in ("content", "style", "tv", "total"):
            (gradient,) = torch.autograd.grad(getattr(losses, name), picture, retain_graph=True)
            if name != "tv":
                tensors[f"{pooling}.{name}"] = hwc(gradient)
            elif pooling == POOLINGS[0]:
                tensors[name] = hwc(gradient)  # the network has no part in it
    return tensors, scalars


def adam_steps(content, style, weights):
    """The final picture and a line of losses before each step and after the last."""
    run = Optimisation(Objective(content, style, weights), content)
    lines = [run.step().numbers() for _ in range(STEPS)]
    with torch.no_grad():
        lines.append(run.objective(run.picture).numbers())
    return run.picture.detach(), lines


def deviation(single, double):
    """How far the f32 run is from the f64 run: the picture's difference, and the losses' relative one."""
    (picture, lines), (exact_picture, exact_lines) = single, double
    difference = (picture.double() - exact_picture).abs()
    relative = lambda name: max(abs(a[name] - b[name]) / (abs(b[name]) or 1) for a, b in zip(lines, exact_lines))
    return {
        "picture_max": float(f"{difference.max().item():.3g}"),
        "picture_rms": float(f"{difference.square().mean().sqrt().item():.3g}"),
        "losses_relative_max": {name: float(f"{relative(name):.3g}") for name in ("content", "style", "tv", "total")},
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=7, help="of every random number (%(default)s)")
    parser.add_argument("--output", type=Path, default=OUTPUT, metavar="DIRECTORY")
    arguments = parser.parse_args()

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    random = Random(arguments.seed)
    arguments.output.mkdir(parents=True, exist_ok=True)
    save = lambda name, tensors: save_file(tensors, arguments.output / f"{name}.safetensors", {"format": "pt"})

    stored = pictures(random)
    save("pictures", stored)
    content, style, start = (chw(stored[name]) for name in ("content", "style", "start"))
    weights = load_weights(dtype=torch.float64)

    tensors, cases = ops(random)
    save("ops", tensors)
    tensors, layers = layer_samples(content, weights)
    save("features", tensors)
    tensors, losses = losses_and_gradients(content, style, start, weights)
    save("losses", tensors)
    exact = adam_steps(content, style, weights)
    single = adam_steps(content.float(), style.float(), load_weights(dtype=torch.float32))
    save("steps", {"picture": hwc(exact[0])})

    paper = Paper()
    document = {
        "made_by": f"tools/make_fixtures.py --seed {arguments.seed}",
        "torch": torch.__version__,
        "seed": arguments.seed,
        "precision": "float64",
        "weights": reference.WEIGHTS.name,
        "sample_stride": STRIDE,
        "ops": cases,
        "features": layers,
        "losses": losses,
        "paper": {
            "content_weight": paper.content_weight,
            "style_weight": paper.style_weight,
            "tv_weight": paper.tv_weight,
            "learning_rate": paper.learning_rate,
            "iterations": STEPS,
        },
        "steps": [{"iteration": i} | rounded(line) for i, line in enumerate(exact[1], 1)],
        "steps_f32_deviation": deviation(single, exact),
    }
    (arguments.output / "fixtures.json").write_text(json.dumps(document, indent=1) + "\n")
    for path in sorted(arguments.output.iterdir()):
        print(f"{path.stat().st_size:8} {path}")


if __name__ == "__main__":
    main()
