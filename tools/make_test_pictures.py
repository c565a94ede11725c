#!/usr/bin/env python3
"""Makes tests/data/pictures: one tiny picture for each thing a file can do to its colours.

Pillow writes the files and, through LittleCMS, says what they look like in sRGB;
its answers are recorded in expected.json, which the tests compare with.
The ICC profiles are made here from their definitions, so nothing is borrowed.

    python tools/make_test_pictures.py

Made with Pillow 13.0.0 (LittleCMS 2.19, libjpeg-turbo, libwebp, libtiff). The same
version gives the same bytes.
"""

import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps

OUT = Path(__file__).resolve().parent.parent / "tests" / "data" / "pictures"

D50 = np.array([0.9642, 1.0, 0.8249])
D65 = np.array([0.3127, 0.3290])
P3 = [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060)]
ADOBE = [(0.64, 0.33), (0.21, 0.71), (0.15, 0.06)]
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


# --- ICC profiles (ICC.1:2010) -------------------------------------------------


def fixed(value):
    return struct.pack(">i", round(value * 65536))


def xyz_tag(xyz):
    return b"XYZ \0\0\0\0" + b"".join(fixed(v) for v in xyz)


def gamma_tag(gamma):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"


def srgb_curve_tag():
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + b"".join(
        fixed(v) for v in (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
    )


def text_tag(text):
    text = text.encode("utf-16-be")
    return b"mluc\0\0\0\0" + struct.pack(">II", 1, 12) + b"enUS" + struct.pack(">II", len(text), 28) + text


def profile(device_class, space, pcs, tags, version=0x04200000):
    tags = {"desc": text_tag("test"), "cprt": text_tag("no rights reserved"), "wtpt": xyz_tag(D50), **tags}
    offset, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name.encode() + struct.pack(">II", offset + len(body), len(data))
        body += data + b"\0" * (-len(data) % 4)
    body = struct.pack(">I", len(tags)) + table + body
    header = struct.pack(">I4sI", 128 + len(body), b"\0\0\0\0", version)
    header += device_class + space + pcs + struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp"
    header = header.ljust(68, b"\0") + b"".join(fixed(v) for v in D50)
    return header.ljust(128, b"\0") + body


def xyz_of(xy):
    return np.array([xy[0] / xy[1], 1.0, (1 - xy[0] - xy[1]) / xy[1]])


def rgb_profile(primaries, curve):
    """Primaries and a white of D65, adapted to D50 (Bradford)."""
    columns = np.array([xyz_of(p) for p in primaries]).T
    columns = columns * np.linalg.solve(columns, xyz_of(D65))
    cones = np.diag((BRADFORD @ D50) / (BRADFORD @ xyz_of(D65)))
    columns = np.linalg.inv(BRADFORD) @ cones @ BRADFORD @ columns
    tags = {f"{c}XYZ": xyz_tag(columns[:, i]) for i, c in enumerate("rgb")}
    return profile(b"mntr", b"RGB ", b"XYZ ", tags | {f"{c}TRC": curve for c in "rgb"})


def ink_profile():
    """A press whose inks are not the textbook's, as a 5-point table to Lab; white is the paper's, as profiles have it.

    Version 2, in which no black point is prescribed that readers would correct for or not.
    """
    paper = D50
    inks = np.array([[0.14, 0.22, 0.58], [0.32, 0.17, 0.12], [0.70, 0.76, 0.08], [0.02, 0.02, 0.02]])
    steps = np.linspace(0, 1, 5) ** 0.8  # dot gain
    grid = np.stack(np.meshgrid(steps, steps, steps, steps, indexing="ij"), -1).reshape(-1, 4)
    xyz = paper * np.prod(1 - grid[:, :, None] * (1 - inks / paper), axis=1)
    ratio = np.clip(xyz / D50, 0, 1)
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    lab = np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], -1)
    table = np.round(np.clip((lab + [0, 128, 128]) / [100, 255, 255], 0, 1) * 0xFF00).astype(">u2")
    line = struct.pack(">2H", 0, 65535)
    lut = b"mft2\0\0\0\0" + bytes([4, 3, 5, 0]) + b"".join(fixed(v) for v in np.eye(3).ravel())
    lut += struct.pack(">2H", 2, 2) + line * 4 + table.tobytes() + line * 3
    return profile(b"prtr", b"CMYK", b"Lab ", {"A2B0": lut}, version=0x02400000)


# --- files -----------------------------------------------------------------------


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width, height, depth, kind, rows, *before, after=b""):
    """A PNG of any depth: Pillow cannot write 16-bit colour, nor headers that lie."""
    raw = b"".join(b"\0" + row for row in rows)
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    body = b"".join(before) + chunk(b"IDAT", zlib.compress(raw, 9)) + after + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + header + body


