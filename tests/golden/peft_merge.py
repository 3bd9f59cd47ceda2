#!/usr/bin/env python3
"""An adapter that peft itself wrote, merged by peft and merged while loading: how far are the logits apart?

    pip install torch transformers peft safetensors;  python tests/golden/peft_merge.py ./llava-eval

tiny-mlp's language model in fp16 gets a random adapter on all of its products (r 8, alpha 16), saved in LLaVA's layout:
adapter_model.safetensors, non_lora_trainables.bin with the connector, config.json. Beside it stand the base, the tower,
and a whole checkpoint with what peft's merge_and_unload() made. On a CPU peft adds in float32 and rounds once, where the
original, on a GPU, rounds each step to fp16 as we do; so they differ by roundings of weights.
"""
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy
import peft
import torch
from safetensors.torch import load_file, save_file
from transformers import LlamaConfig, LlamaForCausalLM

ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "demo/checkpoints/tiny-mlp"
TOWER = "model.vision_tower.vision_tower."
PRODUCTS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
SHAPES = ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
          "vocab_size", "rms_norm_eps", "max_position_embeddings"]


def write(folder, tensors):
    shutil.copytree(TINY, folder, ignore=shutil.ignore_patterns("*.safetensors"))
    save_file({k: v.contiguous() for k, v in tensors.items()}, folder / "model.safetensors", metadata={"format": "pt"})


def make(at):
    config = json.loads((TINY / "config.json").read_text())
    weights = {k: v.half() for k, v in load_file(TINY / "model.safetensors").items()}
    model = LlamaForCausalLM(LlamaConfig(**{k: config[k] for k in SHAPES}, tie_word_embeddings=False)).half()
    model.load_state_dict({k: weights[k] for k in model.state_dict()})
    torch.manual_seed(3)
    adapted = peft.get_peft_model(model, peft.LoraConfig(r=8, lora_alpha=16, target_modules=PRODUCTS, task_type="CAUSAL_LM"))
    for name, tensor in adapted.named_parameters():
        if "lora_" in name:
            tensor.data = torch.randn_like(tensor.data.float()) * 0.08
    adapted.save_pretrained(at / "tiny-lora")
    shutil.copy(TINY / "config.json", at / "tiny-lora")
    torch.save({"base_model.model." + k: v for k, v in weights.items() if "mm_projector" in k},
               at / "tiny-lora/non_lora_trainables.bin")
    write(at / "base", weights)
    write(at / "merged", weights | {k: v.half() for k, v in adapted.merge_and_unload().state_dict().items()})
    tower = at / "tower"
    tower.mkdir()
    save_file({k.removeprefix(TOWER): v.contiguous() for k, v in weights.items() if k.startswith(TOWER)},
              tower / "model.safetensors", metadata={"format": "pt"})
    (tower / "config.json").write_text(json.dumps(config["vision_config"] | {"model_type": "clip_vision_model"}))


def logits(program, at, *model):
    picture = next((ROOT / "demo/mirror").rglob("*.jpg"))
    subprocess.run([program, "ask", "--device", "cpu", "--dtype", "fp32", "--image", picture, "--prompt", "What is this?",
                    "--json", "--logits", at / "logits.npy", *model], check=True, stdout=subprocess.DEVNULL)
    return numpy.load(at / "logits.npy")


def main():
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        make(at)
        ours = logits(sys.argv[1], at, "--model", at / "tiny-lora", "--model-base", at / "base", "--vision-tower", at / "tower")
        theirs = logits(sys.argv[1], at, "--model", at / "merged")
        base = logits(sys.argv[1], at, "--model", at / "base")
    apart = [numpy.linalg.norm(x - theirs) / numpy.linalg.norm(theirs) for x in (ours, base)]
    print(f"peft {peft.__version__}, torch {torch.__version__}: relative L2 of the logits: merged while loading "
          f"{apart[0]:.2g}, without the adapter {apart[1]:.2g}")
    return int(apart[0] > 1e-3 or apart[1] < 0.02)


sys.exit(main())
