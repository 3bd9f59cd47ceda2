"""Write demo/mirror: the eleven benchmarks in small, laid out as host/path of their official addresses.

    suite.py [FOLDER]         default: the folder mirror beside this file

The pictures are scenes of scenes.SUITE_SEEDS, which no training stage draws from.  Formats, member names,
field names and the odd habits (line ends, ids, rotations) are those of the official releases; texts that
are not ours in the originals (judge prompts) are short ones of our own here.  Same bytes on every run.
"""
import base64
import hashlib
import io
import json
import random
import shutil
import sys
import zipfile
from pathlib import Path

import scenes
from scenes import Scene

OUT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parent / "mirror"
POPE_AT = "raw.githubusercontent.com/AoiDragon/POPE/e3e39262c85a6a83f26cf5094022a782cb0df58d/output/coco/"
COCO_AT = "images.cocodataset.org/"
VQA_AT = "s3.amazonaws.com/cvmlp/vqa/mscoco/vqa/"
GQA_AT = "downloads.cs.stanford.edu/nlp/data/gqa/"
VIZWIZ_AT = "vizwiz.cs.colorado.edu/VizWiz_final/"
SCIENCEQA_AT = "raw.githubusercontent.com/lupantech/ScienceQA/main/data/scienceqa/"
TEXTVQA_AT = "dl.fbaipublicfiles.com/textvqa/"
MME_AT = "huggingface.co/datasets/darkyarding/MME/resolve/main/MME_Benchmark_release_version.zip"
MMBENCH_AT = "download.openmmlab.com/mmclassification/datasets/mmbench/"
SEED_AT = "huggingface.co/datasets/AILab-CVC/SEED-Bench/resolve/"
LLAVABENCH_AT = "huggingface.co/datasets/liuhaotian/llava-bench-in-the-wild/resolve/main/"
RULE_AT = "raw.githubusercontent.com/haotian-liu/LLaVA/c121f0432da27facab705978f83c4ada465e46fd/llava/eval/table/rule.json"
MMVET_AT = "github.com/yuweihao/MM-Vet/releases/download/v1/mm-vet.zip"
MMVET_JUDGE_AT = "raw.githubusercontent.com/yuweihao/MM-Vet/acde843e02dae30047bb456ee4a8ab28dee7e0ae/mm-vet_evaluator.py"


# ---------------------------------------------------------------- writing

def put(path, data):
    path = OUT / path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())


def archive(path, members):
    """members: {name: bytes or text}; folders get entries of their own, as in the originals."""
    buffer = io.BytesIO()
    seen = set()
    with zipfile.ZipFile(buffer, "w") as z:
        for name, data in members.items():
            for i, c in enumerate(name):
                if c == "/" and name[:i + 1] not in seen:
                    seen.add(name[:i + 1])
                    z.writestr(entry(name[:i + 1], 0o40755), b"")
            info = entry(name, 0o100644)
            picture = isinstance(data, bytes)
            info.compress_type = zipfile.ZIP_STORED if picture else zipfile.ZIP_DEFLATED
            z.writestr(info, data)
    put(path, buffer.getvalue())


def entry(name, mode):
    info = zipfile.ZipInfo(name, (2023, 10, 5, 0, 0, 0))
    info.create_system, info.external_attr = 3, mode << 16 | (0x10 if name.endswith("/") else 0)
    return info


def lines(records):
    return "".join(json.dumps(r) + "\n" for r in records)


class Source:
    """Fresh scenes of the suite's seeds; each benchmark starts at a place of its own."""

    def __init__(self, number):
        self.next = 100_000 * number
        self.rng = random.Random(1000 + number)

    def scene(self, fits=lambda s: True, **kind):
        while True:
            s = Scene(scenes.SUITE_SEEDS[self.next], **kind)
            self.next += 1
            if fits(s):
                return s


def distinct(make, n, tries=400):
    """n questions of different texts; make() gives lists of Question."""
    out = {}
    for _ in range(tries):
        for q in make():
            if len(out) < n:
                out.setdefault(q.prompt, q)
        if len(out) == n:
            break
    return list(out.values())


