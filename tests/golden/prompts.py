#!/usr/bin/env python3
"""Writes prompts.jsonl: for every benchmark one question, and its whole prompt in every generation's
conversation template (set `paper`), and T in every other prompt set.

Own strings, by the rules of haotian-liu/LLaVA c121f04 (llava/conversation.py, llava/eval/model_vqa*.py)
and of LLaVA-1.5's released question files; nothing is taken from the program's sources. Never needed
by make test: python3 tests/golden/prompts.py > tests/golden/prompts.jsonl"""
import json

SHORT = "Answer the question using a single word or phrase."
LETTER = "Answer with the option's letter from the given choices directly."
LETTER_CN = "请直接回答选项字母。"
UNANS = "When the provided information is insufficient, respond with 'Unanswerable'."
ENDING = "Please answer yes or no."

S1 = ("A chat between a curious user and an artificial intelligence assistant. "
      "The assistant gives helpful, detailed, and polite answers to the user's questions.")
S2 = S1.replace("user", "human")
S3 = ("A chat between a curious user and an artificial intelligence assistant. "
      "The assistant is able to understand the visual content that the user provides, "
      "and assist the user with a variety of tasks using natural language."
      "The visual content will be provided with the following format: <Image>visual content</Image>.")
S4 = ("You are a helpful language and vision assistant. You are able to understand the visual content that the "
      "user provides, and assist the user with a variety of tasks using natural language.")
TEMPLATES = {
    "vicuna_v1": lambda m: f"{S1} USER: {m} ASSISTANT:",
    "llava_v1": lambda m: f"{S2} USER: {m} ASSISTANT:",
    "llava_llama_2": lambda m: f"[INST] <<SYS>>\n{S4}\n<</SYS>>\n\n{m} [/INST]",
    "llava_v0": lambda m: f"{S2}###Human: {m}###Assistant:",
    "v1_mmtag": lambda m: f"{S3} USER: {m} ASSISTANT:",
    "v0_mmtag": lambda m: f"{S3}###Human: {m}###Assistant:",
    "plain": lambda m: m + "\n",
}
WORDED = {
    "paper": (SHORT, LETTER, LETTER_CN),
    "para1": ("Reply with one word or a short phrase only.",
              "Reply with nothing but the letter of the correct option.", "只回复正确选项的字母。"),
    "para2": ("Keep your answer to one word or a brief phrase.",
              "Which of the options is right? Give its letter and no explanation.",
              "哪个选项正确？给出字母即可，不用解释。"),
}

# benchmark, split, kind, question, context (hint, or tokens), options, picture?
QUESTIONS = [
    ("vqav2", "testdev", "short", "Is the ball flying towards the batter?", None, None, True),
    ("gqa", "testdev_balanced", "short", "What  color is the BMW to the left of the man?", None, None, True),
    ("vizwiz", "test", "unans", "what is This? And what color is it? ", None, None, True),
    ("textvqa", "val", "ocr", "what brand IS it?", "S,, , PRITES", None, True),
    ("textvqa", "val", "ocr", "école or STORE?", "", None, True),
    ("pope", "test", "short", "Is there a snowboard in the imange?", None, None, True),
    ("mme", "test", "yesno", "Is this a photo of a park?  Please answer yes or no.", None, None, True),
    ("scienceqa", "test", "science", "Which melts first?", "Look at  the chart.", ["ice", "iron"], True),
    ("scienceqa", "test", "science", "Which is a metal?", "", ["iron", "wood", " x   y "], False),
    ("mmbench", "dev", "letter", "Which shape?", "Look  here.", ["circle", "square", "a\\nb", "1.50"], True),
    ("mmbench", "dev_cn", "letter-cn", "哪个形状？", None, ["圆", "方"], True),
    ("seed", "test", "letter", "How many towels are in the image?", None, ["One", "Two", "Three", "Four"], True),
    ("llavabench", "test", "plain", " What is this\nphoto about? ", None, None, True),
    ("mmvet", "test", "plain", "x - y = ?\n", None, None, True),
]
SETS = ["paper", "none", "qa", "blip", "para1", "para2", "before", "noocr", "nounans", "mmeorig", "mmeorig-short",
        "image-last", "sys-human"]


def turn(name, kind, question, context, options):
    """T: what the user's turn says."""
    if kind == "plain":
        return question
    short, letter, letter_cn = WORDED.get(name, WORDED["paper"])
    if kind in ("science", "letter", "letter-cn"):
        hint = "" if not context else ("Context: " if kind == "science" else "") + context + "\n"
        lines = "\n".join(f"{'ABCDE'[i]}. {o}" for i, o in enumerate(options))
        inline = " ".join(f"({'abcde'[i]}) {o}" for i, o in enumerate(options))
        ask = letter_cn if kind == "letter-cn" else letter
        front, body, back = {
            "none": ("", f"{hint}{question}\n{lines}", ""),
            "qa": ("", f"{hint}Q: {question}\n{lines}", "\nA:"),
            "blip": ("", f"{hint}Question: {question} Options: {inline}", " Answer:"),
            "before": (ask + "\n", f"{hint}{question}\n{lines}", ""),
        }.get(name, ("", f"{hint}{question}\n{lines}", "\n" + ask))
        if kind == "science":
            body = body.replace("  ", " ").strip()
        return front + body + back
    q = question
    if kind in ("unans", "ocr"):
        q = question.capitalize()
    if kind == "yesno":
        if name == "mmeorig":
            return question
        if name == "mmeorig-short":
            return question + "\n" + SHORT
        q = question.replace(ENDING, "").strip()
    ocr = f"Reference OCR token: {context}" if kind == "ocr" else None
    if name == "none":
        return q + ("\n" + ocr if ocr else "")
    if name == "qa":
        return (ocr + "\n" if ocr else "") + f"Q: {q} A:"
    if name == "blip":
        return (ocr + "\n" if ocr else "") + f"Question: {q} Short answer:"
    asks = ([UNANS] if kind == "unans" and name != "nounans" else []) + [short]
    lines = [q] + ([ocr] if ocr and name != "noocr" else [])
    return "\n".join(asks + lines if name == "before" else lines + asks)


def message(text, picture, last):
    if not picture:
        return text
    return text + "\n<image>" if last else "<image>\n" + text


for benchmark, split, kind, question, context, options, picture in QUESTIONS:
    for name in SETS:
        text = turn(name, kind, question, context, options)
        row = {"benchmark": benchmark, "split": split, "set": name, "question": question, "context": context,
               "options": options or [], "picture": picture, "text": text}
        for template in TEMPLATES if name == "paper" else [{"sys-human": "llava_v1"}.get(name, "vicuna_v1")]:
            if name in ("paper", "image-last", "sys-human"):
                row = {**row, "template": template,
                       "prompt": TEMPLATES[template](message(text, picture, name == "image-last"))}
            print(json.dumps(row, ensure_ascii=False))
