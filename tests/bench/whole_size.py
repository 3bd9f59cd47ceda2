#!/usr/bin/env python3
"""Write a checkpoint of LLaVA-1.5-7B's exact shapes with random weights: 14 GB, in LLaVA's own layout.

    python3 tests/bench/whole_size.py DIR [--layers 32]
    llava-eval ask --model DIR --image x.jpg --prompt "What is this?" --dtype bf16 --max-new-tokens 64

Three safetensors shards in fp16 with their index and the CLIP tower inside; the tokenizer is the demonstration's, so replies
are made of its pieces. It shows that the real size loads and runs, how fast, and in how much memory. Needs numpy alone.
"""
import argparse
import json
import shutil
import struct
from pathlib import Path

import numpy

ROOT = Path(__file__).resolve().parents[2]
HIDDEN, FFN, VOCABULARY, TOWER, TOWER_FFN, PATCHES = 4096, 11008, 32000, 1024, 4096, 576
BLOCK = 1 << 24                                 # numbers drawn once and used again and again


def shapes(layers):
    yield "model.embed_tokens.weight", (VOCABULARY, HIDDEN)
    for i in range(layers):
        at = f"model.layers.{i}."
        for name in "qkvo":
            yield f"{at}self_attn.{name}_proj.weight", (HIDDEN, HIDDEN)
        yield at + "mlp.gate_proj.weight", (FFN, HIDDEN)
        yield at + "mlp.up_proj.weight", (FFN, HIDDEN)
        yield at + "mlp.down_proj.weight", (HIDDEN, FFN)
        yield at + "input_layernorm.weight", (HIDDEN,)
        yield at + "post_attention_layernorm.weight", (HIDDEN,)
    yield "model.norm.weight", (HIDDEN,)
    yield "lm_head.weight", (VOCABULARY, HIDDEN)
    for i, inputs in ((0, TOWER), (2, HIDDEN)):
        yield f"model.mm_projector.{i}.weight", (HIDDEN, inputs)
        yield f"model.mm_projector.{i}.bias", (HIDDEN,)
    pre = "model.vision_tower.vision_tower.vision_model."
    yield pre + "embeddings.class_embedding", (TOWER,)
    yield pre + "embeddings.patch_embedding.weight", (TOWER, 3, 14, 14)
    yield pre + "embeddings.position_embedding.weight", (PATCHES + 1, TOWER)
    norms = ["pre_layrnorm", "post_layernorm"]
    for i in range(24):
        at = f"encoder.layers.{i}."
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield f"{pre}{at}self_attn.{name}.weight", (TOWER, TOWER)
            yield f"{pre}{at}self_attn.{name}.bias", (TOWER,)
        for name, shape in (("fc1", (TOWER_FFN, TOWER)), ("fc2", (TOWER, TOWER_FFN))):
            yield f"{pre}{at}mlp.{name}.weight", shape
            yield f"{pre}{at}mlp.{name}.bias", shape[:1]
        norms += [at + "layer_norm1", at + "layer_norm2"]
    for name in norms:
        yield f"{pre}{name}.weight", (TOWER,)
        yield f"{pre}{name}.bias", (TOWER,)


def write_shard(path, tensors, noise):
    header, offset = {}, 0
    for name, shape in tensors:
        size = 2 * int(numpy.prod(shape))
        header[name] = {"dtype": "F16", "shape": list(shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for name, shape in tensors:
            left, spread = int(numpy.prod(shape)), 1 / numpy.sqrt(numpy.prod(shape[1:]) if len(shape) > 1 else 2500)
            block = (noise * numpy.float32(spread) + ("norm" in name and name.endswith("weight"))).astype(numpy.float16)
            while left:
                f.write(block[:left].tobytes())
                left -= min(left, BLOCK)
    return offset


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("dir", type=Path)
    parser.add_argument("--layers", type=int, default=32)
    args = parser.parse_args()
    args.dir.mkdir(parents=True, exist_ok=True)
    tiny = ROOT / "demo/checkpoints/tiny-mlp"
    config = json.loads((ROOT / "tests/bench/vicuna4.json").read_text())
    config.update(num_hidden_layers=args.layers, unfreeze_mm_vision_tower=True)
    (args.dir / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    shutil.copy(tiny / "tokenizer.model", args.dir)
    noise = numpy.random.default_rng(0).standard_normal(BLOCK, numpy.float32)
    tensors, shards, total = list(shapes(args.layers)), 3, 0
    weight_map = {}
    for i in range(shards):
        part = tensors[i * len(tensors) // shards:(i + 1) * len(tensors) // shards]
        name = f"model-{i + 1:05}-of-{shards:05}.safetensors"
        total += write_shard(args.dir / name, part, noise)
        weight_map.update((tensor, name) for tensor, _ in part)
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    (args.dir / "model.safetensors.index.json").write_text(json.dumps(index))
    print(f"{args.dir}: {total} bytes of weights in {shards} shards")


main()
