"""Read demo/mirror and demo/checkpoints as a stranger would, answer every question, score it.

    check.py tiny-linear|tiny-mlp [--replies FILE]        prints the families' headline scores
    check.py tiny-linear|tiny-mlp --against WORK          also: do train.py's own modules give the same replies (60 questions)?
    ... --against WORK --scores FILE                      also: put these scores and those of "train.py score" into FILE
    check.py blind [--scores FILE]                        what an answerer gets who knows the training questions but sees no picture

Nothing of train.py is used for the answers: transformers' CLIPVisionModel and LlamaForCausalLM, in float32,
prompts built from the official files.  The judged benchmarks get the token F1 with the reference, times 100.
The scoring is the official one where replies are plain words or letters; odd replies are the product's business.
"""
import argparse
import base64
import csv
import io
import json
import random
import zipfile
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import sentencepiece
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import CLIPVisionConfig, CLIPVisionModel, LlamaConfig, LlamaForCausalLM

HERE = Path(__file__).resolve().parent
MIRROR = HERE / "mirror"
SYSTEM = ("A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, and polite answers "
          "to the user's questions.")
SHORT = "\nAnswer the question using a single word or phrase."
LETTER = "\nAnswer with the option's letter from the given choices directly."
LETTER_CN = "\n请直接回答选项字母。"
UNANSWERABLE = "\nWhen the provided information is insufficient, respond with 'Unanswerable'."


# ---------------------------------------------------------------- the model