def patches(colours):
    """32 × 24: twelve flat squares of 8 pixels, which no JPEG block straddles."""
    colours = np.array(colours, np.uint8).reshape(3, 4, -1)
    return colours.repeat(8, 0).repeat(8, 1)


RGB = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255), (0, 0, 0), (128, 128, 128),
       (200, 120, 60), (60, 200, 120), (120, 60, 200), (250, 240, 10), (20, 30, 40), (230, 180, 170)]
INK = [(255, 0, 0, 0), (0, 255, 0, 0), (0, 0, 255, 0), (0, 0, 0, 0), (0, 0, 0, 255), (128, 128, 128, 0),
       (60, 120, 200, 20), (200, 60, 120, 40), (120, 200, 60, 60), (10, 20, 230, 0), (180, 170, 160, 100),
       (25, 75, 85, 5)]

expected = {}


def record(name, rgba, within):
    """What the centres of the squares look like; `within` is in steps of 8 bits."""
    rgba = np.asarray(rgba)
    points = [[y, x, *rgba[y, x].tolist()] for y in range(4, rgba.shape[0], 8) for x in range(4, rgba.shape[1], 8)]
    expected[name] = {"height": rgba.shape[0], "width": rgba.shape[1], "within": within, "points": points}


def save(name, image, within=1.0, mode="RGB", **options):
    """Saves, reads back, and records what Pillow sees upright."""
    image.save(OUT / name, **options)
    seen = ImageOps.exif_transpose(Image.open(OUT / name)).convert(mode)
    record(name, seen, within)


def save_tagged(name, image, icc, within, **options):
    """Saves with a profile and records what LittleCMS makes of it."""
    image.save(OUT / name, icc_profile=icc, **options)
    stored = Image.open(OUT / name)
    source = ImageCms.ImageCmsProfile(io.BytesIO(stored.info["icc_profile"]))
    intent = ImageCms.Intent.PERCEPTUAL
    if stored.mode == "L":
        # Pillow has no transform from grey to RGB with sRGB; a grey profile with sRGB's curve is its grey axis.
        grey = profile(b"mntr", b"GRAY", b"XYZ ", {"kTRC": srgb_curve_tag()})
        target = ImageCms.ImageCmsProfile(io.BytesIO(grey))
        seen = ImageCms.profileToProfile(stored, source, target, intent, "L").convert("RGB")
    else:
        seen = ImageCms.profileToProfile(stored, source, ImageCms.createProfile("sRGB"), intent, "RGB")
    record(name, seen, within)


# --- orientation, where writers put it differently ---------------------------------


def exif_of(value, kind=3):
    """EXIF with nothing but an orientation, of TIFF's field type `kind`: 3 is the SHORT it should be, 9 an SLONG."""
    return b"II*\0" + struct.pack("<IHHHI", 8, 1, 274, kind, 1) + struct.pack("<II", value, 0)


def xmp_of(value):
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/">'
        '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        f'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="{value}"/></rdf:RDF></x:xmpmeta>'
    ).encode()


def itxt_of(value):
    return chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp_of(value))


def jpeg_with(image, *segments):
    """A JPEG with metadata segments of our own behind its first marker."""
    out = io.BytesIO()
    image.save(out, "jpeg", quality=95, subsampling=0)
    app1 = b"".join(b"\xff\xe1" + struct.pack(">H", len(s) + 2) + s for s in segments)
    return b"\xff\xd8" + app1 + out.getvalue()[2:]


