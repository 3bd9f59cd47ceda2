#!/usr/bin/env python3
"""Writes the question files of benchmarks in the official formats and at the official sizes, to time
reading and scoring:

    tests/bench/synthetic.py DIR [NAME ...]          all: vqav2 gqa vizwiz scienceqa textvqa mmbench seed
    tests/bench/synthetic.sh DIR                     reads each and prints time and memory

vqav2 val is 214,354 questions on 40,504 pictures with 2,143,540 answers, test2015 447,793 questions;
answers.jsonl in DIR has a reply to each question of val. With `pictures` among the names, val2014/ is
filled with 40,504 links to one small picture. `scale` writes DIR/scale/{1000,10000,100000}: so many of
val's questions, on links to the pictures in DIR/scale/pictures (synthetic.sh makes them). Numbers of rows, lengths and the order of keys are those
of the real files; words are random, the seed is fixed."""
import base64
import json
import os
import pathlib
import random
import shutil
import sys

random.seed(2)
words = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(3, 9))) for _ in range(3000)]


def text(n):
    return " ".join(random.choices(words, k=n))


def write(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


# ---- vqav2 ----------------------------------------------------------------------------------------

ENVELOPE = {"info": {"year": 2017}, "task_type": "Open-Ended", "data_type": "mscoco"}
VAL, VAL_IMAGES = 214354, 40504


def val_image(i):
    return 1 + 14 * (i * VAL_IMAGES // VAL)


def answer(kind):
    if kind == "yes/no":
        return random.choice(["yes", "no"])
    return str(random.randint(0, 30)) if kind == "number" else text(random.choice([1, 1, 1, 2, 3]))


def val(data, n):
    questions, annotations, replies = [], [], []
    for i in range(n):
        image = val_image(i)
        ident = image * 1000 + i % 6 + 6 * (i % 7)
        kind = random.choices(["yes/no", "number", "other"], [38, 12, 50])[0]
        gold = answer(kind)
        told = [gold if random.random() < 0.6 else answer(kind) for _ in range(10)]
        questions.append({"image_id": image, "question": "What " + text(5) + "?", "question_id": ident})
        annotations.append({"question_type": "what is", "multiple_choice_answer": gold,
                            "answers": [{"answer": a, "answer_confidence": "yes", "answer_id": k + 1}
                                        for k, a in enumerate(told)],
                            "image_id": image, "answer_type": kind, "question_id": ident})
        replies.append(json.dumps({"question_id": ident, "text": gold.capitalize()}))
    write(data / "v2_OpenEnded_mscoco_val2014_questions.json", {**ENVELOPE, "questions": questions})
    write(data / "v2_mscoco_val2014_annotations.json", {**ENVELOPE, "annotations": annotations})
    write(data.parent / "answers.jsonl", "\n".join(replies) + "\n")


def vqav2(data):
    val(data, VAL)
    test = [{"image_id": 1 + i * 81434 // 447793, "question": "What " + text(5) + "?",
             "question_id": (1 + i * 81434 // 447793) * 1000 + i % 6} for i in range(447793)]
    write(data / "v2_OpenEnded_mscoco_test2015_questions.json", {**ENVELOPE, "questions": test})
    write(data / "v2_OpenEnded_mscoco_test-dev2015_questions.json", {**ENVELOPE, "questions": test[:107394]})


def link_pictures(folder, n, files):
    """Of the first n questions; the files, which lie on the same disk, in turns."""
    folder.mkdir(parents=True, exist_ok=True)
    for k, image in enumerate(sorted({val_image(i) for i in range(n)})):
        path = folder / f"COCO_val2014_{image:012d}.jpg"
        if not path.exists():
            os.link(files[k % len(files)], path)


def pictures(data):
    root = pathlib.Path(__file__).resolve().parents[2]
    one = sorted((root / "demo/mirror/images.cocodataset.org/val2014").glob("*.jpg"))[0]
    data.parent.mkdir(parents=True, exist_ok=True)
    link_pictures(data.parent / "vqav2/val2014", VAL, [shutil.copy(one, data.parent / "one.jpg")])


def scale(data):
    for n in (1000, 10000, 100000):
        val(data / f"{n}/vqav2", n)
        link_pictures(data / f"{n}/vqav2/val2014", n, sorted((data / "pictures").glob("*.jpg")))


# ---- the others ------------------------------------------------------------------------------------

def gqa(data):
    write(data / "testdev_balanced_questions.json", {
        str(20000000 + i): {
            "semantic": [{"operation": "select", "dependencies": [], "argument": text(2)} for _ in range(3)],
            "entailed": [str(20000000 + i)], "equivalent": [str(20000000 + i)], "question": text(8) + "?",
            "imageId": "n%d" % (100000 + i * 398 // 12578), "isBalanced": True,
            "groups": {"global": random.choice(words), "local": text(2)}, "answer": random.choice(words),
            "semanticStr": text(12), "annotations": {"answer": {}, "question": {}, "fullAnswer": {}},
            "types": {"detailed": "x", "semantic": "rel", "structural": "query"}, "fullAnswer": text(9)}
        for i in range(12578)})


def vizwiz(data):
    for split, n in (("val", 4319), ("test", 8000)):
        rows = [{"image": f"VizWiz_{split}_{i:08d}.jpg", "question": text(7) + "?"} for i in range(n)]
        for row in rows if split == "val" else []:
            row["answers"] = [{"answer": text(2), "answer_confidence": "yes"} for _ in range(10)]
            row["answer_type"], row["answerable"] = "other", 1
        write(data / f"Annotations/{split}.json", rows)


def scienceqa(data):
    ids = [str(i + 1) for i in range(21208)]
    write(data / "problems.json", {
        i: {"question": text(12) + "?", "choices": [text(2) for _ in range(4)], "answer": 1, "hint": text(30),
            "image": "image.png", "task": "closed choice", "grade": "grade2", "subject": "natural science",
            "topic": "physics", "category": "Magnets", "skill": text(5), "lecture": text(100),
            "solution": text(80), "split": "test"} for i in ids})
    write(data / "pid_splits.json", {"train": ids[:12726], "val": ids[12726:16967], "test": ids[16967:]})


def textvqa(data):
    images = ["%016x" % (i * 7919) for i in range(3166)]
    write(data / "TextVQA_0.5.1_val.json", {"dataset_type": "val", "data": [
        {"question": text(7) + "?", "image_id": images[i * 3166 // 5000], "image_classes": [text(1)] * 4,
         "flickr_original_url": "https://x/" + text(1), "image_width": 1024, "image_height": 768,
         "answers": [text(2) for _ in range(10)], "question_tokens": [text(1)] * 7, "question_id": 34602 + i,
         "set_name": "val"} for i in range(5000)]})
    write(data / "TextVQA_Rosetta_OCR_v0.2_val.json", {"data": [
        {"image_id": image, "ocr_tokens": text(14).split(), "ocr_info": [
            {"word": text(1), "bounding_box": {"width": 0.1234567, "height": 0.0123456, "rotation": -2.1,
             "top_left_x": 0.5123456, "top_left_y": 0.6123456}} for _ in range(14)]} for image in images]})


def mmbench(data):
    """A row's picture is what makes the real table 138 MB: some 23 kB of base64."""
    for name in ("mmbench_dev_20230712.tsv", "mmbench_dev_cn_20231003.tsv"):
        rows = ["index\tquestion\thint\tA\tB\tC\tD\tanswer\tcategory\timage\tsource\tl2-category\tcomment\tsplit"]
        shown = [base64.b64encode(random.randbytes(23600)).decode() for _ in range(1176)]
        for i in range(4377):
            q, turn = i % 1176, i // 1176
            rows.append("\t".join([str(q + 1000000 * turn), text(9) + "?", text(12) if q % 3 else "", text(2),
                                   text(2), text(2), text(2), "A", "object_localization", shown[q], "x",
                                   "finegrained_perception (instance-level)", "", "dev"]))
        write(data / name, "\n".join(rows) + "\n")


def seed(data):
    write(data / "SEED-Bench.json", {"questions": [
        {"answer": "A", "choice_a": text(4), "choice_b": text(4), "choice_c": text(4), "choice_d": text(4),
         "data_id": str(1000000 + i), "data_type": "image" if i < 14233 else "video", "question": text(12) + "?",
         "question_id": str(i) if i < 14233 else "v%d" % i, "question_type_id": 1 + i % 9 if i < 14233 else 10,
         "segment": [1.0, 2.0]} for i in range(19242)], "question_type": {}})


MADE = {f.__name__: f for f in (vqav2, gqa, vizwiz, scienceqa, textvqa, mmbench, seed)}
if len(sys.argv) < 2:
    sys.exit(__doc__)
for name in sys.argv[2:] or MADE:
    ({**MADE, "pictures": pictures, "scale": scale}[name])(pathlib.Path(sys.argv[1]) / name)
