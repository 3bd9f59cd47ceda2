"""Make small image files of every kind and record what Pillow decodes them to.

    pip install pillow==9.5.0 numpy;  python tests/golden/images.py

Writes images.bin, the files end to end, and images.txt, one line per file:
NAME OFFSET BYTES WIDTH HEIGHT HASH, the hash being the first 16 bytes of the SHA-256 of convert("RGB")'s
bytes, or "error" for files that Pillow refuses.  Read by tests/test_image_files.c.
Recorded with Pillow 9.5.0 (libjpeg-turbo 2.1.5, libpng 1.6.39, libwebp 1.3.0).
"""
import hashlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

HERE = Path(__file__).resolve().parent
random = np.random.default_rng(1)
files = []                                                  # (name, bytes)


def picture(w, h, channels):
    """Smooth with some noise, so that JPEG and WebP have something to do."""
    y, x = np.mgrid[0:h, 0:w]
    planes = [(np.sin(x / (3 + c) + c) + np.cos(y / (4 + c))) * 60 + 128 + random.normal(0, 12, (h, w)) for c in range(channels)]
    out = np.clip(np.stack(planes, -1), 0, 255).astype("uint8")
    return out[:, :, 0] if channels == 1 else out


def save(name, image, form, **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    files.append((name, out.getvalue()))


# ---- JPEG

SIZES = [(1, 1), (8, 8), (17, 9), (33, 50), (7, 31), (16, 16)]
for w, h in SIZES:
    rgb = Image.fromarray(picture(w, h, 3))
    for subsampling in (0, 1, 2):
        for progressive in (False, True):
            save(f"jpeg-{w}x{h}-s{subsampling}-{'p' if progressive else 'b'}", rgb, "JPEG", quality=75, subsampling=subsampling,
                 progressive=progressive, optimize=w > 10)
    save(f"jpeg-grey-{w}x{h}", Image.fromarray(picture(w, h, 1)), "JPEG", quality=60)
    save(f"jpeg-cmyk-{w}x{h}", Image.fromarray(picture(w, h, 4), "CMYK"), "JPEG", quality=80)
big = Image.fromarray(picture(61, 43, 3))
exif = Image.Exif()
exif[0x112] = 6
save("jpeg-turned", big, "JPEG", exif=exif.tobytes())
save("jpeg-rgb-q100", big, "JPEG", quality=100, subsampling=0)
save("jpeg-q5", big, "JPEG", quality=5)
save("jpeg-icc", big, "JPEG", icc_profile=b"not a profile" * 20)
base = dict(files)["jpeg-33x50-s2-b"]
files.append(("jpeg-stray-tail", base + b"tail"))
for i, at in enumerate((2, 100, 300, len(base) // 2, len(base) - 200, len(base) - 40)):
    files.append((f"jpeg-cut-{i}", base[:at]))
progressive = dict(files)["jpeg-33x50-s2-p"]
for i, at in enumerate((300, len(progressive) // 2, len(progressive) - 100)):
    files.append((f"jpeg-cut-p{i}", progressive[:at]))


# ---- PNG, by a writer of our own: every colour type and depth, interlaced or not

def chunk(name, data, wrong=False):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data) ^ (1 if wrong else 0))


def pack_rows(samples, depth):
    """samples [h, w, c] as filtered rows."""
    out = b""
    for i, row in enumerate(samples):
        flat = row.reshape(-1)
        if depth == 16:
            raw = flat.astype(">u2").tobytes()
        elif depth == 8:
            raw = flat.astype("uint8").tobytes()
        else:
            bits = "".join(f"{v:0{depth}b}" for v in flat)
            bits += "0" * (-len(bits) % 8)
            raw = bytes(int(bits[k:k + 8], 2) for k in range(0, len(bits), 8))
        unit = max(1, samples.shape[2] * depth // 8)
        if i % 2:                                           # Sub on odd rows
            out += b"\1" + bytes((raw[k] - (raw[k - unit] if k >= unit else 0)) & 255 for k in range(len(raw)))
        else:
            out += b"\0" + raw
    return out


ADAM7 = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]


def png(samples, kind, depth, interlaced=False, extra=b"", wrong=(), end=True, keep=1.0):
    h, w = samples.shape[:2]
    if interlaced:
        raw = b"".join(pack_rows(samples[y::dy, x::dx], depth) for x, y, dx, dy in ADAM7 if w > x and h > y)
    else:
        raw = pack_rows(samples, depth)
    data = zlib.compress(raw, 9)
    data = data[:int(len(data) * keep)]
    head = struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0, interlaced)
    middle = len(data) // 2
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head, "IHDR" in wrong) + extra + chunk(b"IDAT", data[:middle], "IDAT" in wrong) +
            chunk(b"IDAT", data[middle:]) + (chunk(b"IEND", b"") if end else b""))


KINDS = {0: (1, (1, 2, 4, 8, 16)), 2: (3, (8, 16)), 3: (1, (1, 2, 4, 8)), 4: (2, (8, 16)), 6: (4, (8, 16))}
for kind, (channels, depths) in KINDS.items():
    for depth in depths:
        for interlaced in (False, True):
            for w, h in ((13, 9), (3, 1)):
                samples = random.integers(0, 1 << depth, (h, w, channels))
                if kind == 0 and depth == 16:
                    samples[0, :3, 0] = (0, 100, 256)[:min(3, w)]
                extra = b""
                if kind == 3:
                    colours = min(1 << depth, 200)
                    extra = chunk(b"PLTE", random.integers(0, 256, colours * 3, "uint8").tobytes()) + chunk(b"tRNS", bytes([0, 128]))
                files.append((f"png-{kind}-{depth}-{'i' if interlaced else 'n'}-{w}x{h}", png(samples, kind, depth, interlaced, extra)))
