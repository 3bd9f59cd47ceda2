#!/usr/bin/env python3
"""Writes replies.jsonl: random replies, made of the pieces that the evaluators trip over, and how each
benchmark's evaluator reads them. The readings are written here a second time, in Python (which is what
the evaluators are written in, so that split, lower, float and re are theirs), by the rules of the
benchmarks' pages; the program is in C. Never needed by make test:

    python3 tests/vectors/replies/record.py > tests/vectors/replies/replies.jsonl

Recorded with Python 3.11. For more of them:

    python3 tests/vectors/replies/record.py 20000 9 > /tmp/replies.jsonl
    LLAVA_REPLIES=/tmp/replies.jsonl LLAVA_ROOT=. build/unit-tests replies_are"""
import json
import random
import re
import sys

N, SEED = (int(sys.argv[1]), int(sys.argv[2])) if len(sys.argv) == 3 else (220, 3)
random.seed(SEED)


def random_strings(pieces, n=N, longest=7):
    return ["".join(random.choices(pieces, k=random.randint(0, longest))) for _ in range(n)]


# ---- POPE: llava/eval/eval_pope.py ----------------------------------------------------------------
def pope(text):
    if "." in text:
        text = text.split(".")[0]
    words = text.replace(",", "").split(" ")
    return "no" if "No" in words or "not" in words or "no" in words else "yes"


POPE = ["No", "no", "not", "Not", "NO", "yes", "Yes", " ", " ", " ", ",", ".", "\n", "\t", "\u00a0", "a", "!", "n", "o"]


# ---- MME: eval_tool.zip, calculation.py -----------------------------------------------------------
def mme(text):
    start = text.replace("\r", "").replace("\n", "").replace("\t", "").lower()[:4]
    return "yes" if "yes" in start else "no" if "no" in start else "other"


MME = ["yes", "Yes", "YES", "no", "No", "y", "e", "s", "n", "o", " ", "*", "\u00bf", "\u4e0d", "\n", "\t", "\r", "a"]


# ---- ScienceQA: llava/eval/eval_science_qa.py -----------------------------------------------------
def scienceqa(text):
    if text in ["A", "B", "C", "D", "E"]:
        return text
    if len(text) >= 3 and text[0] in "ABCDE" and text[1:3] == ". ":
        return text[0]
    found = re.compile(r"The answer is ([A-Z]).").findall(text)
    return found[0] if len(found) == 1 else ""


SCIENCE = ["A", "B", "E", "G", ". ", ".", " ", "The answer is ", "The answer is A", "the answer is ", "\n", "\u3002",
           "(", "x"]


# ---- GQA: scripts/convert_gqa_for_eval.py ---------------------------------------------------------
def gqa(text):
    return text.rstrip(".").lower()


GQA = ["Red", "red", ".", ".", " ", "\u0130", "\u03a3", "\u039f\u0394\u039f\u03a3", "\u00c7", "\n", "\u00df", "\U0001f355", "'",
       "A", "\u2019\u03a3"]


# ---- MMBench: VLMEvalKit, vlmeval/utils/matching_util.py ------------------------------------------
CHOICES = [{"A": "cup", "B": "cupcake", "C": "A fork", "D": "2.5 spoons"}, {"A": "yes", "B": "no"},
           {"A": "B", "B": "A", "C": "c"}]
REFUSALS = ["Sorry, I can't help with images of people yet.", "I can't process this file.",
            "I'm sorry, but without the image provided", "Cannot determine the answer"]


def infer_option(answer, choices):
    if "Failed to obtain answer via API" in answer:
        return ""
    if any(r in answer for r in REFUSALS):
        return "Z"
    plain = answer
    for c in ".()[],:;!*#{}":
        plain = plain.replace(c, " ")
    words = plain.split()
    there = [c for c in choices if c in words]
    if len(there) == 1 and words.index(there[0]) > len(words) - 5:
        return there[0]
    if not there and "Z" in words:
        return "Z"
    found = re.search(r"answer\s+is\s+\**([a-d])", answer, re.IGNORECASE)
    if found and found.group(1).upper() in choices:
        return found.group(1).upper()
    return ""


def mmbench(answer, choices):
    option = infer_option(answer, choices)
    if option:
        return option
    low = answer.lower()
    if len(low) > 2 * sum(len(str(v)) for v in choices.values()):
        return ""
    held = [k for k, v in choices.items() if str(v).lower() in low]
    return held[0] if len(held) == 1 else ""