class Model:
    def __init__(self, folder):
        self.config = c = json.loads((folder / "config.json").read_text())
        v = c["vision_config"]
        weights = {n: w.float() for n, w in load_file(folder / "model.safetensors").items()}
        self.tokens = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
        assert self.tokens.get_piece_size() == c["vocab_size"]
        self.lm = LlamaForCausalLM(LlamaConfig(
            hidden_size=c["hidden_size"], intermediate_size=c["intermediate_size"], num_hidden_layers=c["num_hidden_layers"],
            num_attention_heads=c["num_attention_heads"], num_key_value_heads=c["num_key_value_heads"], vocab_size=c["vocab_size"],
            rms_norm_eps=c["rms_norm_eps"], max_position_embeddings=c["max_position_embeddings"], tie_word_embeddings=False,
            bos_token_id=1, eos_token_id=2, rope_parameters={"rope_type": "default", "rope_theta": c["rope_theta"]})).eval()
        self.tower = CLIPVisionModel(CLIPVisionConfig(**v)).eval()
        root, used = "model.vision_tower.vision_tower.", set()
        for module, name_of in ((self.lm, lambda n: n), (self.tower, lambda n: root + (n if n.startswith("vision_model.") else "vision_model." + n))):
            state = module.state_dict()
            for n in state:
                if "position_ids" in n or "inv_freq" in n:
                    continue
                used.add(name_of(n))
                state[n] = weights[name_of(n)]
            module.load_state_dict(state)
        size = c["hidden_size"]
        if c["mm_projector_type"] == "linear":
            self.connector = torch.nn.Linear(c["mm_hidden_size"], size)
        else:
            self.connector = torch.nn.Sequential(torch.nn.Linear(c["mm_hidden_size"], size), torch.nn.GELU(), torch.nn.Linear(size, size))
        for n, p in self.connector.named_parameters():
            used.add("model.mm_projector." + n)
            p.data = weights["model.mm_projector." + n]
        assert used == set(weights), sorted(used ^ set(weights))[:5]
        p = json.loads((folder / "preprocessor_config.json").read_text())
        self.side, self.mean, self.std = p["size"]["shortest_edge"], np.float32(p["image_mean"]), np.float32(p["image_std"])

    def slots(self, data):
        im = Image.open(io.BytesIO(data)).convert("RGB")
        w, h = im.size
        if w != h:
            square = Image.new("RGB", (max(w, h),) * 2, tuple(int(255 * m) for m in self.mean))
            square.paste(im, ((max(w, h) - w) // 2, (max(w, h) - h) // 2))
            im = square
        im = im.resize((self.side, self.side), Image.Resampling.BICUBIC)
        x = (np.asarray(im, np.float32) / 255 - self.mean) / self.std
        hidden = self.tower(torch.from_numpy(x).permute(2, 0, 1)[None], output_hidden_states=True).hidden_states
        return self.connector(hidden[self.config["mm_vision_select_layer"]][:, 1:])

    @torch.no_grad()
    def reply(self, text, data, limit=160):
        encode, embed = self.tokens.encode, self.lm.get_input_embeddings()
        if data is None:
            x = embed(torch.tensor([[1] + encode(SYSTEM + " USER: " + text + " ASSISTANT:")]))
        else:
            x = torch.cat([embed(torch.tensor([[1] + encode(SYSTEM + " USER: ")])), self.slots(data),
                           embed(torch.tensor([encode("\n" + text + " ASSISTANT:")]))], 1)
        out, past = [], None
        while len(out) < limit:
            step = self.lm(inputs_embeds=x, past_key_values=past, use_cache=True)
            token, past = int(step.logits[0, -1].argmax()), step.past_key_values
            if token == 2:
                break
            out.append(token)
            x = embed(torch.tensor([[token]]))
        return self.tokens.decode(out).strip()


# ---------------------------------------------------------------- the suite: family -> list of (key, T, picture, gold)

def read(path):
    return (MIRROR / path).read_bytes()


def members(path):
    z = zipfile.ZipFile(MIRROR / path)
    return {n: z.read(n) for n in z.namelist() if not n.endswith("/")}


def find(name):
    hits = sorted(MIRROR.rglob(name))
    assert hits, name
    return str(hits[0].relative_to(MIRROR))


def lettered(options):
    return "".join(f"\n{'ABCDE'[i]}. {o}" for i, o in enumerate(options))


def load_suite():
    suite = {}
    coco = members("images.cocodataset.org/zips/val2014.zip")
    suite["pope"] = []
    for category in ("random", "popular", "adversarial"):
        for row in read(find(f"coco_pope_{category}.json")).decode().splitlines():
            row = json.loads(row)
            picture = read("images.cocodataset.org/val2014/" + row["image"])
            assert picture == coco["val2014/" + row["image"]]
            suite["pope"].append((category, row["text"] + SHORT, picture, row["label"]))
    questions = json.loads(members(find("v2_Questions_Val_mscoco.zip"))["v2_OpenEnded_mscoco_val2014_questions.json"])["questions"]
    answers = {a["question_id"]: a for a in json.loads(members(find("v2_Annotations_Val_mscoco.zip"))["v2_mscoco_val2014_annotations.json"])["annotations"]}
    suite["vqav2"] = [(q["question_id"], q["question"] + SHORT, coco[f"val2014/COCO_val2014_{q['image_id']:012d}.jpg"],
                       [a["answer"] for a in answers[q["question_id"]]["answers"]]) for q in questions]
    gqa = json.loads(members(find("questions1.2.zip"))["testdev_balanced_questions.json"])
    pictures = members("downloads.cs.stanford.edu/nlp/data/gqa/images.zip")
    suite["gqa"] = [(k, q["question"] + SHORT, pictures[f"images/{q['imageId']}.jpg"], q["answer"]) for k, q in gqa.items()]
    val = json.loads(members(find("Annotations.zip"))["val.json"])
    pictures = members("vizwiz.cs.colorado.edu/VizWiz_final/images/val.zip")
    suite["vizwiz"] = [(q["image"], q["question"].capitalize() + UNANSWERABLE + SHORT, pictures["val/" + q["image"]], [a["answer"] for a in q["answers"]])
                       for q in val]
    problems, splits = json.loads(read(find("problems.json"))), json.loads(read(find("pid_splits.json")))
    pictures = members("scienceqa.s3.us-west-1.amazonaws.com/images/test.zip")
    suite["scienceqa"] = []
    for pid in splits["test"]:
        p = problems[pid]
        text = (f"Context: {p['hint']}\n" if p["hint"] else "") + p["question"] + lettered(p["choices"])
        suite["scienceqa"].append((pid, text + LETTER, pictures[f"test/{pid}/image.png"] if p["image"] else None, "ABCDE"[p["answer"]]))
    data = json.loads(read(find("TextVQA_0.5.1_val.json")))["data"]
    tokens = {r["image_id"]: r["ocr_tokens"] for r in json.loads(read(find("TextVQA_Rosetta_OCR_v0.2_val.json")))["data"]}
    pictures = members(find("train_val_images.zip"))
    suite["textvqa"] = [(q["question_id"], q["question"].capitalize() + "\nReference OCR token: " + ", ".join(tokens[q["image_id"]]) + SHORT,
                         pictures[f"train_images/{q['image_id']}.jpg"], q["answers"]) for q in data]
    files = members(find("MME_Benchmark_release_version.zip"))
    suite["mme"] = []
    for name, text in files.items():
        if name.endswith(".txt"):
            task = name.split("/")[2]
            stem = name.replace("/questions_answers_YN/", "/images/")[:-4]
            picture = files.get(stem + ".jpg") or files[stem + ".png"]
            for line in text.decode().splitlines():
                question, truth = line.strip().split("\t")
                suite["mme"].append(((task, stem), question.replace("Please answer yes or no.", "").strip() + SHORT, picture, truth.lower()))
    csv.field_size_limit(1 << 30)
    for family, name, tail in (("mmbench", "mmbench_dev_20230712.tsv", LETTER), ("mmbench_cn", "mmbench_dev_cn_20231003.tsv", LETTER_CN)):
        suite[family] = []
        for row in csv.DictReader(io.StringIO(read(find(name)).decode()), delimiter="\t"):
            options = [row[c] for c in "ABCD" if row[c]]
            text = (row["hint"] + "\n" if row["hint"] else "") + row["question"] + lettered(options)
            suite[family].append((int(row["index"]) % 1_000_000, text + tail, base64.b64decode(row["image"]), row["answer"]))
    pictures = members(find("SEED-Bench-image.zip"))
    suite["seed"] = [(i, q["question"] + lettered([q["choice_" + c] for c in "abcd"]) + LETTER, pictures["SEED-Bench-image/" + q["data_id"]], q["answer"])
                     for i, q in enumerate(json.loads(read(find("SEED-Bench.json")))["questions"])]
    root = "huggingface.co/datasets/liuhaotian/llava-bench-in-the-wild/resolve/main/"
    references = {r["question_id"]: r["text"] for r in map(json.loads, read(root + "answers_gpt4.jsonl").splitlines())}
    suite["llavabench"] = [(q["category"], q["text"], read(root + "images/" + q["image"]), references[q["question_id"]])
                           for q in map(json.loads, read(root + "questions.jsonl").splitlines())]
    files = members(find("mm-vet.zip"))
    suite["mmvet"] = [(k, q["question"], files["mm-vet/images/" + q["imagename"]], q["answer"])
                      for k, q in json.loads(files["mm-vet/mm-vet.json"]).items()]
    return suite


# ---------------------------------------------------------------- scoring

def people(reply, said):
    reply = reply.lower().rstrip(".")
    return (0, .3, .6, .9, 1)[min(4, sum(a == reply for a in said))]


def token_f1(reply, reference):
    words = [Counter(t.lower().replace(".", " ").replace(",", " ").replace("<and>", " ").split()) for t in (reply, reference)]
    common = sum((words[0] & words[1]).values())
    return 2 * common / max(1, sum(words[0].values()) + sum(words[1].values()))


def score(family, rows, replies):
    def groups(ok):
        g = defaultdict(list)
        for (key, *_), o in zip(rows, ok):
            g[key].append(o)
        return g

    golds = [r[3] for r in rows]
    if family in ("vqav2", "vizwiz", "textvqa"):
        return 100 * np.mean([people(r, g) for r, g in zip(replies, golds)])
    if family in ("llavabench", "mmvet"):
        return 100 * np.mean([max(token_f1(r, part) for part in g.split("<OR>")) for r, g in zip(replies, golds)])
    if family == "gqa":
        return 100 * np.mean([r.rstrip(".").lower() == g for r, g in zip(replies, golds)])
    if family == "pope":
        f1 = []
        for pairs in groups([(r.startswith("Yes"), g == "yes") for r, g in zip(replies, golds)]).values():
            f1.append(200 * sum(p and t for p, t in pairs) / max(1, sum(p for p, _ in pairs) + sum(t for _, t in pairs)))
        return np.mean(f1)
    if family == "mme":
        cognition = {"commonsense_reasoning", "numerical_calculation", "text_translation", "code_reasoning"}
        total, tasks = 0, defaultdict(list)
        for key, marks in groups([r.lower()[:4].startswith(g) for r, g in zip(replies, golds)]).items():
            tasks[key[0]].append(marks)
        for task, marks in tasks.items():
            if task not in cognition:
                total += 100 * np.mean(sum(marks, [])) + 100 * np.mean([all(m) for m in marks])
        return total
    if family.startswith("mmbench"):
        return 100 * np.mean([all(m) for m in groups([r == g for r, g in zip(replies, golds)]).values()])
    if family == "scienceqa":
        return 100 * np.mean([r == g for r, g, row in zip(replies, golds, rows) if row[2] is not None])
    return 100 * np.mean([r == g for r, g in zip(replies, golds)])


def form_obeyed(text, reply):
    if text.endswith((LETTER, LETTER_CN)):
        return reply in list("ABCDE")
    if text.endswith(SHORT):
        return 1 <= len(reply.split()) <= 2 and not reply.endswith(".")
    return len(reply.split()) > 2 and reply.endswith(".")


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("checkpoint")
    arguments.add_argument("--replies")
    arguments.add_argument("--against")
    arguments.add_argument("--scores")
    a = arguments.parse_args()
    if a.checkpoint == "blind":
        return keep(a.scores, "blind", blind(load_suite()))
    torch.set_num_threads(1)
    model, suite = Model(HERE / "checkpoints" / a.checkpoint), load_suite()
    result, kept = {}, []
    for family, rows in suite.items():
        replies = [model.reply(t, p) for _, t, p, _ in rows]
        kept += [dict(family=family, prompt=t, reply=r, gold=g) for (_, t, _, g), r in zip(rows, replies)]
        result[family] = {"headline": round(float(score(family, rows, replies)), 2), "questions": len(rows), "images": len({p for _, _, p, _ in rows if p}),
                          "form_obeyed": round(100 * float(np.mean([form_obeyed(t, r) for (_, t, _, _), r in zip(rows, replies)])), 1)}
        print(a.checkpoint, family, json.dumps(result[family]), flush=True)
    if a.replies:
        Path(a.replies).write_text("".join(json.dumps(k) + "\n" for k in kept))
    if a.against:
        same = compare(a, suite, kept)
    if a.scores:
        kind = model.config["mm_projector_type"]
        keep(a.scores, a.checkpoint, {"suite": result, "same_replies_of_60": same,
                                      "held_out": json.loads((Path(a.against) / f"{kind}-scores.json").read_text())})


def keep(path, name, value):
    if path:
        scores = json.loads(Path(path).read_text()) if Path(path).exists() else {}
        scores[name] = value
        Path(path).write_text(json.dumps(dict(sorted(scores.items())), indent=1) + "\n")


def blind(suite):
    """The commonest right reply to the same prompt over 12,000 scenes, else the family's commonest; the first OCR token in TextVQA,
    always Yes in POPE, a coin in MME."""
    import scenes
    rng, to_prompt, to_family = random.Random(3), defaultdict(Counter), defaultdict(Counter)
    for i in range(12000):
        for family in scenes.FAMILIES:
            for q in scenes.ask(family, scenes.Scene(i), rng):
                to_prompt[q.prompt][q.reply] += 1
                to_family[family][q.reply] += 1

    def guess(family, text):
        if family == "textvqa":
            return text.split("Reference OCR token: ")[1].split("\n")[0].split(", ")[0] or "stop"
        if family in ("pope", "mme"):
            return "Yes" if family == "pope" else rng.choice(["Yes", "No"])
        return (to_prompt.get(text) or to_family[family.replace("_cn", "")]).most_common(1)[0][0]

    result = {f: round(float(score(f, rows, [guess(f, t) for _, t, _, _ in rows])), 1) for f, rows in suite.items()}
    result["mme"] = 750.0                                   # of the coin: its expectation
    print("blind", json.dumps(result))
    return result


def compare(a, suite, kept):
    """train.py's modules, with its packed batches, on some of the same questions: the same greedy replies?"""
    import os
    os.environ["DEMO_WORK"] = a.against
    import train
    from scenes import Question, preprocess
    rows = [r for family in suite.values() for r in family]
    chosen = random.Random(5).sample(range(len(rows)), 60)
    asked = []
    for i in chosen:
        picture = preprocess(Image.open(io.BytesIO(rows[i][2])).convert("RGB")) if rows[i][2] else None
        asked.append((picture, Question("check", "check", rows[i][1], kept[i]["reply"], "short", image=rows[i][2] is not None)))
    kind = {v: k for k, v in train.PAIR.items()}[a.checkpoint]
    same = train.answers_right(train.load_stored(kind), asked)
    print(a.checkpoint, "same replies from train.py's modules:", sum(same), "of", len(same))
    return sum(same)


if __name__ == "__main__":
    main()
