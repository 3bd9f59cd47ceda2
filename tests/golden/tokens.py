"""Record token ids and decoded texts of transformers' slow LlamaTokenizer on the demo's tokenizer.model.

    pip install transformers==4.37.2 sentencepiece==0.1.99 protobuf;  python tests/golden/tokens.py [MORE]

Writes tokens.jsonl, read by tests/test_tokenizer.c: {"text", "ids", "decoded"}, ids as LLaVA's
tokenizer_image_token() makes them (each chunk between <image> on its own, -200 in its place), decoded with
skip_special_tokens and stripped; a line without "text" only decodes.  With MORE, that many further strings
are printed instead, NUL-terminated texts to the file MORE.texts and their lines to MORE.jsonl.
"""
import json
import random
import sys
from pathlib import Path

from transformers import LlamaTokenizer

HERE = Path(__file__).resolve().parent
MODEL = HERE.parent.parent / "demo" / "checkpoints" / "tiny-mlp"
tokenizer = LlamaTokenizer(str(MODEL / "tokenizer.model"), legacy=True)
tokenizer.clean_up_tokenization_spaces = False
SYSTEM = ("A chat between a curious user and an artificial intelligence assistant. "
          "The assistant gives helpful, detailed, and polite answers to the user's questions.")
SAMPLES = ["", " ", "  ", "\n", "\t", "\r\n", "Hello", " Hello", "  Hello", "a  b   c", "a      b", "  \n  ", "a\nb\r\nc", "1234567890", "3.14",
           "don't", "naïve café", "你好，世界", "\U0001F600", "\u2581", "\u00a0", "###", "Yes", "No", "Unanswerable", "<s>", "</s>", "<unk>", "a<s>b",
           "<s> a </s> b", "<unk><unk>", "< s>", "<<s>>", "x</s", "\ufffd", "e\u0301", "ß", "\u200b", "\ufeff", "א ב", "x" * 60, " " * 40, "▁▁a ▁",
           "Answer the question using a single word or phrase.",
           "Answer with the option's letter from the given choices directly."]


def prompt_ids(text):
    chunks = [tokenizer(chunk).input_ids for chunk in text.split("<image>")]
    ids = list(chunks[0])
    for chunk in chunks[1:]:
        ids += [-200] + chunk[1:]
    return ids


def decode(ids):
    return tokenizer.decode([i for i in ids if i >= 0], skip_special_tokens=True).strip()


WORDS = "Is there a red circle in the image ? What shape is it Answer yes no A. B. C. (left) of triangle, two three 42 0.5 can't I'm".split()
LETTERS = list("abcdefghijklmnopqrstuvwxyzABCXYZ0123456789 .,:;?!'\"()-_/\\<>[]{}\n\t") + list("éüñß漢字かな🙂🧑‍🚀Ωж€\u2581\u00a0\u3000") + ["<s>", "</s>", "<unk>", "  "]


def random_text(rng):
    kind = rng.randrange(5)
    if kind == 0:
        return " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 14)))
    if kind == 1:
        return "".join(rng.choice(LETTERS) for _ in range(rng.randrange(1, 40)))
    if kind == 2:
        return SYSTEM + " USER: <image>\n" + " ".join(rng.choice(WORDS) for _ in range(rng.randrange(1, 8))) + " ASSISTANT:"
    if kind == 3:
        return "".join(rng.choice(["<image>", "\n", " ", "a", "the", "<s>", "</s> "]) for _ in range(rng.randrange(1, 8)))
    return "".join(chr(rng.choice([rng.randrange(32, 127), rng.randrange(0xa0, 0x800), rng.randrange(0x3000, 0x9fff), rng.randrange(0x1f300, 0x1f700)]))
                   for _ in range(rng.randrange(1, 20)))


def line(text):
    ids = prompt_ids(text)
    return json.dumps({"text": text, "ids": ids, "decoded": decode(ids)}, ensure_ascii=False)


def main():
    if len(sys.argv) > 1:
        rng = random.Random(7)
        texts = [random_text(rng) for _ in range(int(sys.argv[1]))]
        Path(sys.argv[1] + ".texts").write_bytes(b"".join(t.encode() + b"\0" for t in texts))
        Path(sys.argv[1] + ".jsonl").write_text("".join(line(t) + "\n" for t in texts))
        return
    rng = random.Random(1)
    lines = [line(t) for t in SAMPLES + [random_text(rng) for _ in range(260)]]
    size = len(tokenizer)
    for _ in range(100):                                    # replies: any ids, many of them bytes
        ids = [rng.choice([rng.randrange(4, 259), rng.randrange(259, size), rng.randrange(259, size), 2, 1, 0][:rng.choice([2, 3, 6])])
               for _ in range(rng.randrange(1, 12))]
        lines.append(json.dumps({"ids": ids, "decoded": decode(ids)}, ensure_ascii=False))
    (HERE / "tokens.jsonl").write_text("\n".join(lines) + "\n")
    print(len(lines), "lines,", (HERE / "tokens.jsonl").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
