"""Write PyTorch files with torch itself, and what is in them, for tests/test_checkpoint.c.

    pip install torch;  python tests/golden/make_checkpoints.py

torch.bin     a dict with what state dicts hold: fp16, bf16, fp32 tensors, a parameter, an int64 buffer, views
              of one storage, a transposed and an expanded tensor, a scalar, an empty tensor, other values
torch.jsonl   one line per tensor: {"name", "type", "shape", "values"}, in row-major order
lora.bin      W (fp16), A (fp32), B (bf16) of an adapter and the merged weight, each step rounded to fp16
legacy.bin    the form before PyTorch 1.6
Recorded with torch 2.15.0.
"""
import json
from collections import OrderedDict
from pathlib import Path

import torch

HERE = Path(__file__).resolve().parent
torch.manual_seed(1)
NAMES = {torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32", torch.int64: "I64", torch.float64: "F64"}


def main():
    base = torch.arange(24, dtype=torch.float32).reshape(2, 3, 4) / 8
    state = OrderedDict(half=torch.randn(3, 5).half(), brain=torch.randn(4, 2).bfloat16(), single=base,
                        parameter=torch.nn.Parameter(torch.randn(2, 2)), ids=torch.arange(6), double=torch.randn(2, dtype=torch.float64),
                        row=base[1], column=base[:, 1, 2], turned=base[0].T, wide=torch.tensor([1.5, 2.5]).half().reshape(2, 1).expand(2, 1),
                        permuted=base.permute(2, 0, 1), scalar=torch.tensor(7.0), empty=torch.zeros(0, 3), step=3, note="text", nothing=None)
    state._metadata = OrderedDict([("", {"version": 1})])
    torch.save(state, HERE / "torch.bin")
    with open(HERE / "torch.jsonl", "w") as out:
        for name, t in state.items():
            if torch.is_tensor(t):
                out.write(json.dumps({"name": name, "type": NAMES[t.dtype], "shape": list(t.shape),
                                      "values": [float(v) for v in t.detach().double().reshape(-1)]}) + "\n")
    torch.save({"a": torch.zeros(2)}, HERE / "legacy.bin", _use_new_zipfile_serialization=False)

    n, k, r, scale = 12, 20, 4, 2.0
    w, a, b = torch.randn(n, k).half(), torch.randn(r, k) * .1, (torch.randn(n, r) * .1).bfloat16()
    product = (b.half().float() @ a.half().float()).half()
    torch.save({"w": w, "a": a, "b": b, "merged": w + product * scale}, HERE / "lora.bin")


main()
