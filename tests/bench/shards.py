#!/usr/bin/env python3
"""Makes the stores of a large job, as its shards would have written them, for the time and memory of a merge:

    tests/bench/shards.py DIR SHARDS MODELS [QUESTIONS]
    /usr/bin/time -v ./llava-eval merge DIR/all.db DIR/shard-*.db --data DIR

QUESTIONS is the whole suite's 172 thousand by default; with fewer, each split shrinks. Every shard has its own
questions only, every model one reply to each and a headline score to each split. The seed is fixed."""
import pathlib
import random
import sqlite3
import sys

SPLITS = {"vqav2:testdev": 107394, "seed:test": 19242, "gqa:testdev_balanced": 12578, "pope:test": 8910,
          "vizwiz:test": 8000, "textvqa:val": 5000, "mmbench:dev": 4329, "scienceqa:test": 4241, "mme:test": 2374,
          "mmvet:test": 218, "llavabench:test": 60}
WORDS = "yes no two red A B C D white left a dog on the sofa unanswerable tennis 2 skateboard blue".split()


def schema():
    steps = sorted((pathlib.Path(__file__).parents[2] / "results").glob("schema*.sql"))
    text = "".join(step.read_text(encoding="utf-8") for step in steps)  # schema.sql, schema_2.sql, ...
    return f"{text} PRAGMA application_id = 0x4C4C5645; PRAGMA user_version = {len(steps)};"


def fill(store, sizes, shard, shards, models):
    for model in range(1, models + 1):
        store.execute("INSERT INTO model VALUES (?, ?, 'linear', ?, '{}', 7000000000)",
                      (model, f"{model:064x}", f"model-{model}"))
    for dataset, (name, n) in enumerate(sizes.items(), 1):
        benchmark, split = name.split(":")
        first, end = n * shard // shards, n * (shard + 1) // shards
        store.execute("INSERT INTO dataset VALUES (?, ?, ?, ?, ?, 1)", (dataset, benchmark, split, f"{dataset:064x}", n))
        store.executemany("INSERT INTO question VALUES (?, ?, ?, ?, ?, ?, ?)", (
            (dataset, i, str(262144000 + i), f"images/COCO_test2015_{i // 6:012}.jpg",
             "What is the man in the picture holding in his left hand?", None, "") for i in range(first, end)))
        for model in range(1, models + 1):
            run = store.execute(
                "INSERT INTO run (model, dataset, prompts, prompt_hash, conversation, image_mode, dtype, decode, program,"
                " device, host, started, finished) VALUES (?, ?, 'paper', ?, 'vicuna_v1', 'config', 'fp16',"
                " '{\"temperature\":0,\"max_new_tokens\":128}', '1', 'cuda:0', ?, ?, '2026-01-02T00:00:00Z')",
                (model, dataset, f"{dataset:064x}", f"node{shard}", f"2026-01-01T{model:02}:{dataset:02}:00Z")).lastrowid
            replies = random.Random(f"{model} {dataset} {shard}")
            store.executemany("INSERT INTO reply VALUES (?, ?, ?, NULL, 'stop', ?, 3, ?)", (
                (run, i, " ".join(replies.choices(WORDS, k=replies.randint(1, 2))), 620 + i % 40, 11.25 + i % 7)
                for i in range(first, end)))
            if shards == 1:
                store.execute("INSERT INTO score VALUES (?, 'accuracy', 0, ?, 0.5, ?, 1, 0, 1, NULL)",
                              (run, 50 + model / 7, n))


def main(folder, shards, models, questions=sum(SPLITS.values())):
    whole = sum(SPLITS.values())
    sizes = {name: max(1, n * questions // whole) for name, n in SPLITS.items()}
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    text = schema()
    for shard in range(shards):
        path = folder / f"shard-{shard:04}.db"
        path.unlink(missing_ok=True)
        store = sqlite3.connect(path)
        store.executescript("PRAGMA synchronous = OFF; PRAGMA journal_mode = WAL;" + text)
        fill(store, sizes, shard, shards, models)
        store.commit()
        store.close()
    stored = sum(path.stat().st_size for path in folder.glob("shard-*.db"))
    print(f"{shards} stores, {models * sum(sizes.values())} replies, {stored / 1e6:.1f} MB")


if len(sys.argv) not in (4, 5):
    sys.exit(__doc__)
main(sys.argv[1], *map(int, sys.argv[2:]))
