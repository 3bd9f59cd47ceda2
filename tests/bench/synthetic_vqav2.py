#!/usr/bin/env python3
"""Writes a VQAv2 val of the real size (214,354 questions, 2,143,540 answers) into DIR/vqav2, and
DIR/answers.jsonl with a reply to each, to time reading and scoring:

    tests/bench/synthetic_vqav2.py /tmp/synthetic
    time ./llava-eval score --benchmark vqav2 --split val --data /tmp/synthetic \
        --answers /tmp/synthetic/answers.jsonl --json

Lengths, the share of answers that agree, and the order of keys are those of the real files; words are
random, the seed is fixed."""
import json
import pathlib
import random
import sys

N, IMAGES = 214354, 40504
random.seed(2)
words = ["".join(random.choices("abcdefghijklmnopqrstuvwxyz", k=random.randint(3, 9))) for _ in range(3000)]


def answer(kind):
    if kind == "yes/no":
        return random.choice(["yes", "no"])
    if kind == "number":
        return str(random.randint(0, 30))
    return " ".join(random.choices(words, k=random.choice([1, 1, 1, 2, 3])))


def main(folder):
    data = pathlib.Path(folder) / "vqav2"
    data.mkdir(parents=True, exist_ok=True)
    questions, annotations, replies = [], [], []
    for i in range(N):
        image = 1 + 14 * (i * IMAGES // N)
        ident = image * 1000 + i % 6 + 6 * (i % 7)
        kind = random.choices(["yes/no", "number", "other"], [38, 12, 50])[0]
        gold = answer(kind)
        told = [gold if random.random() < 0.6 else answer(kind) for _ in range(10)]
        questions.append({"image_id": image, "question": "What " + " ".join(random.choices(words, k=5)) + "?",
                          "question_id": ident})
        annotations.append({"question_type": "what is", "multiple_choice_answer": gold,
                            "answers": [{"answer": a, "answer_confidence": "yes", "answer_id": k + 1}
                                        for k, a in enumerate(told)],
                            "image_id": image, "answer_type": kind, "question_id": ident})
        replies.append(json.dumps({"question_id": ident, "text": gold.capitalize()}))
    envelope = {"info": {"year": 2017}, "data_type": "mscoco", "data_subtype": "val2014"}
    for name, key, rows in (("v2_OpenEnded_mscoco_val2014_questions.json", "questions", questions),
                            ("v2_mscoco_val2014_annotations.json", "annotations", annotations)):
        with open(data / name, "w", encoding="utf-8") as f:
            json.dump({**envelope, key: rows}, f)
    (pathlib.Path(folder) / "answers.jsonl").write_text("\n".join(replies) + "\n", encoding="utf-8")


if len(sys.argv) != 2:
    sys.exit(__doc__)
main(sys.argv[1])