def ten(rng, answer, wrong, spread=(0, 0, 1, 2, 3)):
    """What ten people said: mostly the answer."""
    n = rng.choice(spread)
    said = [answer] * (10 - n) + [rng.choice(wrong) for _ in range(n)]
    rng.shuffle(said)
    return said


def others(item):
    pool = [o.lower() for o in item.options if o != item.answer]
    return pool or ["unanswerable"]


# ---------------------------------------------------------------- POPE and VQAv2 (they share COCO val2014)

def pope_and_vqav2():
    src = Source(1)
    rng, pictures = src.rng, {}
    rows = {"random": [], "popular": [], "adversarial": []}
    for k in range(6):
        s = src.scene()
        name = f"COCO_val2014_{310196 + 37 * k:012d}.jpg"
        pictures["val2014/" + name] = s.file("jpg")
        put(COCO_AT + "val2014/" + name, s.file("jpg"))
        for category, table in rows.items():
            found = []
            for truth in (True, False):
                def make():
                    return scenes.pope(s, rng, truth, category) + [scenes.short("pope", scenes.exist_pair(s, rng, truth))] * (rng.random() < .1)
                for q in distinct(make, 3):
                    found.append(q)
            for yes, no in zip(found[:3], found[3:]):       # the original alternates
                for q in (yes, no):
                    table.append({"question_id": len(table) + 1, "image": name, "text": q.raw["item"].question, "label": q.reply.lower()})
    for category, table in rows.items():
        put(POPE_AT + f"coco_pope_{category}.json", "".join(json.dumps(r) + "\r\n" for r in table))

    def envelope(subtype):
        return {"info": {"description": "Questions about drawn scenes", "version": "2.0", "year": 2017}, "task_type": "Open-Ended",
                "data_type": "mscoco", "license": {"name": "same as the repository"}, "data_subtype": subtype}

    questions, annotations = [], []
    for k in range(20):
        s = src.scene()
        image = 42 + 611 * k
        pictures[f"val2014/COCO_val2014_{image:012d}.jpg"] = s.file("jpg")
        for j, q in enumerate(distinct(lambda: scenes.vqav2(s, rng), rng.choice([4, 5]))):
            item, answer = q.raw["item"], q.reply.lower()
            questions.append({"image_id": image, "question": item.question, "question_id": 1000 * image + j})
            annotations.append({"question_type": " ".join(item.question.lower().split()[:2]), "multiple_choice_answer": answer,
                                "answers": [{"answer": w, "answer_confidence": "yes", "answer_id": n + 1}
                                            for n, w in enumerate(ten(rng, answer, others(item)))],
                                "image_id": image, "answer_type": q.raw["answer_type"], "question_id": 1000 * image + j})
    rng.shuffle(annotations)                                # the two files are joined by id, not by place
    archive(VQA_AT + "v2_Questions_Val_mscoco.zip", {"v2_OpenEnded_mscoco_val2014_questions.json": json.dumps({**envelope("val2014"), "questions": questions})})
    archive(VQA_AT + "v2_Annotations_Val_mscoco.zip", {"v2_mscoco_val2014_annotations.json": json.dumps({**envelope("val2014"), "annotations": annotations})})
    archive(COCO_AT + "zips/val2014.zip", dict(sorted(pictures.items())))

    tests, pictures = [], {}
    for k in range(3):
        s = src.scene()
        image = 262144 + k
        pictures[f"test2015/COCO_test2015_{image:012d}.jpg"] = s.file("jpg")
        tests += [{"image_id": image, "question": q.raw["item"].question, "question_id": 1000 * image + j}
                  for j, q in enumerate(distinct(lambda: scenes.vqav2(s, rng), 2))]
    archive(VQA_AT + "v2_Questions_Test_mscoco.zip", {
        "v2_OpenEnded_mscoco_test-dev2015_questions.json": json.dumps({**envelope("test-dev2015"), "questions": tests[:4]}),
        "v2_OpenEnded_mscoco_test2015_questions.json": json.dumps({**envelope("test2015"), "questions": tests})})
    archive(COCO_AT + "zips/test2015.zip", pictures)


# ---------------------------------------------------------------- GQA

