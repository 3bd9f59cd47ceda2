"""Record, by hash, what transformers' slow LlamaTokenizer makes of 20,000 texts and of 5,000 lists of ids.

    pip install transformers==4.37.2 sentencepiece==0.1.99 protobuf;  python tests/golden/many_tokens.py [train]

Two models: the demo's, and llama-like.model, which `train` makes anew with the settings of LLaMA's own (BPE, byte
fallback, single digits, runs of white space as pieces, all of these of one score, -1e9, so that ties occur). Texts are
put together from fragments.jsonl and from random code points by splitmix64, so that the test makes the same ones.
Writes many_tokens.txt, lines of

    MODEL texts|ids FIRST COUNT HASH

HASH: the first 16 bytes of the SHA-256 of, for texts, "ids joined by spaces\\ndecoded\\n" each (ids as LLaVA's
tokenizer_image_token makes them: each chunk between <image> alone, -200 in its place), for lists of ids "decoded\\n"
each; decoded with skip_special_tokens and stripped, a NUL (which a C string cannot hold) as U+FFFD. Read by tests/test_tokenizer.c; tokens.jsonl holds fewer
cases, but in full. `python tests/golden/many_tokens.py show MODEL texts FIRST COUNT` prints a block.
"""
import hashlib
import json
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
MODELS = {"demo": ROOT / "demo/checkpoints/tiny-mlp/tokenizer.model", "llama-like": HERE / "llama-like.model"}
TEXTS, IDS, BLOCK = 20000, 5000, 200
MASK = (1 << 64) - 1
RANGES = [(0x20, 0x7f), (0x20, 0x7f), (0xa0, 0x250), (0x370, 0x600), (0x3040, 0x3100), (0x4e00, 0x9fff), (0x1f300, 0x1f700), (0x1, 0x20)]


class Random:
    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = self.state + 0x9E3779B97F4A7C15 & MASK
        z = self.state
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
        z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
        return (z ^ z >> 31) % n


def text(k, fragments):
    r, out = Random(k), ""
    for _ in range(1 + r.below(20)):
        i = r.below(len(fragments) + 20)
        if i < len(fragments):
            out += fragments[i]
        else:
            low, high = RANGES[r.below(len(RANGES))]
            out += chr(low + r.below(high - low))
    return out


def ids(k, size):
    r = Random(k)
    return [3 + r.below(256) if r.below(3) == 0 else r.below(size) for _ in range(1 + r.below(24))]


def train():
    import io
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as pb
    lines = []
    for pattern in ("README.md", "docs/**/*.md", "engine/**/*.[ch]", "harness/*.c", "prompts/*.c", "demo/*.py"):
        for path in sorted(ROOT.glob(pattern)):
            lines += path.read_text().splitlines()
    lines += ["Où est le café naïf ? À côté de l'hôtel, près du château.", "Der Bär läuft über die Straße; größer als ein Haus.", "¿Dónde está el niño?",
              "На картинке изображён красный круг.", "图片里有几只猫？这是什么颜色的？你好，世界", "この画像には何がありますか。", "Τι υπάρχει στην εικόνα;"] * 6
    out = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(lines), model_writer=out, model_type="bpe", vocab_size=3000, byte_fallback=True, split_digits=True,
        allow_whitespace_only_pieces=True, character_coverage=0.99995, normalization_rule_name="identity", remove_extra_whitespaces=False,
        add_dummy_prefix=True, unk_id=0, bos_id=1, eos_id=2, pad_id=-1, max_sentence_length=100000, num_threads=1)
    model = pb.ModelProto.FromString(out.getvalue())
    have = {p.piece for p in model.pieces}
    for n in range(1, 17):
        if "\u2581" * n not in have:
            model.pieces.add(piece="\u2581" * n, score=0)
    for p in model.pieces:
        if p.type == 1 and not p.piece.strip("\u2581"):
            p.score = -1e9
    model.trainer_spec.vocab_size = len(model.pieces)
    MODELS["llama-like"].write_bytes(model.SerializeToString())
    print(len(model.pieces), "pieces")


def tokenizer_of(model):
    from transformers import LlamaTokenizer
    made = LlamaTokenizer(str(MODELS[model]), legacy=True)
    made.clean_up_tokenization_spaces = False
    return made


def prompt_ids(tokenizer, prompt):
    chunks = [tokenizer(chunk).input_ids for chunk in prompt.split("<image>")]
    return chunks[0] + [i for chunk in chunks[1:] for i in [-200] + chunk[1:]]


def decode(tokenizer, some):
    return tokenizer.decode([i for i in some if i >= 0], skip_special_tokens=True).replace("\0", "\ufffd").strip()


def block(tokenizer, fragments, kind, first):
    out = ""
    for k in range(first, first + BLOCK):
        if kind == "texts":
            some = prompt_ids(tokenizer, text(k, fragments))
            out += " ".join(map(str, some)) + "\n"
        else:
            some = ids(k, tokenizer.sp_model.get_piece_size())
        out += decode(tokenizer, some) + "\n"
    return out


def main():
    if sys.argv[1:2] == ["train"]:
        return train()
    fragments = [json.loads(line)["text"] for line in (HERE / "fragments.jsonl").read_text().splitlines()]
    if sys.argv[1:2] == ["show"]:
        return print(block(tokenizer_of(sys.argv[2]), fragments, sys.argv[3], int(sys.argv[4])), end="")
    lines = []
    for model in MODELS:
        tokenizer = tokenizer_of(model)
        for kind, n in (("texts", TEXTS), ("ids", IDS)):
            for first in range(0, n, BLOCK):
                digest = hashlib.sha256(block(tokenizer, fragments, kind, first).encode()).hexdigest()[:32]
                lines.append(f"{model} {kind} {first} {BLOCK} {digest}\n")
        print(model, "recorded", flush=True)
    (HERE / "many_tokens.txt").write_text("".join(lines))


main()
