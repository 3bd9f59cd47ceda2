"""What transformers computes with random weights, shape by shape: the truth for tests/test_shapes.c.

    pip install torch==2.15.0 transformers==5.24.0 numpy;  python tests/golden/shapes.py [NAME...]

Writes shapes.jsonl, one line per shape: {"name", "slow", "config", "cases": [{"ids", "logits"}], "bf16", "fp16"}. The
config is a config.json; the weights are those that `--random-weights` draws for it (engine/random_weights.c), so
that nothing large is kept: a block of bfloat16 numbers per width, from which each tensor takes a stretch by the
hash of its name. An image slot is -200; the picture is drawn by a formula (picture() here and in the test).
logits are the last position's, in float32. bf16 and fp16 are transformers' own errors: the whole model and its
activations in that type, its logits against its float32 ones, relative L2, root mean square over the cases.

Float32 on the CPU, eager attention, one prompt at a time. The joints are LLaVA's: features of layer
mm_vision_select_layer with or without the class token, the connector, the splice. The llava-hf shapes go through
transformers' LlavaForConditionalGeneration as a whole.
"""
import gc
import json
import sys
from pathlib import Path

import numpy as np
import torch
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM, LlavaConfig, LlavaForConditionalGeneration

HERE = Path(__file__).resolve().parent
PAGE, PAGES = 1 << 15, 61                                    # values, a block
MASK = (1 << 64) - 1
MEAN, STD = np.float32([0.48145466, 0.4578275, 0.40821073]), np.float32([0.26862954, 0.26130258, 0.27577711])
blocks = {}


def block(cols):
    if cols not in blocks:
        z = np.uint64(cols) + np.arange(1, PAGE * PAGES + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ z >> np.uint64(30)) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ z >> np.uint64(27)) * np.uint64(0x94D049BB133111EB)
        z ^= z >> np.uint64(31)
        width = np.float32(2) * np.sqrt(np.float32(3) / np.float32(cols))
        x = ((z >> np.uint64(40)).astype(np.float32) * np.float32(2 ** -24) - np.float32(0.5)) * width
        blocks[cols] = torch.from_numpy(x).bfloat16()
    return blocks[cols]


