#!/usr/bin/env python3
"""Decode and preprocess a JPEG: Pillow (and transformers' CLIPImageProcessor) beside this engine, one core.

    make && python3 tests/bench/compare_pillow.py

The pictures are noise with the spectrum of photographs (amplitude 1/f), 4:2:0, quality 90. Pillow's way is the
reference's: open, convert to RGB, pad to a square, bicubic to 336, then float32 rescaled and normalised. `Pillow
alone` leaves the numpy part away, so it stands for the least that any caller of Pillow pays. Ours is the whole
way. Milliseconds, best and median; times Pillow is by the medians. Needs numpy and Pillow; versions are printed.
"""
import io
import os
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import PIL
from PIL import Image, features

ROOT = Path(__file__).resolve().parent.parent.parent
MEAN, STD = np.float32([0.48145466, 0.4578275, 0.40821073]), np.float32([0.26862954, 0.26130258, 0.27577711])
SIZES = [(640, 480, 200), (3024, 4032, 9)]


def photograph(w, h):
    random = np.random.default_rng(5)
    f = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)[None])
    f[0, 0] = 1
    planes = []
    for _ in range(3):
        n = np.fft.irfft2(np.fft.rfft2(random.standard_normal((h, w))) / f ** 1.1, s=(h, w))
        planes.append(n / n.std())
    planes = [120 + 50 * planes[0] + 18 * p for p in planes]
    out = io.BytesIO()
    Image.fromarray(np.clip(np.stack(planes, -1), 0, 255).astype("uint8")).save(out, "JPEG", quality=90)
    return out.getvalue()


def squared(data):
    image = Image.open(io.BytesIO(data)).convert("RGB")
    n = max(image.size)
    square = Image.new("RGB", (n, n), (122, 116, 104))
    square.paste(image, ((n - image.width) // 2, (n - image.height) // 2))
    return square


def pillow_alone(data):
    return squared(data).resize((336, 336), Image.Resampling.BICUBIC)


def pillow(data):
    u = np.asarray(pillow_alone(data))
    return ((u.astype(np.float64) * (1 / 255)).astype(np.float32) - MEAN) / STD


def processor():
    """transformers' own, where it is installed"""
    try:
        try:
            from transformers import CLIPImageProcessorPil as Processor         # 5 and later
        except ImportError:
            from transformers import CLIPImageProcessor as Processor
        made = Processor(size={"shortest_edge": 336}, crop_size={"height": 336, "width": 336})
    except Exception as why:
        print("transformers left out:", str(why).splitlines()[0])
        return None
    return lambda data: made(squared(data), return_tensors="np")


def timed(function, data, repeats):
    ms = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(data)
        ms.append(1e3 * (time.perf_counter() - start))
    return min(ms), sorted(ms)[repeats // 2]


def main():
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    build = ROOT / "build"
    libraries = "-ljpeg -lpng -lwebp -lsentencepiece -lm".split()
    subprocess.run(["gcc", "-O2", "-I.", "-D_GNU_SOURCE", "-fopenmp", "-c", "tests/bench/bench_preprocess.c", "-o", "build/bench_preprocess.o"],
                   cwd=ROOT, check=True)
    subprocess.run(["g++", "-fopenmp", "-o", "build/bench_preprocess", "build/bench_preprocess.o", "build/libllava.a", *libraries],
                   cwd=ROOT, check=True)
    print("Pillow", PIL.__version__, "libjpeg-turbo", features.version("libjpeg_turbo"), "numpy", np.__version__)
    theirs = {"Pillow alone": pillow_alone, "Pillow and numpy": pillow, "CLIPImageProcessor": processor()}
    for w, h, repeats in SIZES:
        data = photograph(w, h)
        with tempfile.NamedTemporaryFile(suffix=".jpg") as file:
            file.write(data)
            file.flush()
            print(f"{w}x{h}, {len(data)} bytes")
            base = None
            for name, function in theirs.items():
                if function:
                    best, median = timed(function, data, repeats)
                    base = base or median
                    print(f"  {name:20} {best:8.2f} {median:8.2f}")
            ours = subprocess.run([build / "bench_preprocess", file.name, str(repeats)], capture_output=True, text=True, check=True).stdout
            for line in ours.splitlines():
                name, best, median = line.split()
                print(f"  ours, {name:14} {float(best):8.2f} {float(median):8.2f}   {base / float(median):.2f} times Pillow alone")


main()
