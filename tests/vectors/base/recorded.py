"""What Python says, as hashes that tests/test_base.c holds.

    python3 tests/vectors/base/recorded.py

Each line is the SHA-256 of a long text that the test makes again with our functions. The numbers
come from splitmix64 started at 0. Recorded with CPython 3.11.7, Unicode 14.0.0."""
import hashlib
import struct
import unicodedata

M = (1 << 64) - 1


def numbers():
    state = 0
    while True:
        state = (state + 0x9E3779B97F4A7C15) & M
        z = state
        z = ((z ^ z >> 30) * 0xBF58476D1CE4E5B9) & M
        z = ((z ^ z >> 27) * 0x94D049BB133111EB) & M
        yield z ^ z >> 31


def record(name, pieces):
    h = hashlib.sha256()
    for piece in pieces:
        h.update(piece.encode() + b"\n")
    print(name, h.hexdigest())


def doubles():
    for e in range(2047):                                  # every power of two, and its neighbours
        for d in (-1, 0, 1):
            yield max(0, (e << 52) + d)
    for bits, _ in zip(numbers(), range(100000)):
        if bits >> 52 & 0x7FF != 0x7FF:
            yield bits


SCALARS = [c for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
# Letters, capitals, sigma, marks and others that the final sigma rule tells apart.
ALPHABET = "aZ\u03a3\u03c3\u0391\u0130\u00ad\u0301'.:\u2019 1-\u01c5\u02b0\u2160\U0001f130\u00df\u4e00_\u1e9e"


def words():
    n = numbers()
    for _ in range(20000):
        yield "".join(ALPHABET[next(n) % len(ALPHABET)] for _ in range(1 + next(n) % 8))


record("repr", (repr(struct.unpack("<d", struct.pack("<Q", b))[0]) for b in doubles()))
record("lower", (chr(c).lower() for c in SCALARS))
record("capitalize", (chr(c).capitalize() for c in SCALARS))
record("space", (f"{c:x}" for c in SCALARS if chr(c).isspace()))
record("digit", (f"{c:x}" for c in SCALARS if unicodedata.category(chr(c)) == "Nd"))
record("words", (w.lower() + " " + w.capitalize() for w in words()))
