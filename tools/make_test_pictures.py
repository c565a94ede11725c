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


# --- TIFF, of every kind that Pillow cannot write ------------------------------------

WIDTHS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 7: "B", 12: "d", 16: "Q"}


def tiff(chunks, tags, order="<", big=False):
    """Strips or tiles and the directory that says so; a tag is (type, values), and a tag of the offsets is filled in."""
    long, count = ("Q", "Q") if big else ("I", "H")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if big else 42)
    head += struct.pack(order + "HHQ", 8, 0, 16) if big else struct.pack(order + "I", 8)
    offsets = 324 if 322 in tags else 273
    tags = tags | {offsets: (4, [0] * len(chunks)), offsets + (1 if offsets == 324 else 6): (4, [len(c) for c in chunks])}
    directory_size = struct.calcsize(order + count) + len(tags) * (20 if big else 12) + struct.calcsize(order + long)

    def packed(kind, values):
        return struct.pack(f"{order}{len(values)}{WIDTHS[kind]}", *values)

    def lengthy(kind, values):
        data = packed(kind, values)
        return data if len(data) > struct.calcsize(long) else b""

    start = len(head) + directory_size + sum(len(lengthy(*tag)) for tag in tags.values())
    tags[offsets] = (4, [start + sum(len(c) for c in chunks[:i]) for i in range(len(chunks))])
    directory, after = struct.pack(order + count, len(tags)), b""
    for number, (kind, values) in sorted(tags.items()):
        data, held = packed(kind, values), len(values) // (2 if kind == 5 else 1)
        directory += struct.pack(order + "HH" + long, number, kind, held)
        if lengthy(kind, values):
            directory += struct.pack(order + long, len(head) + directory_size + len(after))
            after += data
        else:
            directory += data.ljust(struct.calcsize(long), b"\0")
    return head + directory + struct.pack(order + long, 0) + after + b"".join(chunks)


def picture_tags(pixels, bits, photometric, **others):
    """What every directory has; `pixels` is height × width × samples."""
    height, width, samples = pixels.shape
    return {256: (4, [width]), 257: (4, [height]), 258: (3, [bits] * samples), 262: (3, [photometric]),
            277: (3, [samples])} | {int(tag[1:]): value for tag, value in others.items()}


def packed_rows(pixels, bits):
    """Rows of samples of few bits, the first in the highest, each row from a byte of its own."""
    rows = pixels.reshape(pixels.shape[0], -1)
    digits = (rows[..., None] >> np.arange(bits - 1, -1, -1)) & 1
    return np.packbits(digits.reshape(rows.shape[0], -1).astype(np.uint8), axis=1)