def gqa():
    src = Source(2)
    rng, questions, pictures = src.rng, {}, {}
    for k in range(15):
        s = src.scene()
        name = f"n{161313 + 29 * k}"
        pictures[f"images/{name}.jpg"] = s.file("jpg")
        for q in distinct(lambda: scenes.gqa(s, rng), 7):
            item = q.raw["item"]
            structural, semantic, detailed, operations = scenes.GQA_TYPES[item.skill]
            noun = next((w for w in item.question[:-1].split() if w in scenes.SHAPES or w in scenes.COLOUR_NAMES), "scene")
            steps = [{"operation": o, "argument": a.format(noun), "dependencies": [i - 1] if i else []} for i, (o, a) in enumerate(operations)]
            number = f"20{1307251 + 1013 * len(questions)}"
            questions[number] = {
                "semantic": steps, "entailed": [number], "equivalent": [number], "question": item.question, "imageId": name, "isBalanced": True,
                "groups": {"global": {"attr": "color", "rel": "place"}.get(semantic), "local": f"{len(questions)}-{noun}"},
                "answer": q.reply.lower(), "semanticStr": "->".join(f"{t['operation']}: {t['argument']}" for t in steps),
                "annotations": {"answer": {}, "question": {}, "fullAnswer": {}},
                "types": {"detailed": detailed, "semantic": semantic, "structural": structural}, "fullAnswer": item.sentence}
    for k in range(2):                                      # pictures that no question asks about
        pictures[f"images/{2370000 + k}.jpg"] = src.scene().file("jpg")
    archive(GQA_AT + "questions1.2.zip", {"testdev_balanced_questions.json": json.dumps(questions)})
    archive(GQA_AT + "images.zip", pictures)


# ---------------------------------------------------------------- VizWiz

def vizwiz():
    src = Source(3)
    rng, files, pictures = src.rng, {}, {"train": {}, "val": {}, "test": {}}
    for split, n in (("train", 2), ("val", 80), ("test", 16)):
        files[split] = []
        for k in range(n):
            s = src.scene()
            name = f"VizWiz_{split}_{k:08d}.jpg"
            pictures[split][f"{split}/{name}"] = s.file("jpg", scale=2)
            q = scenes.vizwiz(s, rng)[0]
            item = q.raw["item"]
            text = item.question.lower() if rng.random() < .2 else item.question + (" " if rng.random() < .1 else "")
            record = {"image": name, "question": text}
            if split != "test":
                answer = q.reply.lower()
                wrong = ["unsuitable"] if answer == "unanswerable" else ["unanswerable"] + others(item)
                record["answers"] = [{"answer_confidence": rng.choice(["yes", "yes", "maybe"]), "answer": w} for w in ten(rng, answer, wrong)]
                record |= {"answer_type": q.raw["answer_type"], "answerable": int(answer != "unanswerable")}
            files[split].append(record)
    archive(VIZWIZ_AT + "vqa_data/Annotations.zip", {f"{s}.json": json.dumps(files[s]) for s in ("train", "val", "test")})
    for split in ("val", "test"):
        archive(VIZWIZ_AT + f"images/{split}.zip", pictures[split])


# ---------------------------------------------------------------- ScienceQA

def scienceqa():
    src = Source(4)
    rng, problems, splits, pictures = src.rng, {}, {}, {}
    for split, n in (("train", 4), ("val", 4), ("test", 96)):
        splits[split] = []
        for k in range(n):
            text_only = rng.random() < .35
            s = src.scene()
            q = scenes.scienceqa(s, rng, text_only)[0]
            item, pid = q.raw["item"], str(len(problems) * 7 + 5)
            while text_only and any(p["question"] == item.question and p["hint"] == q.raw["hint"] and p["choices"] == q.raw["options"] for p in problems.values()):
                q = scenes.scienceqa(s, rng, True)[0]
                item = q.raw["item"]
            problems[pid] = {
                "question": item.question, "choices": [str(o) for o in q.raw["options"]], "answer": q.raw["options"].index(item.answer),
                "hint": q.raw["hint"], "image": None if text_only else "image.png", "task": "closed choice", "grade": "grade2",
                "subject": "natural science", "topic": "geometry", "category": "Shapes and colors", "skill": item.skill.replace("_", " "),
                "lecture": "", "solution": item.sentence, "split": split}
            splits[split].append(pid)
            if split == "test" and not text_only:
                pictures[f"test/{pid}/image.png"] = s.file("png")
    splits["trainval"] = splits["train"] + splits["val"]
    splits |= {"minitrain": splits["train"][:2], "minival": splits["val"][:2], "minitest": splits["test"][:10]}
    put(SCIENCEQA_AT + "problems.json", json.dumps(problems))
    put(SCIENCEQA_AT + "pid_splits.json", json.dumps(splits))
    archive("scienceqa.s3.us-west-1.amazonaws.com/images/test.zip", pictures)