def weight(name, shape):
    n = int(np.prod(shape))
    if "norm" in name and name.endswith(".weight"):
        return torch.ones(shape)
    b = block(shape[0] if len(shape) == 1 else n // shape[0])
    h = 0xcbf29ce484222325
    for c in name.encode():
        h = (h ^ c) * 0x100000001b3 & MASK
    at = h % PAGES * PAGE
    times = (at + n) // len(b) + 1
    return b.repeat(times)[at:at + n].reshape(shape).float()


def fill(module, our_name):
    state = {n: weight(our_name(n), tuple(t.shape)) for n, t in module.state_dict().items()
             if "position_ids" not in n and "inv_freq" not in n}
    module.load_state_dict(state, strict=False)
    return module.eval()


def picture(side):
    y, x = np.mgrid[0:side, 0:side]
    u = np.stack([7 * x + 3 * y, x * x + 5 * y, x * y + 11 * x + 13 * y], -1).astype("uint8")
    v = ((u.astype(np.float64) * (1 / 255)).astype(np.float32) - MEAN) / STD
    return torch.from_numpy(v).permute(2, 0, 1)[None]


def cast(module, dtype):
    """As from_pretrained(dtype=...) leaves it: the rotary frequencies stay float32."""
    kept = [(m, m.inv_freq) for m in module.modules() if hasattr(m, "inv_freq")]
    module.to(dtype)
    for m, frequencies in kept:
        m.inv_freq = frequencies


def vision_name(n):
    return n if n.startswith("vision_model.") else "vision_model." + n


class Own:
    """LLaVA's own layout, put together from transformers' parts"""

    def __init__(self, c):
        v = c["vision_config"]
        self.c, self.side = c, v["image_size"]
        self.tower = fill(CLIPVisionModel._from_config(CLIPVisionConfig(**v), attn_implementation="eager"), vision_name)
        names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "vocab_size",
                 "rms_norm_eps", "max_position_embeddings", "tie_word_embeddings")
        config = LlamaConfig(**{n: c[n] for n in names if n in c}, rope_parameters={"rope_type": "default", "rope_theta": c.get("rope_theta", 1e4)})
        self.language = fill(LlamaForCausalLM._from_config(config, attn_implementation="eager"), lambda n: n)
        if config.tie_word_embeddings:                       # fill() gave both names one tensor
            self.language.model.embed_tokens.weight.data.copy_(weight("model.embed_tokens.weight", (c["vocab_size"], c["hidden_size"])))
        d, kind = c["hidden_size"], c["mm_projector_type"]
        depth = {"identity": 0, "linear": 1}[kind] if kind in ("identity", "linear") else int(kind[3])
        layers = []
        for i in range(depth):
            layers += [torch.nn.GELU()] if i else []
            layers += [torch.nn.Linear(d if i else v["hidden_size"], d)]
        self.connector = fill(torch.nn.Sequential(*layers), lambda n: "model.mm_projector." + n)

    def to(self, dtype):
        for module in (self.tower, self.language, self.connector):
            cast(module, dtype)

    def logits(self, ids, dtype):
        embed = self.language.get_input_embeddings()
        parts = []
        for i in ids:
            if i == -200:
                hidden = self.tower(picture(self.side).to(dtype), output_hidden_states=True).hidden_states[self.c["mm_vision_select_layer"]]
                if self.c.get("mm_vision_select_feature", "patch") == "patch":
                    hidden = hidden[:, 1:]
                parts.append(self.connector(hidden))
            else:
                parts.append(embed(torch.tensor([[i]])))
        return self.language(inputs_embeds=torch.cat(parts, 1), use_cache=False).logits[0, -1].float()