def reversed_bits(data):
    return np.packbits(np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")).tobytes()


def lzw(data):
    """LZW as libtiff writes it."""
    out = io.BytesIO()
    Image.frombytes("L", (len(data), 1), data).save(out, "tiff", compression="tiff_lzw")
    written = Image.open(out)
    (offset,), (length,) = written.tag_v2[273], written.tag_v2[279]
    return out.getvalue()[offset : offset + length]


def save_tiff(name, chunks, tags, seen, within=1.0, **options):
    """Writes a file and records what it shows by definition: RGB or RGBA in steps of 8 bits."""
    (OUT / name).write_bytes(tiff(chunks, tags, **options))
    record(name, seen, within)


def save_tiff_greys():
    levels = (np.arange(12).reshape(3, 4).repeat(8, 0).repeat(8, 1))[..., None]
    for bits in (1, 2, 4, 6, 12):
        pixels = levels * 977 % (1 << bits)
        seen = (pixels / ((1 << bits) - 1) * 255).repeat(3, 2)
        save_tiff(f"grey-{bits}.tiff", [packed_rows(pixels, bits).tobytes()], picture_tags(pixels, bits, 1), seen, 0.01)
    pixels = levels * 977 % 16
    packed = packed_rows(pixels, 4).tobytes()
    white_is_zero = (255 - pixels * 17).repeat(3, 2)
    save_tiff("white-is-zero-4.tiff", [packed], picture_tags(pixels, 4, 0), white_is_zero, 0.01)
    tags = picture_tags(pixels, 4, 0, t266=(3, [2]), t259=(3, [5]))
    save_tiff("fill-order-2-lzw.tiff", [reversed_bits(lzw(packed))], tags, white_is_zero, 0.01)
    # Half-precision floats, last byte last, as differences byte by byte with the first bytes first.
    halves = np.linspace(0, 1, 12).reshape(3, 4).repeat(8, 0).repeat(8, 1).astype(">f2")
    apart = np.frombuffer(halves.tobytes(), np.uint8).reshape(24, 32, 2).transpose(0, 2, 1).reshape(24, 64)
    apart = np.diff(apart, axis=1, prepend=np.uint8(0))
    tags = picture_tags(halves[..., None], 16, 1, t259=(3, [8]), t317=(3, [3]), t339=(3, [3]))
    seen = halves.astype(float)[..., None].repeat(3, 2) * 255
    save_tiff("float-16.tiff", [zlib.compress(apart.tobytes(), 9)], tags, seen, 0.01, order=">")


def save_tiff_opacity(rgb, grey):
    steps = np.array([255, 250, 240, 230, 220, 210, 200, 190, 180, 170, 160, 0]).reshape(3, 4)
    alpha = steps.repeat(8, 0).repeat(8, 1)[..., None]
    # In sixteen bits nothing that can be seen is lost by multiplication.
    multiplied = np.round(rgb / 255 * alpha / 255 * 65535)
    pixels = np.concatenate([multiplied, alpha * 257], 2).astype(int)
    seen = np.concatenate([np.where(alpha > 0, rgb, 0), alpha], 2)
    data = pixels.astype("<u2").tobytes()
    save_tiff("associated-alpha.tiff", [data], picture_tags(pixels, 16, 2, t338=(3, [1])), seen, 0.01)
    pixels = np.concatenate([rgb, alpha], 2).astype(np.uint8)
    opaque, clear = rgb, np.concatenate([rgb, alpha], 2)
    for name, extra, seen in [("unspecified", {"t338": (3, [0])}, opaque), ("unassociated", {"t338": (3, [2])}, clear),
                              ("unmentioned", {}, clear)]:
        tags = picture_tags(pixels, 8, 2, **extra)
        save_tiff(f"{name}-extra.tiff", [pixels.tobytes()], tags, seen, 0.01)
    # Opacity behind another extra sample, and differences between pixels of five.
    pixels = np.concatenate([rgb, 255 - alpha, alpha], 2).astype(np.uint8)
    tags = picture_tags(pixels, 8, 2, t259=(3, [5]), t317=(3, [2]), t338=(3, [0, 2]))
    differences = np.diff(pixels, axis=1, prepend=np.uint8(0))
    save_tiff("second-extra.tiff", [lzw(differences.tobytes())], tags, clear, 0.01)
    pixels = np.concatenate([grey[..., None], alpha], 2).astype(np.uint8)
    seen = np.concatenate([grey[..., None].repeat(3, 2), alpha], 2)
    save_tiff("grey-alpha.tiff", [pixels.tobytes()], picture_tags(pixels, 8, 1, t338=(3, [2])), seen, 0.01)


def save_tiff_layouts(rgb):
    tags = picture_tags(rgb, 8, 2, t278=(3, [10]))
    strips = [rgb[y : y + 10].tobytes() for y in range(0, 24, 10)]
    save_tiff("bigtiff.tiff", strips, tags, rgb, 0.01, big=True)
    wide = [(rgb[y : y + 10].astype(">u2") * 257).astype(">u2").tobytes() for y in range(0, 24, 10)]
    save_tiff("bigtiff-16.tiff", wide, tags | {258: (3, [16] * 3)}, rgb, 0.01, big=True, order=">")
    reverse = picture_tags(rgb, 8, 2, t266=(3, [2]))
    save_tiff("fill-order-2.tiff", [reversed_bits(rgb.tobytes())], reverse, rgb, 0.01)
    planes = [plane.tobytes() for plane in rgb.transpose(2, 0, 1)]
    save_tiff("planar.tiff", planes, picture_tags(rgb, 8, 2, t284=(3, [2])), rgb, 0.01)
    # Tiles of 16 × 16 reach beyond 24 rows.
    padded = np.pad(rgb, ((0, 8), (0, 0), (0, 0)))
    tiles = [lzw(padded[y : y + 16, x : x + 16].tobytes()) for y in (0, 16) for x in (0, 16)]
    tags = picture_tags(rgb, 8, 2, t259=(3, [5]), t322=(3, [16]), t323=(3, [16]))
    save_tiff("tiled.tiff", tiles, tags, rgb, 0.01)


def save_tiff_colours(rgb, image, ink):
    indices = np.arange(12).reshape(3, 4).repeat(8, 0).repeat(8, 1)[..., None]
    entries = np.pad(np.array(RGB), ((0, 4), (0, 0))).T
    for name, scale in [("palette-4.tiff", 257), ("palette-of-8-bits.tiff", 1)]:
        tags = picture_tags(indices, 4, 3, t320=(3, (entries * scale).ravel().tolist()))
        save_tiff(name, [packed_rows(indices, 4).tobytes()], tags, rgb, 0.01)
    # Pillow fills in the upper eight bits.
    save("palette.tiff", image.quantize(12), 0.01)
    # The inks' samples come through; Pillow's own conversion is the plain formula too.
    save("cmyk.tiff", ink, 2.0)
    save_tagged("cmyk-profile.tiff", ink, ink_profile(), 3.0)

    ycbcr = np.asarray(image.convert("YCbCr"))
    save_tiff("ycbcr.tiff", [ycbcr.tobytes()], picture_tags(ycbcr, 8, 6, t530=(3, [1, 1])), rgb, 2.0)
    # Four pixels share their colour, which is the default, under levels of black and white as in video.
    video = np.round(ycbcr * np.array([219, 224, 224]) / 255 + np.array([16, 16, 16])).astype(np.uint8)
    bright = video[..., 0].reshape(12, 2, 16, 2).transpose(0, 2, 1, 3).reshape(12, 16, 4)
    blocks = np.concatenate([bright, video[::2, ::2, 1:]], 2)
    levels = (5, [16, 1, 235, 1, 128, 1, 240, 1, 128, 1, 240, 1])
    tags = picture_tags(ycbcr, 8, 6, t532=levels, t259=(3, [8]))
    save_tiff("ycbcr-subsampled.tiff", [zlib.compress(blocks.tobytes(), 9)], tags, rgb, 3.0)
    save("ycbcr-jpeg.tiff", image, 3.0, compression="jpeg", quality=95)
    save("group4.tiff", image.convert("1", dither=0), compression="group4")
    written = Image.open(OUT / "group4.tiff")
    strip = (OUT / "group4.tiff").read_bytes()[written.tag_v2[273][0] :][: written.tag_v2[279][0]]
    tags = picture_tags(np.zeros((24, 32, 1)), 1, written.tag_v2[262], t259=(3, [4]), t266=(3, [2]))
    save_tiff("fill-order-2-group4.tiff", [reversed_bits(strip)], tags, written.convert("RGB"), 0.01)
    save("packbits.tiff", image, compression="packbits")


def save_tiffs(image, ink):
    rgb, grey = np.asarray(image), np.asarray(image.convert("L"))
    save_tiff_greys()
    save_tiff_opacity(rgb, grey)
    save_tiff_layouts(rgb)
    save_tiff_colours(rgb, image, ink)
    # XMP alone says that it is to be turned.
    tags = picture_tags(rgb, 8, 2, t700=(1, xmp_of(6)))
    save_tiff("xmp-orientation.tiff", [rgb.tobytes()], tags, np.rot90(rgb, -1), 0.01)
    # A tag of text whose length nobody has room for, where the width is looked for and where the profile is.
    whole = tiff([rgb.tobytes()], picture_tags(rgb, 8, 2, t34675=(7, [0] * 8)))
    for name, tag in [("text-for-width.tiff", 256), ("text-for-profile.tiff", 34675)]:
        at = whole.index(struct.pack("<H", tag), 8)
        (OUT / name).write_bytes(whole[: at + 2] + struct.pack("<HI", 2, 0x7FFFFFFF) + whole[at + 8 :])
    record("text-for-profile.tiff", rgb, 0.01)
    # Sizes that nobody has room for, of the picture and of a tile.
    deflated, huge = {259: (3, [8])}, {256: (4, [60000]), 257: (4, [60000])}
    (OUT / "absurd.tiff").write_bytes(tiff([b""], picture_tags(rgb, 8, 2) | deflated | huge))
    tile = {322: (4, [60000]), 323: (4, [60000])}
    (OUT / "absurd-tile.tiff").write_bytes(tiff([b""], picture_tags(rgb, 8, 2) | deflated | tile))


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

    save_tiffs(rgb, ink)

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
