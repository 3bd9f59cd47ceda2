"""What transformers computes with the checkpoints of demo/: the truth for tests/test_model.c.

    pip install -r demo/requirements.txt && python tests/golden/logits.py

writes, next to itself, pictures *.png and for each checkpoint NAME.json (prompts, token ids, greedy
replies) and NAME.npy (float32 logits of each prompt's last position, [cases, vocabulary]). To be run
again whenever the weights in demo/checkpoints change: NAME.json holds their hash, and the test asks.

Versions: torch 2.15.0, transformers 5.23.0, sentencepiece 0.2.3, pillow 13.0.0, numpy 2.4.6. Float32 on
the CPU, eager attention, one prompt at a time, no cache shared between prompts. The only parts that are
not transformers' are the joints, as haotian-liu/LLaVA has them: pictures padded to a square, the prompt
split at "<image>" and each chunk tokenized on its own, features of layer mm_vision_select_layer without
the class token, the connector, the splice. A reply is cut before the first token whose lead over the
next is too small to be asked of another order of summation.
"""
import hashlib
import io
import json
import sys
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).resolve().parent
DEMO = HERE.parent.parent / "demo"
sys.path.insert(0, str(DEMO))
from scenes import Scene  # noqa: E402

SYSTEM = ("A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
          "detailed, and polite answers to the user's questions. USER: ")
SHORT = "\nAnswer the question using a single word or phrase."
LETTER = "\nAnswer with the option's letter from the given choices directly."
PICTURES = {"one": (20000001, 1), "two": (20000002, 2), "wide": (20000018, 1), "large": (20000007, 5)}
CASES = [  # picture, what follows it in the user's turn
    ("one", "Is there a red circle in the image?" + SHORT),
    ("one", "How many shapes are there in the image?" + SHORT),
    ("one", "Describe the image."),
    ("two", "What is the color of the background?" + SHORT),
    ("two", "Which color is the shape?\nA. red\nB. green\nC. blue\nD. yellow" + LETTER),
    ("two", "Describe the image in detail."),
    ("wide", "Is there a star in the image?" + SHORT),
    ("wide", "What is in the middle of the image?"),
    ("large", "What is written in the image?" + SHORT),
    ("large", "List the shapes.\n\n  Left to right:"),
    (None, "Which of these is a color?\nA. red\nB. star" + LETTER),
    (None, "Hello, naïve café! 你好 \U0001F600"),
]
LIMIT, LEAD = 48, 1e-3                  # tokens of a reply; of the largest logit


class Model:
    def __init__(self, folder):
        c = self.config = json.loads((folder / "config.json").read_text())
        weights = {n: w.float() for n, w in load_file(folder / "model.safetensors").items()}
        self.tokens = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
        names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
                 "vocab_size", "rms_norm_eps", "max_position_embeddings", "tie_word_embeddings")
        self.language = LlamaForCausalLM._from_config(
            LlamaConfig(**{n: c[n] for n in names}, rope_parameters={"rope_type": "default", "rope_theta": c["rope_theta"]}),
            attn_implementation="eager").eval()
        self.tower = CLIPVisionModel._from_config(CLIPVisionConfig(**c["vision_config"]), attn_implementation="eager").eval()
        if c["mm_projector_type"] == "linear":
            self.connector = torch.nn.Linear(c["mm_hidden_size"], c["hidden_size"])
        else:
            layers = [torch.nn.Linear(c["mm_hidden_size"], c["hidden_size"])]
            for _ in range(int(c["mm_projector_type"].removeprefix("mlp").removesuffix("x_gelu")) - 1):
                layers += [torch.nn.GELU(), torch.nn.Linear(c["hidden_size"], c["hidden_size"])]
            self.connector = torch.nn.Sequential(*layers)
        self.load(self.language, weights, "")
        self.load(self.connector, weights, "model.mm_projector.")
        self.load(self.tower, weights, "model.vision_tower.vision_tower.")
        p = json.loads((folder / "preprocessor_config.json").read_text())
        self.side, self.mean, self.std = p["size"]["shortest_edge"], np.float32(p["image_mean"]), np.float32(p["image_std"])

    @staticmethod
    def load(module, weights, prefix):
        state = {n: w for n, w in module.state_dict().items() if "position_ids" not in n and "inv_freq" not in n}
        for n in state:
            name = prefix + n
            state[n] = weights[name] if name in weights else weights[prefix + "vision_model." + n]
        assert not module.load_state_dict(state, strict=False).unexpected_keys

    def embed(self, ids):
        return self.language.get_input_embeddings()(torch.tensor([ids], dtype=torch.long))

    def rows_of(self, png):
        im = Image.open(io.BytesIO(png)).convert("RGB")
        n = max(im.size)
        square = Image.new("RGB", (n, n), tuple(int(255 * m) for m in self.mean))
        square.paste(im, ((n - im.width) // 2, (n - im.height) // 2))
        u = np.asarray(square.resize((self.side, self.side), Image.Resampling.BICUBIC), np.float64)
        x = ((u * (1 / 255)).astype(np.float32) - self.mean) / self.std
        hidden = self.tower(torch.from_numpy(x).permute(2, 0, 1)[None], output_hidden_states=True).hidden_states
        return self.connector(hidden[self.config["mm_vision_select_layer"]][:, 1:])

    @torch.no_grad()
    def answer(self, prompt, png):
        """ids (image slot -200), logits of the last position, reply ids, tokens asked for"""
        chunks = [self.tokens.encode(chunk) for chunk in prompt.split("<image>")]
        ids = [1] + chunks[0] + [i for chunk in chunks[1:] for i in [-200] + chunk]
        x = self.embed([1] + chunks[0])
        if png is not None:
            x = torch.cat([x, self.rows_of(png), self.embed(chunks[1])], 1)
        first, reply = None, []
        while True:
            logits = self.language(inputs_embeds=x, use_cache=False).logits[0, -1]
            first = logits if first is None else first
            best = logits[:self.tokens.get_piece_size()].topk(2).values
            if len(reply) == LIMIT or best[0] - best[1] < LEAD * logits.abs().max():
                return ids, first, reply, len(reply)
            token = int(logits.argmax())
            if token == 2:
                return ids, first, reply, len(reply) + 1
            reply.append(token)
            x = torch.cat([x, self.embed([token])], 1)


def main():
    pictures = {name: Scene(seed).file("png", scale) for name, (seed, scale) in PICTURES.items()}
    for name, png in pictures.items():
        (HERE / f"{name}.png").write_bytes(png)
    for folder in sorted((DEMO / "checkpoints").glob("*/")):
        model, cases, logits = Model(folder), [], []
        for picture, text in CASES:
            prompt = SYSTEM + ("<image>\n" if picture else "") + text + " ASSISTANT:"
            ids, first, reply, asked = model.answer(prompt, pictures.get(picture))
            cases.append({"image": picture and f"{picture}.png", "prompt": prompt, "ids": ids, "reply": reply, "max_new_tokens": asked})
            logits.append(first.numpy())
            print(folder.name, picture, repr(text), repr(model.tokens.decode(reply)), f"{asked} tokens")
        sha = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
        head = json.dumps({"checkpoint": f"demo/checkpoints/{folder.name}", "model.safetensors": sha})[:-1]
        body = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
        (HERE / f"{folder.name}.json").write_text(f'{head}, "cases": [\n{body}\n]}}\n')
        np.save(HERE / f"{folder.name}.npy", np.stack(logits).astype("<f4"))


main()