class HuggingFace:
    """llava-hf's layout: one class of transformers"""
    IMAGE = 1                                                # the id that stands for a patch

    def __init__(self, c):
        v, t = c["vision_config"], dict(c["text_config"])
        self.side, self.patches = v["image_size"], (v["image_size"] // v["patch_size"]) ** 2
        config = LlavaConfig(vision_config=CLIPVisionConfig(**v), text_config=LlamaConfig(**{k: x for k, x in t.items() if k != "model_type"}),
                             image_token_index=self.IMAGE, vision_feature_layer=c["vision_feature_layer"],
                             vision_feature_select_strategy=c["vision_feature_select_strategy"], projector_hidden_act="gelu")
        self.model = LlavaForConditionalGeneration._from_config(config, attn_implementation="eager")
        fill(self.model, self.our_name)

    @staticmethod
    def our_name(n):
        n = n.removeprefix("model.")
        if n.startswith("vision_tower."):
            return vision_name(n.removeprefix("vision_tower."))
        if n.startswith("multi_modal_projector.linear_"):
            return "model.mm_projector." + n.removeprefix("multi_modal_projector.linear_").replace("1.", "0.", 1)
        return n if n.startswith("lm_head") else "model." + n.removeprefix("language_model.")

    def to(self, dtype):
        cast(self.model, dtype)

    def logits(self, ids, dtype):
        spread = [i for x in ids for i in ([self.IMAGE] * self.patches if x == -200 else [x])]
        picked = {"pixel_values": picture(self.side).to(dtype)} if -200 in ids else {}
        return self.model(input_ids=torch.tensor([spread]), use_cache=False, **picked).logits[0, -1].float()


def own(connector="mlp2x_gelu", tower={}, **changes):
    vision = dict(hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4, image_size=70, patch_size=14, hidden_act="quick_gelu",
                  layer_norm_eps=1e-5, projection_dim=16) | tower
    return dict(model_type="llava", architectures=["LlavaLlamaForCausalLM"], hidden_size=96, intermediate_size=200, num_hidden_layers=2,
                num_attention_heads=3, num_key_value_heads=3, vocab_size=199, rms_norm_eps=1e-5, max_position_embeddings=1024,
                tie_word_embeddings=False, mm_projector_type=connector, mm_hidden_size=vision["hidden_size"], mm_vision_select_layer=-2,
                mm_use_im_patch_token=False, vision_config=vision) | changes


LARGE = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=336)
SEVEN = dict(hidden_size=4096, intermediate_size=11008, num_attention_heads=32, num_key_value_heads=32, vocab_size=500)
SHAPES = {
    "linear": own("linear"),
    "mlp2x": own(),
    "mlp3x": own("mlp3x_gelu"),
    "identity": own("identity", hidden_size=64, num_attention_heads=4, num_key_value_heads=4),
    "start-end": own("linear", vocab_size=203, mm_use_im_start_end=True),
    "kv-heads": own(hidden_size=128, num_attention_heads=8, num_key_value_heads=2),
    "eps-theta": own(rms_norm_eps=1e-6, rope_theta=50000.0),
    "tied": own("linear", tie_word_embeddings=True),
    "cls-patch": own(mm_vision_select_feature="cls_patch", mm_vision_select_layer=-1),
    "first-layer": own(mm_vision_select_layer=1),
    "other-side": own(tower=dict(image_size=112, num_hidden_layers=2)),
    "hf": dict(model_type="llava", architectures=["LlavaForConditionalGeneration"], vision_feature_layer=-2, vision_feature_select_strategy="default",
               projector_hidden_act="gelu", text_config=dict(model_type="llama", hidden_size=96, intermediate_size=200, num_hidden_layers=2,
               num_attention_heads=3, num_key_value_heads=3, vocab_size=208, rms_norm_eps=1e-5, max_position_embeddings=1024),
               vision_config=dict(model_type="clip_vision_model", hidden_size=64, intermediate_size=160, num_hidden_layers=3, num_attention_heads=4,
                                  image_size=70, patch_size=14, projection_dim=16)),
    "7b-336": own(tower=LARGE, **SEVEN),
    "7b-224": own("linear", tower=LARGE | dict(image_size=224), **SEVEN | dict(num_hidden_layers=1)),
    "13b-heads": own(hidden_size=5120, intermediate_size=13824, num_hidden_layers=1, num_attention_heads=40, num_key_value_heads=40, vocab_size=500),
}
SLOW = ("7b-336", "7b-224", "13b-heads")


def cases(vocabulary):
    ids = [3 + i * 37 % (vocabulary - 3) for i in range(60)]
    one = [2] + ids[:9] + [-200]                             # the first two share it
    return [one + ids[9:20], one + ids[30:44], [2] + ids[20:50], [2, -200] + ids[50:]]


@torch.no_grad()
def main():
    path = HERE / "shapes.jsonl"
    lines = {json.loads(line)["name"]: line for line in path.read_text().splitlines()} if sys.argv[1:] else {}
    for name, config in SHAPES.items():
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
        model = (HuggingFace if "text_config" in config else Own)(config)
        asked = cases(config.get("vocab_size") or config["text_config"]["vocab_size"])
        exact, errors = [model.logits(ids, torch.float32) for ids in asked], {}
        for label, dtype in (("bf16", torch.bfloat16), ("fp16", torch.float16)):
            model.to(dtype)
            off = [float((model.logits(ids, dtype) - x).norm() / x.norm()) for ids, x in zip(asked, exact)]
            errors[label] = float(f"{np.sqrt(np.mean(np.square(off))):.4g}")
            if label == "bf16":
                model.to(torch.float32)                      # the weights are bf16 numbers: nothing was lost
        line = {"name": name, "slow": name in SLOW, "config": config,
                "cases": [{"ids": ids, "logits": [float(f"{v:.8g}") for v in x.tolist()]} for ids, x in zip(asked, exact)], **errors}
        lines[name] = json.dumps(line)
        print(name, errors, flush=True)
        del model
        gc.collect()
        path.write_text("".join(lines[n] + "\n" for n in SHAPES if n in lines))


main()
