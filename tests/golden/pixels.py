"""Record what CLIPImageProcessor makes of pictures of every kind and size, as float32, by hash.

    pip install pillow==9.5.0 transformers==4.37.2 "numpy<2";  python tests/golden/pixels.py

Three sources: all files of images.bin (images.py made them), the files of pixels.bin that are written
here (every kind in awkward sizes, and large ones that compress well), and pictures drawn by a formula,
which the test draws again. Writes pixels.bin and pixels.txt, one line per picture:

    NAME SOURCE OFFSET BYTES SIDE PAD CROP

SOURCE is images.bin, pixels.bin or drawn (then OFFSET and BYTES are width and height). PAD and CROP are
the first 16 bytes of the SHA-256 of the float32 pixels [3,SIDE,SIDE], little-endian, after LLaVA's
expand2square and without; "error" where Pillow refuses the file, "-" where the resized picture would be
too large for this program (not for ours). Read by tests/test_image_files.c.

The pictures are converted to RGB first and handed over as channels-last: the processor would read one that
is 1 or 3 pixels high as channels-first. Recorded with Pillow 9.5.0, transformers 4.37.2, numpy 1.26.4.
"""
import hashlib
import io
from pathlib import Path

import numpy as np
from PIL import Image
from transformers import CLIPImageProcessor

HERE = Path(__file__).resolve().parent
AREA_MAX = 40_000_000
PROCESSORS = {side: CLIPImageProcessor(size={"shortest_edge": side}, crop_size={"height": side, "width": side}) for side in (336, 224)}


def short(data):
    return hashlib.sha256(data).hexdigest()[:32]


def pixels(image, side):
    out = PROCESSORS[side](image, return_tensors="np", input_data_format="channels_last")["pixel_values"][0]
    assert out.dtype == np.float32 and out.shape == (3, side, side)
    return short(out.astype("<f4").tobytes())


