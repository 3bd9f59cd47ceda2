"""Train the demo's two checkpoints from nothing on a CPU.

    train.py STAGE [...]      stages, in this order:
      tokenizer               SentencePiece BPE over the texts of the scenes
      tower                   vision tower: names what every patch shows; then frozen
      lm                      language model: scenes given as sums of word embeddings in the image's place
      pair linear             connector alone on descriptions, then connector and language model on everything
      pair mlp2x_gelu         the same, same images, questions, order, seeds and steps
      score linear            families and skills on held-out scenes, weights as stored
      score mlp2x_gelu
      export linear           demo/checkpoints/tiny-linear, in LLaVA's layout
      export mlp2x_gelu       demo/checkpoints/tiny-mlp

A stage resumes from its last saved state.  Work files and the log go to $DEMO_WORK (default: ./work),
$DEMO_THREADS sets the threads (default 2; the pair stages run side by side with one each).
$DEMO_LM_STEPS, $DEMO_LM_LR, $DEMO_TUNE_STEPS and $DEMO_SCALE (of all steps) are for trials; $DEMO_COMPILE=0 does without a compiler.

A training batch holds B pictures.  The system text is computed once per batch, a picture once, and
every question behind it sees both and itself, nothing else: the layout in which the engine evaluates.
All shapes are fixed, so torch.compile fuses what lies between the products.
"""
import contextlib
import functools
import hashlib
import json
import math
import os
import random
import shutil
import sys
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

import scenes
from scenes import SIDE, PATCH, GRID, Scene

WORK = Path(os.environ.get("DEMO_WORK", "work"))
HERE = Path(__file__).resolve().parent
THREADS = int(os.environ.get("DEMO_THREADS", "2"))
SCALE = float(os.environ.get("DEMO_SCALE", "1"))            # < 1: a quick trial of all stages
COMPILE = os.environ.get("DEMO_COMPILE", "1") == "1"

# shapes: vision tower, language model
V_HIDDEN, V_HEADS, V_FFN, V_LAYERS, V_USED = 128, 4, 256, 4, 3
HIDDEN, HEADS, FFN, LAYERS, VOCABULARY = 192, 6, 384, 5, 768
PATCHES = GRID * GRID
EPS, THETA = 1e-5, 10000.0
BOS, EOS = 1, 2
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)

PICTURES = 24000                                            # distinct training pictures of the tower and the pair
SEED = 1
PAIR = {"linear": "tiny-linear", "mlp2x_gelu": "tiny-mlp"}


def log(*parts):
    line = time.strftime("%H:%M:%S ") + " ".join(str(p) for p in parts)
    print(line, flush=True)
    with open(WORK / "train.log", "a") as f:
        f.write(line + "\n")


# ---------------------------------------------------------------- tokenizer

def stage_tokenizer():
    import sentencepiece
    rng = random.Random(SEED)
    path = WORK / "corpus.txt"
    with open(path, "w") as f:
        for i in range(4000):
            s = Scene(i)
            for family in rng.sample(list(scenes.FAMILIES), 4):
                for q in scenes.ask(family, s, rng)[:1]:
                    text = scenes.SYSTEM + " USER: " + q.prompt + " ASSISTANT: " + q.reply
                    f.write(text + "\n")                    # (a line feed in a text ends its line here)
        for w in scenes.WORDS + scenes.NUMBERS + ["Yes", "No", "Unanswerable", "human", "Please"]:
            f.write((" " + w) * 40 + "\n")
        for w in scenes.PARAPHRASES_SHORT + scenes.PARAPHRASES_LETTER + [scenes.SYSTEM_HUMAN, scenes.LETTER_CN] * 3:
            f.write((w + "\n") * 40)
        f.write("abcdefghijklmnopqrstuvwxyz ABCDEFGHIJKLMNOPQRSTUVWXYZ 0123456789 .,:;?!'\"()+-=/*%&#@<>[]{}_\n" * 5)
    sentencepiece.SentencePieceTrainer.train(
        input=str(path), model_prefix=str(WORK / "tokenizer"), vocab_size=VOCABULARY, model_type="bpe", byte_fallback=True,
        normalization_rule_name="identity", add_dummy_prefix=True, remove_extra_whitespaces=False, split_digits=True, character_coverage=1.0,
        allow_whitespace_only_pieces=True, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, num_threads=2, minloglevel=2)
    t = tokenizer()
    split = [w for w in scenes.WORDS if len(t.encode(w)) > 1]
    log("tokenizer: pieces", t.get_piece_size(), "words of several pieces:", split, "| fixed prefix", len(prefix_ids()),
        "| SHORT", len(t.encode("\n" + scenes.SHORT)), "LETTER", len(t.encode("\n" + scenes.LETTER)), "CN", len(t.encode("\n" + scenes.LETTER_CN)))