# ---------------------------------------------------------------- TextVQA

def textvqa():
    src = Source(5)
    rng, data, ocr, pictures = src.rng, [], [], {}
    for k in range(45):
        s = src.scene(lambda s: s.signs, words=2 if k % 3 else 1)
        name = hashlib.sha256(f"textvqa {k}".encode()).hexdigest()[:16]
        pictures[f"train_images/{name}.jpg"] = s.file("jpg", scale=2)
        tokens = scenes.textvqa(s, rng)[0].raw["tokens"]
        ocr.append({"image_id": name, "ocr_tokens": tokens, "ocr_info": [{"word": t, "bounding_box": {}} for t in tokens],
                    "set_name": "val"})
        for q in distinct(lambda: scenes.textvqa(s, rng), len(s.signs) * 50, tries=60):
            item = q.raw["item"]
            text = item.question.lower()
            if any(d["image_id"] == name and d["question"] == text for d in data):
                continue
            data.append({"question": text, "image_id": name, "image_classes": ["Poster"], "flickr_original_url": "", "flickr_300k_url": "",
                         "image_width": 168, "image_height": 168, "answers": ten(rng, q.reply, others(item)),
                         "question_tokens": text[:-1].split(), "question_id": 34602 + len(data), "set_name": "val"})
    head = {"dataset_type": "val", "dataset_name": "textvqa", "dataset_version": "0.5.1"}
    put(TEXTVQA_AT + "data/TextVQA_0.5.1_val.json", json.dumps({**head, "data": data}))
    put(TEXTVQA_AT + "data/TextVQA_Rosetta_OCR_v0.2_val.json", json.dumps({**head, "dataset_version": "0.2", "data": ocr}))
    archive(TEXTVQA_AT + "images/train_val_images.zip", pictures)


# ---------------------------------------------------------------- MME

def mme():
    src = Source(6)
    root, members = "MME_Benchmark_release_version/MME_Benchmark/", {}
    for task, (group, _, _, layout) in scenes.MME_TASKS.items():
        done, suffix = 0, "png" if group == "cognition" else "jpg"
        while done < 4:
            s = src.scene(most=1 if task == "celebrity" else 3)
            pair = scenes.mme(s, src.rng, task)
            if not pair:
                continue
            stem = f"{done + 1:04d}" if layout == "flat" else f"{task}_{120 + 17 * done}"
            ends = "\n" if done % 2 else "\r\n"
            text = ends.join(q.raw["item"].question + scenes.MME_ENDING + "\t" + q.reply for q in pair) + (ends if done != 3 else "")
            pictures = root + task + ("/" if layout == "flat" else "/images/")
            texts = root + task + ("/" if layout == "flat" else "/questions_answers_YN/")
            members[f"{texts}{stem}.txt"] = text
            members[f"{pictures}{stem}.{suffix}"] = s.file(suffix)
            done += 1
    archive(MME_AT, members)


# ---------------------------------------------------------------- MMBench

MMBENCH_KINDS = {"colour": ("attribute_recognition", "finegrained_perception (instance-level)"),
                 "shape": ("physical_property_reasoning", "attribute_reasoning"),
                 "where": ("object_localization", "finegrained_perception (instance-level)"),
                 "count": ("structuralized_imagetext_understanding", "logic_reasoning"),
                 "word": ("ocr", "finegrained_perception (instance-level)"), "background": ("image_scene", "coarse_perception")}


def cell(text):
    return '"' + text.replace('"', '""') + '"' if text[:1] == '"' or any(c in text for c in "\t\r\n") else text