def save_oddly_turned(image):
    """Files that all ask for a quarter turn to the right, each in its own way; the answer is by definition."""
    exif, xmp = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
    rows = [row.tobytes() for row in np.asarray(image)]
    files = {
        "exif-slong.jpg": jpeg_with(image, exif + exif_of(6, 9)),
        "xmp-orientation.jpg": jpeg_with(image, xmp + xmp_of(6)),
        "exif-over-xmp.jpg": jpeg_with(image, xmp + xmp_of(3), exif + exif_of(6)),
        "exif-late.png": png(*image.size, 8, 2, rows, after=chunk(b"eXIf", exif_of(6))),
        "xmp-orientation.png": png(*image.size, 8, 2, rows, itxt_of(6)),
        "xmp-late.png": png(*image.size, 8, 2, rows, after=itxt_of(6)),
    }
    # Pillow takes one prefix away.
    webps = {"exif-prefix.webp": {"exif": exif + exif + exif_of(6)}, "xmp-orientation.webp": {"xmp": xmp_of(6)}}
    for name, options in webps.items():
        out = io.BytesIO()
        image.save(out, "webp", lossless=True, **options)
        files[name] = out.getvalue()
    for name, data in files.items():
        (OUT / name).write_bytes(data)
        record(name, image.transpose(Image.Transpose.ROTATE_270), 2.0 if name.endswith("jpg") else 1.0)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    rgb, ink = Image.fromarray(patches(RGB)), Image.fromarray(patches(INK), "CMYK")
    grey = rgb.convert("L")

    # Colour models.
    save("rgb.png", rgb)
    save("grey.png", grey)
    save("palette.png", rgb.quantize(12))
    save("bilevel.png", rgb.convert("1", dither=0))
    opacity = Image.fromarray(patches([(v,) for v in range(0, 252, 21)])[..., 0])
    save("alpha.png", Image.merge("RGBA", (*rgb.split(), opacity)), mode="RGBA")
    save("grey-alpha.png", Image.merge("LA", (grey, opacity)), mode="RGBA")
    save("palette-transparent.png", rgb.quantize(12), mode="RGBA", transparency=bytes([0, 128] + [255] * 10))
    # libjpeg-turbo's inverse transform and ours round differently: two steps.
    save("grey.jpg", grey, 2.0, quality=95)
    save("subsampled.jpg", rgb, 3.0, quality=95, subsampling=2)
    save("progressive.jpg", rgb, 2.0, quality=95, subsampling=0, progressive=True)
    whole = (OUT / "subsampled.jpg").read_bytes()
    (OUT / "no-end-marker.jpg").write_bytes(whole[:-2])
    expected["no-end-marker.jpg"] = expected["subsampled.jpg"]
    save("cmyk.jpg", ink, 2.0, quality=95)
    save("cmyk-subsampled.jpg", ink, 3.0, quality=95, subsampling=2)

    # Other formats. Lossy WebP shares chroma among four pixels and leaves upsampling to the decoder.
    save("lossless.webp", rgb, lossless=True)
    save("lossy.webp", rgb, 6.0, quality=95)
    save("lzw.tiff", rgb, compression="tiff_lzw")
    save("colour.bmp", rgb)
    save("colour.ppm", rgb)
    save("grey.pgm", grey)
    second = Image.fromarray(255 - patches(RGB))
    save("animated.gif", rgb.quantize(12), save_all=True, append_images=[second.quantize(12)])

    # Profiles. LittleCMS answers in 8 bits, and saturated colours are steep: two steps.
    p3 = rgb_profile(P3, srgb_curve_tag())
    save_tagged("display-p3.png", rgb, p3, 2.0)
    save_tagged("adobe-rgb.png", rgb, rgb_profile(ADOBE, gamma_tag(563 / 256)), 2.0)
    save_tagged("grey-gamma.png", grey, profile(b"mntr", b"GRAY", b"XYZ ", {"kTRC": gamma_tag(1.8)}), 2.0)
    # Between the table's points LittleCMS interpolates in tetrahedra, we in hypercubes: a step or two more.
    save_tagged("cmyk-profile.jpg", ink, ink_profile(), 3.0, quality=95)
    save("broken-profile.png", rgb, icc_profile=p3[:300])

    # Orientation: the same stored pixels, to be shown in eight ways.
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = orientation
        save(f"orientation-{orientation}.jpg", rgb, 2.0, quality=95, subsampling=0, exif=exif)
    exif[0x0112] = 6
    save("orientation-6.png", rgb, exif=exif)
    save("orientation-6.webp", rgb, lossless=True, exif=exif)
    save("orientation-6.tiff", rgb, tiffinfo={274: 6})
    save_oddly_turned(rgb)

    # Sixteen bits: levels between those of eight.
    levels = patches(RGB).astype(np.uint32) * 251 + 77
    (OUT / "sixteen.png").write_bytes(png(32, 24, 16, 2, [row.astype(">u2").tobytes() for row in levels]))
    record("sixteen.png", levels / 257, 0.001)

    # What must be refused.
    (OUT / "absurd.png").write_bytes(png(60000, 60000, 8, 2, [b"\0" * 48]))
    (OUT / "thin.png").write_bytes(png(1, 64, 8, 2, [b"\x80" * 3] * 64))
    whole = (OUT / "progressive.jpg").read_bytes()
    (OUT / "truncated.jpg").write_bytes(whole[: len(whole) * 3 // 4])
    # Arithmetic coding, said by the header alone: SOF9 in place of SOF2.
    (OUT / "arithmetic.jpg").write_bytes(whole.replace(b"\xff\xc2", b"\xff\xc9"))

    (OUT / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