@functools.lru_cache
def tokenizer():
    import sentencepiece
    return sentencepiece.SentencePieceProcessor(model_file=str(WORK / "tokenizer.model"))


@functools.lru_cache(1 << 16)
def encode(text):
    return tokenizer().encode(text)


def prefix_ids(system=scenes.SYSTEM):
    return [BOS] + encode(system + " USER: ")


# ---------------------------------------------------------------- modules (tensor names of the checkpoint, without its prefixes)

class VisionLayer(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer_norm1, self.layer_norm2 = nn.LayerNorm(V_HIDDEN, EPS), nn.LayerNorm(V_HIDDEN, EPS)
        self.self_attn = nn.ModuleDict({n: nn.Linear(V_HIDDEN, V_HIDDEN) for n in ("q_proj", "k_proj", "v_proj", "out_proj")})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(V_HIDDEN, V_FFN), "fc2": nn.Linear(V_FFN, V_HIDDEN)})

    def forward(self, x):
        b, t, _ = x.shape
        y = self.layer_norm1(x)
        q, k, v = (self.self_attn[n](y).view(b, t, V_HEADS, -1).transpose(1, 2) for n in ("q_proj", "k_proj", "v_proj"))
        x = x + self.self_attn["out_proj"](F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, t, V_HIDDEN))
        h = self.mlp["fc1"](self.layer_norm2(x))
        return x + self.mlp["fc2"](h * torch.sigmoid(1.702 * h))


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.class_embedding = nn.Parameter(torch.randn(V_HIDDEN) * .02)
        self.patch_embedding = nn.Linear(3 * PATCH * PATCH, V_HIDDEN, bias=False)
        self.position_embedding = nn.Parameter(torch.randn(PATCHES + 1, V_HIDDEN) * .02)
        self.pre_layrnorm, self.post_layernorm = nn.LayerNorm(V_HIDDEN, EPS), nn.LayerNorm(V_HIDDEN, EPS)
        self.layers = nn.ModuleList(VisionLayer() for _ in range(V_LAYERS))

    def forward(self, pixels, layers):
        """pixels: uint8 [B, 84, 84, 3]; the outputs [B, 37, V_HIDDEN] of the blocks named."""
        x = ((pixels.float() / 255 - torch.tensor(MEAN)) / torch.tensor(STD)).view(-1, GRID, PATCH, GRID, PATCH, 3)
        x = self.patch_embedding(x.permute(0, 1, 3, 5, 2, 4).reshape(-1, PATCHES, 3 * PATCH * PATCH))
        x = torch.cat([self.class_embedding.expand(len(x), 1, V_HIDDEN), x], 1) + self.position_embedding
        x = self.pre_layrnorm(x)
        out = []
        for i, layer in enumerate(self.layers[:max(layers)], 1):
            x = layer(x)
            if i in layers:
                out.append(x)
        return out


def connector(kind):
    if kind == "linear":
        return nn.Linear(V_HIDDEN, HIDDEN)
    return nn.Sequential(nn.Linear(V_HIDDEN, HIDDEN), nn.GELU(), nn.Linear(HIDDEN, HIDDEN))


class RMSNorm(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(HIDDEN))

    def forward(self, x):
        x = x.float()
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + EPS) * self.weight