def mmbench():
    src = Source(7)
    header = "index question hint A B C D answer category image source l2-category comment split".split()
    for name, n_pictures, chinese in (("mmbench_dev_20230712.tsv", 32, False), ("mmbench_dev_cn_20231003.tsv", 4, True)):
        if chinese:
            src = Source(7)                                 # the same pictures
        rows, number = [], 241
        for k in range(n_pictures):
            s = src.scene()
            picture = base64.b64encode(s.file("jpg")).decode()
            rng = random.Random(s.seed)
            asked = []
            while len(asked) < 2:
                turns = scenes.mmbench(s, rng, chinese)
                if turns[0].raw["item"].question not in asked:
                    asked.append(turns[0].raw["item"].question)
                    for q in turns:
                        category, l2 = MMBENCH_KINDS[q.skill]
                        options = dict(zip("ABCD", q.raw["options"]))
                        rows.append({"index": str(number + 1_000_000 * q.raw["turn"]), "question": q.raw["item"].question, "hint": q.raw["hint"],
                                     **{c: options.get(c, "") for c in "ABCD"}, "answer": q.reply, "category": category, "image": picture,
                                     "source": "drawn", "l2-category": l2, "comment": "", "split": "dev"})
                    number += 3
        rows.sort(key=lambda r: (int(r["index"]) // 1_000_000 // 2, int(r["index"]) % 1_000_000, r["index"]))
        put(MMBENCH_AT + name, "\t".join(header) + "\n" + "".join("\t".join(cell(r[h]) for h in header) + "\n" for r in rows))


# ---------------------------------------------------------------- SEED-Bench

SEED_NAMES = ["Scene Understanding", "Instance Identity", "Instance Attributes", "Instance Location", "Instances Counting", "Spatial Relation",
              "Instance Interaction", "Visual Reasoning", "Text Understanding", "Action Recognition", "Action Prediction", "Procedure Understanding"]


def seed_bench():
    src = Source(8)
    rng, questions, pictures = src.rng, [], {}
    for k in range(24):
        s = src.scene()
        name = f"{1454426 + 31 * k}_{2591111986 + 101 * k}"
        pictures["SEED-Bench-image/" + name] = s.file("png" if k % 4 == 3 else "jpg")
        for q in distinct_by_question(lambda: scenes.seed(s, rng), 4):
            item, options = q.raw["item"], q.raw["options"]
            number = 49914 if len(questions) in (10, 40) else 101669 + len(questions)       # one id stands twice, as in the original
            questions.append({"answer": q.reply, **{f"choice_{c}": o for c, o in zip("abcd", options)}, "data_id": name, "data_type": "image",
                              "question": item.question, "question_id": str(number), "question_type_id": q.raw["type"]})
    questions.sort(key=lambda q: q["question_type_id"])
    types = {n: i + 1 for i, n in enumerate(SEED_NAMES)}
    put(SEED_AT + "8a0beb74cb0ed9d51791a055a89d9679e001d6bc/SEED-Bench.json", json.dumps({"questions": questions, "question_type": types}))
    archive(SEED_AT + "main/SEED-Bench-image.zip", pictures)


def distinct_by_question(make, n, tries=200):
    out = {}
    for _ in range(tries):
        for q in make():
            if len(out) < n:
                out.setdefault(q.raw["item"].question, q)
    return list(out.values())


# ---------------------------------------------------------------- LLaVA-Bench

JUDGE_RULE = ("Compare the two answers with the context, which says all that the picture shows. Look only at whether they name the right shapes, "
              "colors, places and words. First line: two numbers from 1 to 10, for Assistant 1 and for Assistant 2, with one blank between them. "
              "Second line: why.")


def llavabench():
    src = Source(9)
    rng, questions, contexts, answers = src.rng, [], [], []
    wanted = dict(conv=17, detail=15, complex=28)
    pictures = [src.scene() for _ in range(24)]
    for k, s in enumerate(pictures):
        put(LLAVABENCH_AT + f"images/{k + 1:03d}.jpg", s.file("jpg"))
        contexts.append({"id": f"{k + 1:03d}", "image": f"{k + 1:03d}.jpg", "caption": scenes.describe(s).answer})
    plan = {k: [] for k in range(24)}
    for category, n in wanted.items():
        given = 0
        while given < n:
            k = (given * 5 + (7 if category == "conv" else 0)) % 24
            s = pictures[k]
            if category == "complex" and given >= 20:
                item = scenes.pick(s, rng, [scenes.where, scenes.count])
            else:
                item = scenes.llavabench(s, rng, category)[0].raw["item"]
            if item.question in [i.question for _, i in plan[k]]:
                item = scenes.pick(s, rng, [scenes.colour, scenes.shape, scenes.where, scenes.count, scenes.background])
                if item.question in [i.question for _, i in plan[k]]:
                    continue
            plan[k].append((category, item))
            given += 1
    for k in range(24):
        for category, item in plan[k]:
            i = len(questions)
            questions.append({"question_id": i, "image": f"{k + 1:03d}.jpg", "category": category, "text": item.question})
            answers.append({"question_id": i, "prompt": item.question, "answer_id": f"demo-{i:02d}", "model_id": "written from the scene",
                            "text": item.sentence, "metadata": {}})
    put(LLAVABENCH_AT + "questions.jsonl", lines(questions))
    put(LLAVABENCH_AT + "context.jsonl", lines(contexts))
    put(LLAVABENCH_AT + "answers_gpt4.jsonl", lines(answers))
    put(RULE_AT, json.dumps({f"llava_bench_{c}": {"role": "Assistant", "prompt": JUDGE_RULE} for c in ("conv", "detail", "complex")}, indent=4) + "\n")


# ---------------------------------------------------------------- MM-Vet

MMVET_JUDGE = '''"""A stand-in for MM-Vet's evaluator: only its few-shot prompt is read, and this one is our own."""

prompt = """How much of the ground truth does the prediction say? Give one number between 0.0 (nothing of it) and 1.0 (all of it). Parts joined by <AND> must all be there; of parts joined by <OR> one is enough.

Question | Ground truth | Prediction | Correctness
--- | --- | --- | ---
What color is the circle? | The circle is red. | The circle is red. | 1.0
What color is the circle? | The circle is red. | The circle is green. | 0.0
Where is the star? | The star is at the top left. | The star is at the top right. | 0.5
"""
'''


def mmvet():
    src = Source(10)
    rng, questions, pictures = src.rng, {}, {}
    number = 0
    while len(questions) < 60:
        s = src.scene()
        suffix = "png" if number % 3 == 2 else "jpg"
        name = f"v1_{len(questions)}.{suffix}"
        pictures["mm-vet/images/" + name] = s.file(suffix)
        for q in distinct(lambda: scenes.mmvet(s, rng), 3):
            item = q.raw["item"]
            answer = item.sentence
            if item.skill == "count" and len(questions) % 2:
                answer = item.sentence[:-1] + "<OR>" + item.sentence
            if item.skill == "word" and len(questions) % 3 == 0:
                answer = "<AND>".join([item.sentence[:-len(item.answer) - 2], item.answer + "."])
            questions[f"v1_{len(questions)}"] = {"imagename": name, "question": item.question, "answer": answer,
                                                 "imagesource": "drawn", "capability": q.raw["capability"]}
        number += 1
    first = list(questions)[:3]
    archive(MMVET_AT, {"mm-vet/mm-vet.json": json.dumps(questions, indent=4), "mm-vet/bard_set.json": json.dumps(first), **pictures})
    put(MMVET_JUDGE_AT, MMVET_JUDGE)


def main():
    shutil.rmtree(OUT, ignore_errors=True)
    for write in (pope_and_vqav2, gqa, vizwiz, scienceqa, textvqa, mme, mmbench, seed_bench, llavabench, mmvet):
        write()
    files = sorted(str(p.relative_to(OUT)) for p in OUT.rglob("*") if p.is_file())
    put("SHA256SUMS", "".join(f"{hashlib.sha256((OUT / f).read_bytes()).hexdigest()}  {f}\n" for f in files))
    print(len(files), "files,", sum((OUT / f).stat().st_size for f in files), "bytes")


if __name__ == "__main__":
    main()