def padded(image):
    """LLaVA's expand2square"""
    n, colour = max(image.size), tuple(int(x * 255) for x in PROCESSORS[336].image_mean)
    if image.width == image.height:
        return image
    square = Image.new("RGB", (n, n), colour)
    square.paste(image, ((n - image.width) // 2, (n - image.height) // 2))
    return square


def both(image, side):
    w, h = image.size
    pad = pixels(padded(image), side) if max(w, h) ** 2 <= AREA_MAX else "-"
    crop = pixels(image, side) if side * side * max(w, h) // min(w, h) <= AREA_MAX else "-"
    return f"{pad} {crop}"


def drawn(w, h):
    """As in tests/test_image.c"""
    y, x = np.mgrid[0:h, 0:w]
    return np.stack([7 * x + 3 * y, x * x + 5 * y, x * y + 11 * x + 13 * y], -1).astype("uint8")


def gentle(w, h, channels):
    """Few bytes once compressed, no two rows alike."""
    y, x = np.mgrid[0:h, 0:w]
    planes = [(x * (3 + c) // 5 + y * (2 + c) // 3 + 40 * c + (x // 7 + y // 5) % 2 * 30) % 256 for c in range(channels)]
    return np.stack(planes, -1).astype("uint8")


def main():
    files, lines = [], []

    def save(name, image, form, cut=None, **options):
        out = io.BytesIO()
        image.save(out, form, **options)
        files.append((name, out.getvalue()[:cut]))

    sizes = [(2, 2), (1, 2), (2, 1), (3, 3), (1, 1), (97, 1), (1, 97), (5, 3), (3, 5), (700, 3), (3, 700), (1, 5000), (5000, 1), (337, 335)]
    for w, h in sizes:
        rgb, tag = Image.fromarray(gentle(w, h, 3)), f"{w}x{h}"
        save(f"jpeg-{tag}", rgb, "JPEG", quality=60)
        save(f"jpeg-p-{tag}", rgb, "JPEG", quality=60, progressive=True)
        save(f"jpeg-grey-{tag}", rgb.convert("L"), "JPEG", quality=60)
        save(f"jpeg-cmyk-{tag}", Image.fromarray(gentle(w, h, 4), "CMYK"), "JPEG", quality=50)
        save(f"png-{tag}", rgb, "PNG", optimize=True)
        save(f"png-palette-{tag}", rgb.quantize(16), "PNG", optimize=True, transparency=1)
        save(f"png-rgba-{tag}", Image.fromarray(gentle(w, h, 4), "RGBA"), "PNG", optimize=True)
        save(f"png-la-{tag}", Image.fromarray(gentle(w, h, 2), "LA"), "PNG", optimize=True)
        save(f"png-16-{tag}", Image.fromarray((gentle(w, h, 1)[:, :, 0].astype("int32") * 3).astype("uint16")), "PNG", optimize=True)
        save(f"gif-{tag}", rgb.quantize(32), "GIF")
    for w, h in ((640, 480), (480, 640), (500, 333), (1920, 1080)):
        rgb = Image.fromarray(gentle(w, h, 3))
        save(f"jpeg-{w}x{h}", rgb, "JPEG", quality=12)
        save(f"jpeg-half-{w}x{h}", rgb, "JPEG", cut=4000, quality=12)
        save(f"jpeg-p-half-{w}x{h}", rgb, "JPEG", cut=4000, quality=12, progressive=True)
    rows = np.packbits(np.arange(6200) % 37 < 11)
    bits = np.stack([np.roll(rows, y // 90) for y in range(5000)])
    huge = Image.frombytes("1", (6200, 5000), bits.tobytes())
    save("png-1-huge", huge, "PNG", optimize=True)
    flat = np.stack([np.minimum(np.arange(3024) // 12, 255).astype("uint8")] * 4032)
    save("png-grey-3024x4032", Image.fromarray(flat), "PNG", optimize=True)
    save("jpeg-grey-3024x4032", Image.fromarray(flat), "JPEG", quality=5)

    sources = []
    for line in (HERE / "images.txt").read_text().splitlines():
        name, offset, n, *_ = line.split()
        sources.append((name, "images.bin", int(offset), (HERE / "images.bin").read_bytes()[int(offset):int(offset) + int(n)]))
    offset = 0
    for name, data in files:
        sources.append((name, "pixels.bin", offset, data))
        offset += len(data)
    for i, (name, source, at, data) in enumerate(sources):
        side = (336, 224)[i % 2]
        try:
            image = Image.open(io.BytesIO(data)).convert("RGB")
            what = both(image, side)
        except (OSError, SyntaxError, ValueError):
            what = "error error"
        lines.append(f"{name} {source} {at} {len(data)} {side} {what}\n")
    shapes = [(w, h) for w in range(1, 5) for h in range(1, 5)]
    shapes += [(1, 5000), (5000, 1), (5000, 2), (3, 5000), (335, 336), (336, 337), (337, 336), (336, 672), (672, 336), (671, 337), (223, 225),
               (448, 224), (640, 480), (427, 640), (333, 500), (1, 336), (336, 1), (3, 336), (336, 3), (1023, 1), (1, 1023), (1000, 17), (17, 3000),
               (3024, 4032), (4032, 3024), (6000, 4000), (6300, 30), (1920, 1080), (84, 84), (85, 83), (2000, 1999)]
    for i, (w, h) in enumerate(shapes):
        side = (336, 224)[i % 2]
        lines.append(f"drawn-{w}x{h} drawn {w} {h} {side} {both(Image.fromarray(drawn(w, h)), side)}\n")
    (HERE / "pixels.bin").write_bytes(b"".join(data for _, data in files))
    (HERE / "pixels.txt").write_text("".join(lines))
    print(len(lines), "pictures,", offset, "bytes,", sum("error" in line for line in lines), "errors,", sum(" -" in line for line in lines), "left out")


main()