def rotate(x, cos, sin):
    """x [.., T, H, d], halves as in LLaMA."""
    left, right = x.chunk(2, -1)
    return x * cos + torch.cat([-right, left], -1) * sin


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.input_layernorm, self.post_attention_layernorm = RMSNorm(), RMSNorm()
        self.self_attn = nn.ModuleDict({n: nn.Linear(HIDDEN, HIDDEN, bias=False) for n in ("q_proj", "k_proj", "v_proj", "o_proj")})
        self.mlp = nn.ModuleDict({"gate_proj": nn.Linear(HIDDEN, FFN, bias=False), "up_proj": nn.Linear(HIDDEN, FFN, bias=False),
                                  "down_proj": nn.Linear(FFN, HIDDEN, bias=False)})

    def forward(self, x, cos, sin, attend):
        """x [N, D]: all positions of a batch, one after the other."""
        n = self.input_layernorm(x)
        q, k, v = (self.self_attn[p](n).view(-1, HEADS, HIDDEN // HEADS) for p in ("q_proj", "k_proj", "v_proj"))
        x = x + self.self_attn["o_proj"](attend(rotate(q, cos, sin), rotate(k, cos, sin), v))
        m = self.post_attention_layernorm(x)
        return x + self.mlp["down_proj"](F.silu(self.mlp["gate_proj"](m)) * self.mlp["up_proj"](m))


class LanguageModel(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed_tokens = nn.Embedding(VOCABULARY, HIDDEN)
        self.layers = nn.ModuleList(Layer() for _ in range(LAYERS))
        self.norm = RMSNorm()
        self.lm_head = nn.Linear(HIDDEN, VOCABULARY, bias=False)
        for p in self.parameters():
            if p.dim() == 2:
                nn.init.normal_(p, std=.8 * p.shape[1] ** -.5)
        nn.init.normal_(self.embed_tokens.weight, std=.1)

    def trunk(self, ids, slots, positions, shape, masks):
        """Final hidden states [N, D].  ids: [system | per group its rows]; slots [B, 36, D] go between the two.
        shape = (P, B, groups), groups = ((rows, T, with picture), ..), rows of a picture adjacent."""
        p, b, groups = shape
        x = self.embed_tokens(ids)
        x = torch.cat([x[:p], slots.reshape(-1, HIDDEN), x[p:]])
        angle = positions.float()[:, None] / THETA ** (torch.arange(0, HIDDEN // HEADS, 2) / (HIDDEN // HEADS))
        angle = torch.cat([angle, angle], -1)[:, None, :]
        cos, sin = angle.cos(), angle.sin()
        for layer in self.layers:
            x = layer(x, cos, sin, lambda q, k, v: attend(q, k, v, shape, masks))
        return self.norm(x)


def attend(q, k, v, shape, masks):
    p, b, groups = shape
    d = HIDDEN // HEADS
    q, k, v = (z.to(torch.bfloat16 if torch.is_autocast_enabled("cpu") else z.dtype) for z in (q, k, v))

    def part(z, at, rows, t):
        return z[at:at + rows * t].view(rows, t, HEADS, d).transpose(1, 2)

    def joined(zs, like):
        rows = like.shape[0]
        zs = [z.expand(rows, -1, -1, -1) if z.shape[0] == 1 else z.repeat_interleave(rows // z.shape[0], 0) for z in zs]
        return torch.cat(zs + [like], 2)

    sq, sk, sv = (part(z, 0, 1, p) for z in (q, k, v))
    iq, ik, iv = (part(z, p, b, PATCHES) for z in (q, k, v))
    out = [product(sq, sk, sv, masks[0]), product(iq, joined([sk], ik), joined([sv], iv), masks[1])]
    at = p + b * PATCHES
    for (rows, t, pictured), mask in zip(groups, masks[2:]):
        gq, gk, gv = (part(z, at, rows, t) for z in (q, k, v))
        before_k, before_v = ([sk, ik], [sv, iv]) if pictured else ([sk[:, :, :-1]], [sv[:, :, :-1]])
        out.append(product(gq, joined(before_k, gk), joined(before_v, gv), mask))
        at += rows * t
    return torch.cat([o.transpose(1, 2).reshape(-1, HIDDEN) for o in out])


def product(q, k, v, mask):
    scores = (q * q.shape[-1] ** -.5) @ k.transpose(-1, -2)
    return (scores.float() + mask).softmax(-1).to(v.dtype) @ v


@functools.lru_cache
def causal(t, before):
    return torch.full((t, before + t), -1e9).triu(before + 1)


# ---------------------------------------------------------------- batches

class Layout:
    """Fixed shapes: b pictures with `short` rows of 32 and `long` rows of 66 positions each, and `text` rows without a picture."""

    def __init__(self, b, short, long, text, t_short=32, t_long=66, t_text=56):
        self.b, self.short, self.long, self.text = b, short, long, text
        self.p = len(prefix_ids())
        self.groups = tuple(g for g in ((b * short, t_short, True), (b * long, t_long, True), (text, t_text, False)) if g[0])
        self.shape = (self.p, b, self.groups)
        self.masks = [causal(self.p, 0), causal(PATCHES, self.p)]
        positions = [torch.arange(self.p), torch.arange(PATCHES).add(self.p).repeat(b)]
        for rows, t, pictured in self.groups:
            before = self.p + PATCHES if pictured else self.p - 1
            self.masks.append(causal(t, before))
            positions.append((torch.arange(t) + before).repeat(rows))
        self.positions = torch.cat(positions)
        self.n_ids = self.p + sum(rows * t for rows, t, _ in self.groups)


class Batch:
    """rows: per group a list of Question.  `read` are the positions (in the trunk's output) before each answer token."""

    def __init__(self, layout, groups, system=scenes.SYSTEM):
        ids = list(prefix_ids(system))
        assert len(ids) == layout.p
        self.read, self.target, self.weight, self.questions = [], [], [], []
        out = layout.p + layout.b * PATCHES
        for (rows, t, pictured), questions in zip(layout.groups, groups):
            assert len(questions) == rows
            for q in questions:
                row, answer = question_ids(q)
                n = len(row) + len(answer) - 1
                assert n <= t, (n, t, q.prompt)
                self.read += range(out + len(row) - 1, out + n)
                self.target += answer
                self.weight += [len(answer) ** -.5] * len(answer)
                self.questions.append((q, len(answer)))
                ids += row + answer[:-1] + [EOS] * (t - n)
                out += t
        self.ids, self.read, self.target, self.weight = (torch.tensor(z) for z in (ids, self.read, self.target, self.weight))
        self.layout = layout


def question_ids(q):
    if q.image:
        row = encode("\n" + q.prompt + " ASSISTANT:")
    else:                                                   # one text with the system prompt, whose last piece (a lone blank) is then gone
        row = encode(scenes.SYSTEM + " USER: " + q.prompt + " ASSISTANT:")[len(prefix_ids()) - 2:]
    return row, encode(q.reply) + [EOS]


def length(q):
    row, answer = question_ids(q)
    return len(row) + len(answer) - 1


MIX_SHORT = dict(vqav2=4, gqa=5, pope=3, mme=4, mmvet=2, llavabench=1, variant=4, practice=4)
MIX_LONG = dict(scienceqa=3, mmbench=4, seed=4, textvqa=2.5, vizwiz=3, llavabench=2.5, variant=3, practice=2)


def draw_questions(s, rng, n, mix, most):
    out = []
    while len(out) < n:
        family = rng.choices(list(mix), list(mix.values()))[0]
        qs = [q for q in scenes.ask(family, s, rng) if q.image and length(q) <= most]
        if qs:
            out.append(rng.choice(qs))
    return out


def instruction_batch(layout, pictures, rng, system=scenes.SYSTEM):
    t_short, t_long = layout.groups[0][1], layout.groups[1][1]
    first = [q for s in pictures for q in draw_questions(s, rng, layout.short, MIX_SHORT, t_short)]
    second = [q for s in pictures for q in draw_questions(s, rng, layout.long, MIX_LONG, t_long)]
    third = []
    while len(third) < layout.text:
        third += scenes.scienceqa(pictures[0], rng, text_only=True)
    return Batch(layout, [first, second, third], system)


def caption_batch(layout, pictures, rng):
    items = [f for s in pictures for f in rng.sample([scenes.describe, scenes.enumerate_things], layout.long)]
    owners = [s for s in pictures for _ in range(layout.long)]
    return Batch(layout, [[scenes.sentence("llavabench", f(s, rng)) for f, s in zip(items, owners)]])


def reading_loss(lm, trunk, batch, slots):
    """Loss, and per answer token whether it came out right."""
    with torch.autocast("cpu", torch.bfloat16) if trunk is not None else contextlib.nullcontext():
        h = (trunk or lm.trunk)(batch.ids, slots, batch.layout.positions, batch.layout.shape, batch.layout.masks)
        logits = lm.lm_head(h[batch.read]).float()
    loss = F.cross_entropy(logits, batch.target, reduction="none")
    return (loss * batch.weight).sum() / batch.weight.sum(), logits.argmax(-1) == batch.target


def replies_right(batch, ok):
    """Right from the first token to the end of sequence under teacher forcing: what greedy decoding gives, too."""
    at = 0
    for q, n in batch.questions:
        yield q, bool(ok[at:at + n].all())
        at += n


# ---------------------------------------------------------------- the training loop

class Tally:
    def __init__(self):
        self.cells = {}

    def add(self, key, ok):
        c = self.cells.setdefault(key, [0, 0])
        c[0] += ok
        c[1] += 1

    def text(self):
        return " ".join(f"{k}={a / n:.2f}" for k, (a, n) in sorted(self.cells.items()))

    def mean(self):
        return sum(a for a, _ in self.cells.values()) / max(1, sum(n for _, n in self.cells.values()))


def train(name, modules, lr, steps, step, decay=.02, warmup=100, every=250, save=1000, floor=.05):
    """step(i) -> loss, iterable of (key, right).  Saves and resumes."""
    steps = max(2, int(steps * SCALE))
    params = [p for m in modules for p in m.parameters() if p.requires_grad]
    opt = torch.optim.AdamW([{"params": [p for p in params if p.dim() > 1]}, {"params": [p for p in params if p.dim() <= 1], "weight_decay": 0}],
                            lr=lr, betas=(.9, .98), weight_decay=decay, fused=True)
    path, start, spent = WORK / f"{name}.state", 0, 0.0
    if path.exists():
        state = torch.load(path)
        start, spent = state["step"], state["seconds"]
        for m, w in zip(modules, state["modules"]):
            m.load_state_dict(w)
        opt.load_state_dict(state["opt"])
        log(name, "resumes at step", start)
    t0, losses, tally, by_skill = time.time() - spent, [], Tally(), Tally()
    for i in range(start, steps):
        rate = min(1, (i + 1) / warmup) * (floor + (1 - floor) * .5 * (1 + math.cos(math.pi * i / steps)))
        for g in opt.param_groups:
            g["lr"] = lr * rate
        loss, marks = step(i / SCALE)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(params, 1.0)
        opt.step()
        losses.append(loss.detach())
        for family, skill, ok in marks:
            tally.add(family, ok)
            by_skill.add(skill, ok)
        if (i + 1) % every == 0 or i + 1 == steps:
            log(f"{name} {i + 1}/{steps} loss {torch.stack(losses).mean():.4f} right {tally.mean():.3f} {time.time() - t0:.0f}s |", tally.text(), "|", by_skill.text())
            losses, tally, by_skill = [], Tally(), Tally()
        if (i + 1) % save == 0 or i + 1 == steps:
            torch.save(dict(step=i + 1, seconds=time.time() - t0, modules=[m.state_dict() for m in modules], opt=opt.state_dict()), path)
    return time.time() - t0


def marks_of(batch, ok):
    for q, right in replies_right(batch, ok):
        skill = q.skill if q.family != "variant" else q.skill.split(":")[0]
        yield q.family, (skill + "/" + q.kind[0]), right


# ---------------------------------------------------------------- tower

def pictures(seeds):
    return torch.from_numpy(np.stack([np.asarray(Scene(i).draw()) for i in seeds]))


TOWER_HEADS = [scenes.COLOUR_NAMES, scenes.SHAPES, scenes.SIGNS, scenes.BACKGROUND_NAMES, scenes.ROWS, scenes.COLUMNS]


def tower_targets(seeds):
    """Per head [n, 36]: 0 = none, else 1 + index; and which colour-shape pairs are there [n, 16]."""
    a = np.stack([Scene(i).attributes() for i in seeds])
    targets = []
    for names in TOWER_HEADS:
        part = a[:, :, [scenes.WORD_INDEX[n] for n in names]]
        targets.append(torch.from_numpy(np.where(part.any(-1), part.argmax(-1) + 1, 0)))
    pairs = torch.zeros(len(a), 16)
    for k, i in enumerate(seeds):
        for t in Scene(i).things:
            pairs[k, scenes.COLOUR_NAMES.index(t.colour) * 4 + scenes.SHAPES.index(t.shape)] = 1
    return targets, pairs


def stage_tower(steps=1400, size=96, lr=1.5e-3):
    torch.manual_seed(SEED)
    n_all, held = PICTURES + 600, range(PICTURES, PICTURES + 600)
    seeds = list(range(PICTURES)) + [scenes.EVAL_SEEDS[i] for i in range(600)]
    images, (targets, pairs) = pictures(seeds), tower_targets(seeds)
    log("tower:", n_all, "pictures drawn")
    tower = Tower()
    sizes = [len(n) + 1 for n in TOWER_HEADS]
    head = nn.Sequential(nn.LayerNorm(V_HIDDEN), nn.Linear(V_HIDDEN, sum(sizes)))
    top = nn.Linear(V_HIDDEN, 16)
    weights = [torch.tensor([.3] + [1.] * (n - 1)) for n in sizes]
    gen = torch.Generator().manual_seed(SEED)
    run = torch.compile(tower, dynamic=False) if COMPILE else tower

    def step(_):
        ix = torch.randint(PICTURES, (size,), generator=gen)
        with torch.autocast("cpu", torch.bfloat16):
            used, last = run(images[ix], (V_USED, V_LAYERS))
            logits = head(used[:, 1:]).float().split(sizes, -1)
            seen = top(tower.post_layernorm(last[:, 0])).float()
        loss = sum(F.cross_entropy(g.reshape(-1, g.shape[-1]), t[ix].reshape(-1), w) for g, t, w in zip(logits, targets, weights))
        loss = loss + F.binary_cross_entropy_with_logits(seen, pairs[ix])
        thing = targets[0][ix] > 0
        right = ((logits[0].argmax(-1) == targets[0][ix]) & (logits[1].argmax(-1) == targets[1][ix]))[thing].float().mean().item()
        return loss, [("thing", "thing", right)]

    train("tower", [tower, head, top], lr, steps, step, every=200)
    with torch.no_grad():
        x = tower(images[PICTURES:], (V_USED,))[0][:, 1:]
        for names, g, t in zip("colour shape sign background row column".split(), head(x).split(sizes, -1), targets):
            t, g = t[held.start:], g.argmax(-1)
            some = t > 0
            log(f"  held-out patches, {names}: right {(g == t)[some].float().mean():.4f}, none right {(g == t)[~some].float().mean():.4f}")
        features = torch.cat([tower(images[i:i + 500], (V_USED,))[0][:, 1:].half() for i in range(0, PICTURES, 500)])
    torch.save(tower.state_dict(), WORK / "tower.pt")
    torch.save(features, WORK / "features.pt")


# ---------------------------------------------------------------- language model

@functools.lru_cache
def word_ids():
    return torch.tensor([encode(w)[-1] for w in scenes.WORDS])


def compiled(lm):
    return torch.compile(lm.trunk, dynamic=False) if COMPILE else lm.trunk


LM_STEPS = int(os.environ.get("DEMO_LM_STEPS", "8800"))


def stage_lm(steps=LM_STEPS, lr=float(os.environ.get("DEMO_LM_LR", "1e-3"))):
    torch.manual_seed(SEED + 1)
    lm = LanguageModel()
    trunk = compiled(lm)
    captions, everything = Layout(24, 0, 2, 0), Layout(12, 6, 3, 6)
    first = 700

    def step(i):
        rng = random.Random((SEED + 1) * 1_000_003 + int(i))
        plain = i < first
        most = 1 if i < 200 else 2 if i < 400 or first <= i <= first + 600 else 3
        layout = captions if plain else everything
        shown = [Scene(rng.choice(scenes.TRAIN_SEEDS), most) for _ in range(layout.b)]
        human = not plain and rng.random() < .04
        batch = caption_batch(layout, shown, rng) if plain else instruction_batch(layout, shown, rng, scenes.SYSTEM_HUMAN if human else scenes.SYSTEM)
        attributes = torch.from_numpy(np.stack([s.attributes() for s in shown]))
        noise = torch.Generator().manual_seed(int(i))
        attributes = attributes * (1 + .2 * torch.randn(attributes.shape, generator=noise))
        loss, ok = reading_loss(lm, trunk, batch, attributes @ lm.embed_tokens(word_ids()))
        return loss, marks_of(batch, ok)

    train("lm", [lm], lr, steps, step, warmup=200)
    torch.save(lm.state_dict(), WORK / "lm.pt")


# ---------------------------------------------------------------- the pair

def stage_pair(kind, align=300, tune=int(os.environ.get("DEMO_TUNE_STEPS", "2400")), lr_align=2e-3, lr_tune=4e-4):
    torch.manual_seed(SEED + 2)
    lm, con = LanguageModel(), connector(kind)
    lm.load_state_dict(torch.load(WORK / "lm.pt"))
    features = torch.load(WORK / "features.pt")
    trunk = compiled(lm)
    captions, everything = Layout(16, 0, 2, 0), Layout(12, 6, 3, 6)

    def stepper(layout, salt):
        def step(i):
            rng = random.Random(salt * 1_000_003 + int(i))
            ix = [rng.randrange(PICTURES) for _ in range(layout.b)]
            shown = [Scene(k) for k in ix]
            human = layout is everything and rng.random() < .04
            batch = (caption_batch(layout, shown, rng) if layout is captions else
                     instruction_batch(layout, shown, rng, scenes.SYSTEM_HUMAN if human else scenes.SYSTEM))
            loss, ok = reading_loss(lm, trunk, batch, con(features[ix].float()))
            return loss, marks_of(batch, ok)
        return step

    if not (WORK / f"{kind}-align.pt").exists():
        lm.requires_grad_(False)
        train(f"{kind}-align", [con], lr_align, align, stepper(captions, SEED + 3), decay=0, warmup=30, every=50)
        torch.save(con.state_dict(), WORK / f"{kind}-align.pt")
        lm.requires_grad_(True)
    con.load_state_dict(torch.load(WORK / f"{kind}-align.pt"))
    train(f"{kind}-tune", [con, lm], lr_tune, tune, stepper(everything, SEED + 4))
    torch.save(dict(connector=con.state_dict(), lm=lm.state_dict()), WORK / f"{kind}.pt")


# ---------------------------------------------------------------- scores on held-out scenes

def load_stored(kind):
    """The three parts as stored: rounded to bfloat16, computed in float32."""
    state = torch.load(WORK / f"{kind}.pt")
    lm, con, tower = LanguageModel(), connector(kind), Tower()
    lm.load_state_dict(state["lm"])
    con.load_state_dict(state["connector"])
    tower.load_state_dict(torch.load(WORK / "tower.pt"))
    for m in (lm, con, tower):
        for p in m.parameters():
            p.data = p.data.bfloat16().float()
    return lm, con, tower


@torch.no_grad()
def answers_right(parts, asked, size=24):
    """asked: list of (picture or None, Question) -> list of bool.  Rows of like length share a forward pass."""
    lm, con, tower = parts
    order = sorted(range(len(asked)), key=lambda i: (not asked[i][1].image, length(asked[i][1])))
    result = [None] * len(asked)
    for image in (True, False):
        mine = [i for i in order if asked[i][1].image == image]
        for at in range(0, len(mine), size):
            chunk = mine[at:at + size]
            t = max(length(asked[i][1]) for i in chunk)
            layout = Layout(len(chunk), int(image), 0, 0 if image else len(chunk), t_short=t, t_text=t)
            if image:
                pixels = torch.from_numpy(np.stack([np.asarray(asked[i][0]) for i in chunk]))
                slots = con(tower(pixels, (V_USED,))[0][:, 1:])
            else:
                slots = torch.zeros(len(chunk), PATCHES, HIDDEN)
            batch = Batch(layout, [[asked[i][1] for i in chunk]])
            _, ok = reading_loss(lm, None, batch, slots)
            for i, (_, right) in zip(chunk, replies_right(batch, ok)):
                result[i] = right
    return result


def headline(family, marks):
    """marks: list of (Question, right).  The family's headline, simplified: a reply is right when it is the reference, and a
    wrong yes/no is taken for the other word."""
    def share(m):
        return 100 * sum(r for _, r in m) / max(1, len(m))

    def together(m):
        groups = {}
        for q, r in m:
            groups.setdefault(q.group, []).append(r)
        return 100 * sum(all(g) for g in groups.values()) / max(1, len(groups))

    if family == "pope":
        f1 = []
        for c in ("random", "popular", "adversarial"):
            m = [(q.reply == "Yes", r) for q, r in marks if q.raw["category"] == c]
            tp, fn, fp = (sum(y and r for y, r in m), sum(y and not r for y, r in m), sum(not y and not r for y, r in m))
            f1.append(200 * tp / max(1, 2 * tp + fp + fn))
        return sum(f1) / 3
    if family == "mme":
        total = 0
        for task, (part, *_) in scenes.MME_TASKS.items():
            m = [(q, r) for q, r in marks if q.raw["task"] == task]
            total += (share(m) + together(m)) * (part == "perception")
        return total
    if family == "mmbench":
        return together(marks)
    if family == "scienceqa":
        return share([(q, r) for q, r in marks if q.image])
    return share(marks)


def held_out(n=600):
    """[(picture, Question)]: every family on scenes of EVAL_SEEDS."""
    rng = random.Random(SEED + 77)
    asked = []
    for k in range(n):
        s = Scene(scenes.EVAL_SEEDS[100_000 + k])
        picture = s.draw()
        for family in [f for f in scenes.FAMILIES if f != "practice"]:
            if family == "mme":
                task = list(scenes.MME_TASKS)[k % len(scenes.MME_TASKS)]
                for extra in range(200):                    # a scene that allows the task
                    u = Scene(scenes.EVAL_SEEDS[1_000_000 + 200 * k + extra], most=1 if task == "celebrity" else 3)
                    pair = scenes.mme(u, rng, task)
                    if pair:
                        break
                asked += [(u.draw(), q) for q in pair]
            elif family == "pope":
                asked += [(picture, q) for c in ("random", "popular", "adversarial") for q in scenes.pope(s, rng, category=c)]
            else:
                asked += [(picture, q) for q in scenes.ask(family, s, rng)]
    return asked


def scores(parts, asked):
    right = answers_right(parts, asked)
    families, skills, ways = {}, Tally(), Tally()
    for (_, q), r in zip(asked, right):
        families.setdefault(q.family, []).append((q, r))
        if q.family == "variant":
            ways.add(q.skill.split(":")[0], r)
        else:
            skills.add(q.skill + "/" + q.kind, r)
    out = {"headline": {}, "right": {}, "questions": {}}
    for f, marks in families.items():
        if f != "variant":
            out["headline"][f] = round(headline(f, marks), 2)
        out["right"][f] = round(100 * sum(r for _, r in marks) / len(marks), 2)
        out["questions"][f] = len(marks)
    out["skills"] = {k: {"right": round(100 * a / n, 1), "questions": n} for k, (a, n) in sorted(skills.cells.items())}
    out["prompt_variants"] = {k: {"right": round(100 * a / n, 1), "questions": n} for k, (a, n) in sorted(ways.cells.items())}
    return out


def stage_score(kind):
    result = scores(load_stored(kind), held_out(max(40, int(600 * SCALE))))
    log(kind, json.dumps(result))
    (WORK / f"{kind}-scores.json").write_text(json.dumps(result, indent=1))


# ---------------------------------------------------------------- export

def tensors(kind):
    lm, con, tower = load_stored(kind)
    out = {"lm_head.weight": lm.lm_head.weight}
    for name, p in lm.state_dict().items():
        if name != "lm_head.weight":
            out["model." + name] = p
    for name, p in con.state_dict().items():
        out["model.mm_projector." + name] = p
    root = "model.vision_tower.vision_tower.vision_model."
    for name, p in tower.state_dict().items():
        if name == "patch_embedding.weight":
            out[root + "embeddings.patch_embedding.weight"] = p.reshape(V_HIDDEN, 3, PATCH, PATCH)
        elif name == "position_embedding":
            out[root + "embeddings.position_embedding.weight"] = p
        elif name == "class_embedding":
            out[root + "embeddings.class_embedding"] = p
        elif name.startswith("layers."):
            out[root + "encoder." + name] = p
        else:
            out[root + name] = p
    return {n: p.detach().to(torch.bfloat16).contiguous() for n, p in sorted(out.items())}


def stage_export(kind):
    from safetensors.torch import save_file
    final = HERE / "checkpoints" / PAIR[kind]
    folder = WORK / "export" / PAIR[kind]
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)

    def write(name, value):
        (folder / name).write_text(json.dumps(value, indent=2) + "\n")

    save_file(tensors(kind), folder / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(WORK / "tokenizer.model", folder / "tokenizer.model")
    write("config.json", {
        "model_type": "llava", "architectures": ["LlavaLlamaForCausalLM"], "hidden_size": HIDDEN, "intermediate_size": FFN,
        "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "num_key_value_heads": HEADS, "hidden_act": "silu", "vocab_size": VOCABULARY,
        "max_position_embeddings": 2048, "rms_norm_eps": EPS, "rope_theta": THETA, "rope_scaling": None, "tie_word_embeddings": False,
        "bos_token_id": BOS, "eos_token_id": EOS, "torch_dtype": "bfloat16", "use_cache": True, "tokenizer_model_max_length": 2048,
        "mm_projector_type": kind, "mm_hidden_size": V_HIDDEN, "mm_vision_tower": "tiny-clip-vit-patch14-84", "unfreeze_mm_vision_tower": True,
        "mm_vision_select_layer": V_USED - V_LAYERS - 1, "mm_vision_select_feature": "patch", "mm_use_im_start_end": False,
        "mm_use_im_patch_token": False, "image_aspect_ratio": "pad",
        "vision_config": {"hidden_size": V_HIDDEN, "intermediate_size": V_FFN, "num_hidden_layers": V_LAYERS, "num_attention_heads": V_HEADS,
                          "image_size": SIDE, "patch_size": PATCH, "layer_norm_eps": EPS, "hidden_act": "quick_gelu"}})
    write("generation_config.json", {"bos_token_id": BOS, "eos_token_id": EOS, "do_sample": False, "max_length": 2048})
    write("tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer", "add_bos_token": True, "add_eos_token": False, "bos_token": "<s>",
                                    "eos_token": "</s>", "unk_token": "<unk>", "legacy": True, "model_max_length": 2048,
                                    "clean_up_tokenization_spaces": False})
    write("preprocessor_config.json", {
        "image_processor_type": "CLIPImageProcessor", "feature_extractor_type": "CLIPFeatureExtractor", "do_resize": True, "size": {"shortest_edge": SIDE},
        "resample": 3, "do_center_crop": True, "crop_size": {"height": SIDE, "width": SIDE}, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": True, "image_mean": list(MEAN), "image_std": list(STD), "do_convert_rgb": True})
    final.parent.mkdir(exist_ok=True)
    shutil.rmtree(final, ignore_errors=True)
    shutil.move(folder, final)
    (final / "model.safetensors").chmod(0o644)
    size = (final / "model.safetensors").stat().st_size
    log("exported", PAIR[kind], size, "bytes, sha256", hashlib.sha256((final / "model.safetensors").read_bytes()).hexdigest())


def main():
    WORK.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(THREADS)
    stage, *arguments = sys.argv[1:]
    t0 = time.time()
    {"tokenizer": stage_tokenizer, "tower": stage_tower, "lm": stage_lm, "pair": stage_pair, "score": stage_score, "export": stage_export}[stage](*arguments)
    log(f"== {' '.join(sys.argv[1:])}: {time.time() - t0:.0f} s")


if __name__ == "__main__":
    main()
