#!/usr/bin/env python3
"""Makes a store in which two models answered the question files that synthetic.py wrote into DIR, and times
their comparison:

    tests/bench/synthetic.py DIR
    tests/bench/synthetic_store.py DIR ./llava-eval DIR/two.db
    time ./llava-eval compare one two --data DIR --db DIR/two.db >/dev/null

Replies are the references, wrong for a third of the questions, for two thirds of those in both models;
264,000 questions in all. The seed is fixed."""
import hashlib
import json
import pathlib
import random
import sqlite3
import subprocess
import sys

FILES = {  # whose bytes are the data set's hash, as each benchmark's question_files has them
    "vqav2:val": ["v2_OpenEnded_mscoco_val2014_questions.json", "v2_mscoco_val2014_annotations.json"],
    "gqa:testdev_balanced": ["testdev_balanced_questions.json"],
    "vizwiz:val": ["Annotations/val.json"],
    "scienceqa:test": ["problems.json", "pid_splits.json"],
    "textvqa:val": ["TextVQA_0.5.1_val.json", "TextVQA_Rosetta_OCR_v0.2_val.json"],
    "mmbench:dev": ["mmbench_dev_20230712.tsv"],
    "seed:test": ["SEED-Bench.json"],
}


def data_hash(folder, names):
    whole = hashlib.sha256()
    for name in names:
        whole.update(name.encode() + b"\0" + hashlib.sha256((folder / name).read_bytes()).digest())
    return whole.hexdigest()


def questions(program, data, suite):
    told = subprocess.run([program, "show", "--benchmark", suite, "--data", data, "--json"], check=True,
                          capture_output=True, text=True).stdout
    rows = [json.loads(line) for line in told.splitlines()]
    for row in rows:                        # ten human answers: the commonest
        told = row["reference"]
        row["gold"] = max(told, key=told.count) if isinstance(told, list) else told or ""
    return rows


def replies(rows):
    wrong = ["yes", "no", "2", "A", "B", "C", "D", "nothing"]
    for row in rows:
        gold, other = row["gold"], random.choice(wrong)
        hard = random.random() < 1 / 3
        yield [other if hard and random.random() < 0.8 else gold for _ in range(2)]


def fill(store, program, data, suite, names):
    benchmark, split = suite.split(":")
    rows = questions(program, data, suite)
    dataset = store.execute("INSERT INTO dataset (benchmark, split, hash, n, official) VALUES (?, ?, ?, ?, 0)",
                            (benchmark, split, data_hash(pathlib.Path(data) / benchmark, names), len(rows))).lastrowid
    store.executemany("INSERT INTO question VALUES (?, ?, ?, ?, ?, ?, ?)",
                      ((dataset, i, r["question_id"], r["image"], r["text"], r["gold"], r["category"])
                       for i, r in enumerate(rows)))
    said = list(replies(rows))
    for model in (1, 2):
        run = store.execute("INSERT INTO run (model, dataset, prompts, prompt_hash, conversation, image_mode, dtype,"
                            " decode, program, device, host, started) VALUES (?, ?, 'paper', 'synthetic',"
                            " 'vicuna_v1', 'config', 'fp32', '{}', '', 'cpu', '', '2026-01-01T00:00:00Z')",
                            (model, dataset)).lastrowid
        store.executemany("INSERT INTO reply VALUES (?, ?, ?, NULL, 'stop', 600, 2, 1.0)",
                          ((run, i, pair[model - 1]) for i, pair in enumerate(said)))
    return len(rows)


def main(data, program, path):
    random.seed(3)
    pathlib.Path(path).unlink(missing_ok=True)
    store = sqlite3.connect(path)
    steps = sorted((pathlib.Path(__file__).parents[2] / "results").glob("schema*.sql"))
    for step in steps:                      # schema.sql, schema_2.sql, ...
        store.executescript(step.read_text(encoding="utf-8"))
    store.execute("PRAGMA application_id = 0x4C4C5645")
    store.execute(f"PRAGMA user_version = {len(steps)}")
    for label in ("one", "two"):
        store.execute("INSERT INTO model (weights, connector, label, n_parameters) VALUES (?, 'linear', ?, 0)",
                      (label, label))
    n = sum(fill(store, program, data, suite, names) for suite, names in FILES.items())
    store.commit()
    print(f"{path}: {n} questions, answered by two models")


if len(sys.argv) != 4:
    sys.exit(__doc__)
main(*sys.argv[1:])