MMBENCH = ["A", "B", "C", "D", "Z", "a", "b", " ", " ", " ", ". ", "(", ")", "*", "**", "cup", "cupcake", "A fork",
           "2.5 spoons", "yes", "No", "answer is ", "Answer  is **", "the", "\n", "\u00a0", "\u3002", "-", "so I think it is"] \
    + REFUSALS[2:] + ["Failed to obtain answer via API"]


# ---- LLaVA-Bench and MM-Vet: numbers out of a judge's reply ---------------------------------------
RUN = "[0-9](?:_?[0-9])*"
PLAIN_NUMBER = re.compile(rf"\s*[+-]?({RUN}\.?({RUN})?|\.{RUN})([eE][+-]?{RUN})?\s*")


def number(text):
    """float(text), but for what the program leaves out on purpose: inf, nan, digits beyond ASCII."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if PLAIN_NUMBER.fullmatch(text) and abs(value) < float("inf") else None


def pair(reply):
    fields = reply.split("\n")[0].replace(",", " ").split(" ")
    values = [number(f) for f in fields]
    return values if len(values) == 2 and None not in values else None


def grade(reply):
    value = number(reply.split(" ")[0].strip())
    return value if value is not None and 0.0 <= value <= 1.0 else None


NUMBERS = ["7", "6.5", ".5", "1_0", "1__0", "0", "1", "0.4", "-", "+", "e1", "E-1", ".", "_", " ", " ", ",", "\n", "\t", "\r",
           "0x7", "nan", "inf", "|", "\u00a0", "x"]


# ---- VQAv2's cleaning, without contractions: vqaEval.py; and what LLaVA does before ----------------
MARKS = [";", "/", "[", "]", '"', "{", "}", "(", ")", "=", "+", "\\", "_", "-", ">", "<", "@", "`", ",", "?", "!"]
DIGITS = {w: str(i) for i, w in enumerate("zero one two three four five six seven eight nine ten".split())}


def vqa(text):
    text = text.replace("\n", " ").replace("\t", " ").strip()
    out = text
    for p in MARKS:
        if p + " " in text or " " + p in text or re.search(r"(\d)(\,)(\d)", text) is not None:
            out = out.replace(p, "")
        else:
            out = out.replace(p, " ")
    out = re.compile(r"(?!<=\d)(\.)(?!\d)").sub("", out, re.UNICODE)     # the flag is taken for a count: 32
    words = [DIGITS.get(w, "0" if w == "none" else w) for w in out.lower().split()]
    return " ".join(w for w in words if w not in ("a", "an", "the"))


def m4c(text):
    return vqa(text.lower().replace(",", "").replace("?", "").replace("'s", " 's").strip())


VQA = MARKS + ["Two", "none", "a", "The", "an ", " ", " ", " ", ".", ".", "1", "2", ",", "x", "'s", "\u0663", "\u00c0", "\n",
               "\t", "\u00a0", "\u200b", "\u03a3", "ten", "q"]

for s in random_strings(POPE):
    print(json.dumps({"rule": "pope", "reply": s, "want": pope(s)}))
for s in random_strings(MME):
    print(json.dumps({"rule": "mme", "reply": s, "want": mme(s)}))
for s in random_strings(SCIENCE, longest=5):
    print(json.dumps({"rule": "scienceqa", "reply": s, "want": scienceqa(s)}))
for s in random_strings(GQA):
    print(json.dumps({"rule": "gqa", "reply": s, "want": gqa(s)}))
for s in random_strings(MMBENCH, n=3 * N):
    c = random.choice(CHOICES)
    print(json.dumps({"rule": "mmbench", "reply": s, "choices": list(c.values()), "want": mmbench(s, c)}))
for s in random_strings(NUMBERS, n=2 * N, longest=5):
    p = pair(s)
    print(json.dumps({"rule": "pair", "reply": s, "read": p is not None, "a": p[0] if p else -1, "b": p[1] if p else -1}))
    g = grade(s)
    print(json.dumps({"rule": "grade", "reply": s, "read": g is not None, "a": g if g is not None else 0}))
for s in random_strings(VQA, n=2 * N, longest=12):
    print(json.dumps({"rule": "vqa", "reply": s, "want": vqa(s)}))
    print(json.dumps({"rule": "m4c", "reply": s, "want": m4c(s)}))