short = chunk(b"PLTE", random.integers(0, 256, 12, "uint8").tobytes())
files.append(("png-palette-beyond", png(np.array([[[0], [3], [4], [200]]]), 3, 8, extra=short)))
rgb = random.integers(0, 256, (20, 15, 3))
gamma, srgb = chunk(b"gAMA", struct.pack(">I", 100000)), chunk(b"sRGB", b"\0")
files += [("png-gamma", png(rgb, 2, 8, extra=gamma + srgb)),
          ("png-trns-rgb", png(rgb, 2, 8, extra=chunk(b"tRNS", struct.pack(">HHH", *map(int, rgb[0, 0]))))),
          ("png-trns-grey", png(rgb[:, :, :1], 0, 8, extra=chunk(b"tRNS", struct.pack(">H", int(rgb[0, 0, 0]))))),
          ("png-text", png(rgb, 2, 8, extra=chunk(b"tEXt", b"Title\0x"))),
          ("png-no-end", png(rgb, 2, 8, end=False)),
          ("png-wrong-header", png(rgb, 2, 8, wrong=("IHDR",))),
          ("png-wrong-data-sum", png(rgb, 2, 8, wrong=("IDAT",))),
          ("png-wrong-palette-sum", png(rgb[:, :, :1], 3, 8, extra=chunk(b"PLTE", bytes(768), True))),
          ("png-half-data", png(rgb, 2, 8, keep=0.5)),
          ("png-no-data", png(rgb, 2, 8, keep=0))]                 # (no PLTE at all: Pillow takes greys, libpng refuses)
whole = dict(files)["png-gamma"]
for i, at in enumerate((4, 20, 60, len(whole) // 2, len(whole) - 100)):
    files.append((f"png-cut-{i}", whole[:at]))

# ---- WebP, BMP, GIF

for w, h in SIZES[1:]:
    rgb, rgba = Image.fromarray(picture(w, h, 3)), Image.fromarray(picture(w, h, 4), "RGBA")
    save(f"webp-{w}x{h}", rgb, "WEBP", quality=70)
    save(f"webp-lossless-{w}x{h}", rgb, "WEBP", lossless=True)
    save(f"webp-alpha-{w}x{h}", rgba, "WEBP", lossless=True, exact=True)
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        save(f"bmp-{mode}-{w}x{h}", (rgba if mode == "RGBA" else rgb).convert(mode), "BMP")
    save(f"gif-{w}x{h}", rgb.convert("P", palette=Image.ADAPTIVE, colors=37), "GIF", interlace=w % 2)
    save(f"gif-grey-{w}x{h}", rgb.convert("L"), "GIF", interlace=0)
    save(f"gif-transparent-{w}x{h}", rgb.convert("P", palette=Image.ADAPTIVE, colors=20), "GIF", transparency=3)
webp = dict(files)["webp-33x50"]
files += [("webp-cut", webp[:len(webp) // 2]), ("bmp-cut", dict(files)["bmp-RGB-33x50"][:2000]), ("gif-cut", dict(files)["gif-33x50"][:900])]


def bmp(w, h, bits, rows, compression=0, masks=b""):
    head = struct.pack("<IiiHHIIiiII", 40, w, h, 1, bits, compression, 0, 0, 0, 0, 0) + masks
    return b"BM" + struct.pack("<IHHI", 14 + len(head) + len(rows), 0, 0, 14 + len(head)) + head + rows


words = random.integers(0, 1 << 15, (5, 6)).astype("<u2").tobytes()
files += [("bmp-555", bmp(6, 5, 16, words)),
          ("bmp-565", bmp(6, 5, 16, random.integers(0, 1 << 16, (5, 6)).astype("<u2").tobytes(), 3, struct.pack("<III", 0xf800, 0x7e0, 0x1f))),
          ("bmp-top-down", bmp(4, -3, 24, random.integers(0, 256, 36).astype("uint8").tobytes())),
          ("bmp-32-masks", bmp(4, 3, 32, random.integers(0, 256, 48).astype("uint8").tobytes(), 3, struct.pack("<III", 0xff0000, 0xff00, 0xff)))]

# a GIF whose first picture covers a part of its screen
part = bytearray(dict(files)["gif-grey-7x31"])
part[6:10] = struct.pack("<HH", 20, 40)
at = part.index(b",", 13 + 3 * (2 << (part[10] & 7)))
part[at + 1:at + 5] = struct.pack("<HH", 5, 6)
files.append(("gif-part", bytes(part)))
part[at + 1:at + 5] = struct.pack("<HH", 18, 6)
files.append(("gif-beyond", bytes(part)))
for name, data in (("text", b"hello"), ("empty", b""), ("html", b"<!DOCTYPE html>"), ("tiff", b"II*\0" + bytes(60))):
    files.append((f"none-{name}", data))

lines, offset = [], 0
for name, data in files:
    try:
        image = Image.open(io.BytesIO(data)).convert("RGB")
        what = f"{image.width} {image.height} {hashlib.sha256(image.tobytes()).hexdigest()[:32]}"
    except Exception:
        what = "0 0 error"
    lines.append(f"{name} {offset} {len(data)} {what}\n")
    offset += len(data)
(HERE / "images.bin").write_bytes(b"".join(data for _, data in files))
(HERE / "images.txt").write_text("".join(lines))
print(len(files), "files,", offset, "bytes,", sum(line.endswith("error\n") for line in lines), "errors")
