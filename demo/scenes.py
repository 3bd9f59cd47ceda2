"""Drawn scenes, and questions about them in the manner of the eleven benchmarks.

A scene is a picture of 84 x 84 points: a plain background, one to three shapes in the cells of a
3 x 3 grid, in some scenes a word at the top, at the bottom, or at both.  Everything about it follows
from its seed, so a seed that was never trained on is a picture that was never trained on.

    Scene(seed).draw()                   the picture (84 x 84, RGB), as the preprocessor leaves it
    Scene(seed).file(suffix)             the bytes of an image file that shows it
    Scene(seed).attributes()             what each of the 6 x 6 patches shows, as a 0/1 matrix over WORDS
    ask(family, scene, rng)              a list of Question: one benchmark's prompts and right replies

A Question's `prompt` is what follows "<image>\\n" in the user's turn (all of the turn for a text-only
one); its `raw` holds the pieces from which suite.py writes the official files.
"""
import io
import math
import random
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageDraw, ImageFont

SIDE, PATCH, GRID = 84, 14, 6
PAD_COLOUR = (122, 116, 104)            # what "pad to a square" fills in

COLOURS = {"red": (220, 30, 30), "green": (20, 160, 40), "blue": (30, 60, 220), "yellow": (240, 220, 30)}
SHAPES = ["circle", "square", "triangle", "star"]
BACKGROUNDS = {"white": (255, 255, 255), "black": (0, 0, 0)}
SIGNS = ["stop", "open", "sale", "taxi", "cafe", "bank", "fish", "park", "milk", "book"]
ROWS, COLUMNS = ["top", "middle", "bottom"], ["left", "center", "right"]
COLOUR_NAMES, BACKGROUND_NAMES = list(COLOURS), list(BACKGROUNDS)
PLACES = [r + " " + c for r in ROWS for c in COLUMNS]
NUMBERS = ["zero", "one", "two", "three", "four", "five"]
WORDS = COLOUR_NAMES + SHAPES + BACKGROUND_NAMES + SIGNS + ROWS + COLUMNS
WORD_INDEX = {w: i for i, w in enumerate(WORDS)}

TRAIN_SEEDS = range(0, 10_000_000)      # pictures are drawn from here for training only
EVAL_SEEDS = range(20_000_000, 30_000_000)
SUITE_SEEDS = range(30_000_000, 40_000_000)

try:
    FONT = ImageFont.load_default_imagefont()       # Pillow's own small bitmap font
except AttributeError:
    FONT = ImageFont.load_default()


# ---------------------------------------------------------------- scenes

@dataclass(frozen=True)
class Thing:
    shape: str
    colour: str
    row: int
    column: int
    cx: int
    cy: int
    radius: int

    @property
    def name(self):
        return self.colour + " " + self.shape

    @property
    def place(self):
        return ROWS[self.row] + " " + COLUMNS[self.column]


class Scene:
    """most: the largest number of things; words: None (by chance) or the number of words wanted."""

    def __init__(self, seed, most=3, words=None):
        rng = random.Random(seed)
        self.seed = seed
        self.background = rng.choice(BACKGROUND_NAMES)
        chance = rng.random()
        n_words = words if words is not None else 0 if chance < .55 else 1 if chance < .75 else 2
        self.signs = {}                                     # "top" / "bottom" -> word
        if n_words == 1:
            self.signs[rng.choice(["top", "bottom"])] = rng.choice(SIGNS)
        elif n_words == 2:
            self.signs["top"], self.signs["bottom"] = rng.sample(SIGNS, 2)
        self.sign_x = {end: 7 * rng.randrange(0, (SIDE - 12 * len(w)) // 7 + 1) for end, w in self.signs.items()}

        cells = [(r, c) for r in range(3) for c in range(3) if ROWS[r] not in self.signs]
        self.things = []
        for r, c in sorted(rng.sample(cells, rng.randint(1, most))):
            self.things.append(Thing(rng.choice(SHAPES), rng.choice(COLOUR_NAMES), r, c, 28 * c + 14 + rng.randint(-2, 2),
                                     28 * r + 14 + rng.randint(-2, 2), rng.randint(10, 11)))
        self.wide = not self.signs and all(t.row == 1 for t in self.things) and rng.random() < .5

    # ---- the picture

    def _paint(self, k):
        """The scene, k times as large, before any file or preprocessing."""
        im = Image.new("RGB", (k * SIDE, k * SIDE), BACKGROUNDS[self.background])
        pen = ImageDraw.Draw(im)
        for t in self.things:
            x, y, r, ink = k * t.cx, k * t.cy, k * t.radius, COLOURS[t.colour]
            if t.shape == "circle":
                pen.ellipse((x - r, y - r, x + r, y + r), fill=ink)
            elif t.shape == "square":
                pen.rectangle((x - r + k, y - r + k, x + r - k, y + r - k), fill=ink)
            elif t.shape == "triangle":
                pen.polygon([(x, y - r), (x + r, y + r - k), (x - r, y + r - k)], fill=ink)
            else:
                spokes = [(r + k if i % 2 == 0 else r * .42, i * math.pi / 5) for i in range(10)]
                pen.polygon([(x + s * math.sin(a), y - s * math.cos(a)) for s, a in spokes], fill=ink)
        for end, word in self.signs.items():
            mask = Image.new("L", (6 * len(word), 11))
            ImageDraw.Draw(mask).text((0, 0), word.upper(), fill=255, font=FONT)
            mask = mask.resize((12 * k * len(word), 22 * k), Image.Resampling.NEAREST)
            ink = (255, 255, 255) if self.background == "black" else (0, 0, 0)
            im.paste(ink, (k * self.sign_x[end], k * (3 if end == "top" else 59)), mask)
        return im.crop((0, 14 * k, 84 * k, 70 * k)) if self.wide else im

    def file(self, suffix, scale=1):
        """A PNG or a JPEG of high quality; a wide scene is 84 x 56, to be padded by whoever reads it."""
        out = io.BytesIO()
        if suffix == "png":
            self._paint(scale).save(out, "PNG", optimize=True)
        else:
            self._paint(scale).save(out, "JPEG", quality=95, subsampling=0)
        return out.getvalue()

    def draw(self, kind=None):
        """The 84 x 84 picture after decoding, padding and resizing.  kind: png, jpg, jpg2 or None (by the seed)."""
        kind = kind or ("png", "jpg", "jpg", "jpg2")[self.seed % 4]
        if kind == "png":
            im = self._paint(1)
        else:
            im = Image.open(io.BytesIO(self.file("jpg", 2 if kind == "jpg2" else 1))).convert("RGB")
        return preprocess(im)

    # ---- what there is to know

    def attributes(self):
        """[36, len(WORDS)] of 0/1: row, column and background everywhere; shape and colour on the four
        patches of a thing's cell; a word on every patch that it touches."""
        a = np.zeros((GRID, GRID, len(WORDS)), np.float32)
        for i in range(3):
            a[2 * i:2 * i + 2, :, WORD_INDEX[ROWS[i]]] = 1
            a[:, 2 * i:2 * i + 2, WORD_INDEX[COLUMNS[i]]] = 1
        a[:, :, WORD_INDEX[self.background]] = 1
        for t in self.things:
            cell = a[2 * t.row:2 * t.row + 2, 2 * t.column:2 * t.column + 2]
            cell[..., WORD_INDEX[t.shape]] = cell[..., WORD_INDEX[t.colour]] = 1
        for end, word in self.signs.items():
            first, last = self.sign_x[end] // PATCH, (self.sign_x[end] + 12 * len(word) - 1) // PATCH
            top = 0 if end == "top" else 4
            a[top:top + 2, first:last + 1, WORD_INDEX[word]] = 1
        return a.reshape(GRID * GRID, len(WORDS))

    def count(self, shape=None, colour=None):
        return sum((shape is None or t.shape == shape) and (colour is None or t.colour == colour) for t in self.things)

    def unique_shapes(self):
        return [t for t in self.things if self.count(shape=t.shape) == 1]

    def unique_colours(self):
        return [t for t in self.things if self.count(colour=t.colour) == 1]


def preprocess(im):
    """What CLIP's preprocessing (with padding) makes of an image, up to the normalisation."""
    w, h = im.size
    if w != h:
        square = Image.new("RGB", (max(w, h),) * 2, PAD_COLOUR)
        square.paste(im, ((max(w, h) - w) // 2, (max(w, h) - h) // 2))
        im = square
    return im if im.size == (SIDE, SIDE) else im.resize((SIDE, SIDE), Image.Resampling.BICUBIC)


# ---------------------------------------------------------------- skills: one look-up each

@dataclass(frozen=True)
class Item:
    skill: str
    question: str
    answer: str                 # a word or phrase
    sentence: str               # the same as a sentence
    options: tuple = ()         # what else the answer could have been


def a(noun):
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def listing(parts):
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]


def other(rng, value, pool):
    return rng.choice([p for p in pool if p != value])


def yes_no(skill, question, truth, yes, no):
    return Item(skill, question, "Yes" if truth else "No", "Yes, " + yes if truth else "No, " + no, ("Yes", "No"))


def exist_shape(s, rng, truth=None, text="Is there {} in the image?"):
    present = [x for x in SHAPES if s.count(shape=x)]
    absent = [x for x in SHAPES if x not in present]
    truth = rng.random() < .5 if truth is None else truth
    x = rng.choice(present if truth else absent)
    return yes_no("exist_shape", text.format(a(x)), truth, f"there is {a(x)} in the image.", f"there is no {x} in the image.")


def exist_colour(s, rng, truth=None, text="Is there {} in the image?"):
    present = [x for x in COLOUR_NAMES if s.count(colour=x)]
    truth = rng.random() < .5 if truth is None else truth
    x = rng.choice(present if truth else [c for c in COLOUR_NAMES if c not in present]) + " object"
    return yes_no("exist_colour", text.format(a(x)), truth, f"there is {a(x)} in the image.", f"there is no {x} in the image.")


def exist_pair(s, rng, truth=None, text="Is there {} in the image?"):
    names = {t.name for t in s.things}
    truth = rng.random() < .5 if truth is None else truth
    if truth:
        x = rng.choice(sorted(names))
    else:
        crossed = sorted({t.colour + " " + u.shape for t in s.things for u in s.things} - names)
        absent = [c + " " + h for c in COLOUR_NAMES for h in SHAPES if c + " " + h not in names]
        x = rng.choice(crossed) if crossed and rng.random() < .4 else rng.choice(absent)
    return yes_no("exist_pair", text.format(a(x)), truth, f"there is {a(x)} in the image.", f"there is no {x} in the image.")


def colour(s, rng):
    if not s.unique_shapes():
        return None
    t = rng.choice(s.unique_shapes())
    return Item("colour", f"What color is the {t.shape}?", t.colour, f"The {t.shape} is {t.colour}.", tuple(COLOUR_NAMES))


def shape(s, rng):
    if not s.unique_colours():
        return None
    t = rng.choice(s.unique_colours())
    return Item("shape", f"What shape is the {t.colour} object?", t.shape, f"The {t.colour} object is a {t.shape}.", tuple(SHAPES))


def background(s, rng):
    return Item("background", "What color is the background?", s.background, f"The background is {s.background}.",
                tuple(BACKGROUND_NAMES))


def count(s, rng):
    n = len(s.things)
    return Item("count", "How many objects are there in the image?", str(n),
                f"There {'is' if n == 1 else 'are'} {NUMBERS[n]} object{'' if n == 1 else 's'} in the image.", tuple("1234"))


def count_shape(s, rng):
    x = rng.choice(SHAPES) if rng.random() < .4 else rng.choice(s.things).shape
    n = s.count(shape=x)
    return Item("count_shape", f"How many {x}s are there in the image?", str(n),
                f"There {'is' if n == 1 else 'are'} {NUMBERS[n]} {x}{'' if n == 1 else 's'} in the image.", tuple("0123"))


def where(s, rng):
    if not s.unique_shapes():
        return None
    t = rng.choice(s.unique_shapes())
    return Item("where", f"Where is the {t.shape}?", t.place, f"The {t.shape} is at the {t.place}.", tuple(PLACES))


def row(s, rng):
    if not s.unique_shapes():
        return None
    t = rng.choice(s.unique_shapes())
    return Item("row", f"Is the {t.shape} at the top, middle or bottom?", ROWS[t.row], f"The {t.shape} is at the {ROWS[t.row]}.", tuple(ROWS))


def column(s, rng):
    if not s.unique_shapes():
        return None
    t = rng.choice(s.unique_shapes())
    return Item("column", f"Is the {t.shape} left, center or right?", COLUMNS[t.column], f"The {t.shape} is at the {COLUMNS[t.column]}.",
                tuple(COLUMNS))


def word(s, rng):
    if not s.signs:
        return None
    end = rng.choice(sorted(s.signs))
    w = s.signs[end]
    return Item("word", f"What word is at the {end}?", w, f"The word at the {end} is {w}.", tuple(SIGNS))


def choose_colour(s, rng):
    item = colour(s, rng)
    if not item:
        return None
    pair = [item.answer, other(rng, item.answer, COLOUR_NAMES)]
    rng.shuffle(pair)
    noun = item.question[len("What color is the "):-1]
    return Item("choose_colour", f"Is the {noun} {pair[0]} or {pair[1]}?", item.answer, item.sentence, tuple(pair))


def is_colour(s, rng, truth=None, text="Is the {} {}?"):
    item = colour(s, rng)
    if not item:
        return None
    truth = rng.random() < .5 if truth is None else truth
    noun = item.question[len("What color is the "):-1]
    c = item.answer if truth else other(rng, item.answer, COLOUR_NAMES)
    return yes_no("is_colour", text.format(noun, c), truth, f"the {noun} is {item.answer}.", f"the {noun} is {item.answer}.")


def is_where(s, rng, truth=None):
    item = where(s, rng)
    if not item:
        return None
    truth = rng.random() < .5 if truth is None else truth
    noun = item.question[len("Where is the "):-1]
    place = item.answer if truth else other(rng, item.answer, PLACES)
    return yes_no("is_where", f"Is the {noun} at the {place}?", truth, f"the {noun} is at the {item.answer}.",
                  f"the {noun} is at the {item.answer}.")


def is_count(s, rng, truth=None, text="{} there {} in the image?", shift=0):
    n = len(s.things)
    truth = rng.random() < .5 if truth is None else truth
    said = n if truth else other(rng, n, [1, 2, 3])
    if "plus" in text:
        question = text.format(NUMBERS[said + 1])
    else:
        question = text.format("Is" if said == 1 else "Are", NUMBERS[said] + (" object" if said == 1 else " objects"))
    real = f"there {'is' if n == 1 else 'are'} {NUMBERS[n]} object{'' if n == 1 else 's'} in the image."
    return yes_no("is_count", question, truth, real, real)


def is_word(s, rng, truth=None, text="Is the word at the {} {}?"):
    item = word(s, rng)
    if not item:
        return None
    if "{} {}" not in text and len(s.signs) != 1:
        return None
    truth = rng.random() < .5 if truth is None else truth
    end = item.question[len("What word is at the "):-1]
    w = item.answer if truth else other(rng, item.answer, SIGNS)
    question = text.format(end, w) if "{} {}" in text else text.format(w)
    return yes_no("is_word", question, truth, f"the word at the {end} is {item.answer}.", f"the word at the {end} is {item.answer}.")


def is_background(s, rng, truth=None, text="Is the background {}?"):
    truth = rng.random() < .5 if truth is None else truth
    b = s.background if truth else other(rng, s.background, BACKGROUND_NAMES)
    if "dark" in text:
        question = "Is the background dark?" if b == "black" else "Is the background bright?"
    else:
        question = text.format(b)
    return yes_no("is_background", question, truth, f"the background is {s.background}.", f"the background is {s.background}.")


def both(s, rng, truth=None):
    present = [x for x in SHAPES if s.count(shape=x)]
    absent = [x for x in SHAPES if x not in present]
    truth = rng.random() < .5 if truth is None else truth
    if truth and len(present) < 2:
        truth = False
    if truth:
        x, y = rng.sample(present, 2)
    else:
        x, y = rng.choice(present), rng.choice(absent)
        x, y = (x, y) if rng.random() < .5 else (y, x)
    q = f"Are there both {a(x)} and {a(y)} in the image?"
    return yes_no("both", q, truth, f"there are both {a(x)} and {a(y)} in the image.",
                  f"there is no {x if x in absent else y} in the image.")


def describe(s, rng=None):
    text = "The image shows " + listing([f"a {t.name} at the {t.place}" for t in s.things]) + f" on a {s.background} background."
    for end in ("top", "bottom"):
        if end in s.signs:
            text += f" The word at the {end} is {s.signs[end]}."
    question = rng.choice(["Describe the image.", "Describe this image in detail.", "What is shown in the image?"]) if rng else "Describe the image."
    return Item("describe", question, text, text)


def enumerate_things(s, rng):
    n = len(s.things)
    text = f"There {'is' if n == 1 else 'are'} {NUMBERS[n]} object{'' if n == 1 else 's'} in the image: " + listing(["a " + t.name for t in s.things]) + "."
    return Item("enumerate", "List the objects in the image and count them.", text, text)


SKILLS = [exist_shape, exist_colour, exist_pair, colour, shape, background, count, count_shape, where, row, column, word,
          choose_colour, is_colour, is_where, is_count, is_word, is_background, both]


def pick(s, rng, skills):
    """One item of the skills, the first that this scene allows; None when it allows none."""
    for f in rng.sample(skills, len(skills)):
        item = f(s, rng)
        if item:
            return item
    return None


# ---------------------------------------------------------------- prompts

SYSTEM = ("A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
          "and polite answers to the user's questions.")
SYSTEM_HUMAN = SYSTEM.replace("user", "human")
SHORT = "Answer the question using a single word or phrase."
LETTER = "Answer with the option's letter from the given choices directly."
LETTER_CN = "请直接回答选项字母。"
UNANSWERABLE = "When the provided information is insufficient, respond with 'Unanswerable'."
PARAPHRASES_SHORT = ["Give a very short answer.", "Reply with one word or a short phrase.", "Please answer in one word or a short phrase.",
                     "Keep the answer to a single word or phrase."]
PARAPHRASES_LETTER = ["Give only the letter of the right option.", "Reply with the letter of the correct choice.",
                      "Please answer with the letter of the correct option.", "Choose one option and reply with its letter only."]
LETTERS = "ABCDE"


@dataclass(frozen=True)
class Question:
    family: str
    skill: str
    prompt: str                 # the user's turn behind "<image>\n"
    reply: str
    kind: str                   # short, letter or sentence: the form that the reply has to have
    group: tuple = ()           # questions that count together (a picture of MME, a question of MMBench)
    image: bool = True
    raw: dict = field(default_factory=dict, hash=False, compare=False)


def lettered(options):
    return "".join(f"\n{LETTERS[i]}. {o}" for i, o in enumerate(options))


def some_options(item, rng, n):
    n = min(n, len(item.options))
    options = [item.answer] + rng.sample([o for o in item.options if o != item.answer], n - 1)
    rng.shuffle(options)
    return options


def short(family, item, raw=None, extra="", group=()):
    return Question(family, item.skill, item.question + extra + "\n" + SHORT, item.answer, "short", group, raw=dict(item=item, **(raw or {})))


def letter(family, item, options, head="", tail=LETTER, raw=None, group=(), image=True):
    prompt = head + item.question + lettered(options) + "\n" + tail
    return Question(family, item.skill, prompt, LETTERS[options.index(item.answer)], "letter", group, image,
                    dict(item=item, options=options, **(raw or {})))


# ---------------------------------------------------------------- the eleven families

def vqav2(s, rng):
    item = pick(s, rng, [exist_shape, exist_colour, is_colour, colour, colour, shape, count, count_shape, background])
    kind = "yes/no" if item.answer in ("Yes", "No") else "number" if item.answer.isdigit() else "other"
    return [short("vqav2", item, dict(answer_type=kind))]


GQA_TYPES = {                   # structural, semantic, detailed, operations
    "colour": ("query", "attr", "color", [("select", "{}"), ("query", "color")]),
    "shape": ("query", "cat", "shape", [("select", "{}"), ("query", "name")]),
    "where": ("query", "rel", "place", [("select", "{}"), ("query", "place")]),
    "background": ("query", "global", "place", [("select", "scene"), ("query", "color")]),
    "choose_colour": ("choose", "attr", "chooseAttr", [("select", "{}"), ("choose color", "{}")]),
    "row": ("choose", "rel", "chooseRel", [("select", "{}"), ("choose vposition", "{}")]),
    "column": ("choose", "rel", "chooseRel", [("select", "{}"), ("choose hposition", "{}")]),
    "is_colour": ("verify", "attr", "verifyAttr", [("select", "{}"), ("verify color", "{}")]),
    "exist_shape": ("verify", "obj", "exist", [("select", "{}"), ("exist", "?")]),
    "both": ("logical", "obj", "existAnd", [("select", "{}"), ("exist", "?"), ("select", "{}"), ("exist", "?"), ("and", "")]),
}


def gqa(s, rng):
    return [short("gqa", pick(s, rng, [colour, shape, where, row, column, background, choose_colour, is_colour, exist_shape, both]))]


def vizwiz(s, rng, unanswerable=None):
    missing = [x for x in SHAPES if not s.count(shape=x)]
    if rng.random() < .35 if unanswerable is None else unanswerable:
        x = rng.choice(missing)
        text = rng.choice([f"What color is the {x}?", f"Where is the {x}?"])
        item = Item("unanswerable", text, "Unanswerable", "")
        kind = "unanswerable"
    else:
        item = pick(s, rng, [colour, colour, where, count, is_colour]) or background(s, rng)
        kind = "yes/no" if item.answer in ("Yes", "No") else "number" if item.answer.isdigit() else "other"
    return [short("vizwiz", item, dict(answer_type=kind), extra="\n" + UNANSWERABLE)]


FACTS = [                       # question, answer, pool
    ("Which shape is round?", "circle", SHAPES), ("Which shape has three sides?", "triangle", SHAPES),
    ("Which shape has four sides?", "square", SHAPES), ("Which shape has five points?", "star", SHAPES),
    ("How many sides does a triangle have?", "3", "12345"), ("How many sides does a square have?", "4", "12345"),
    ("Which of these is a color?", None, COLOUR_NAMES), ("Which of these is a shape?", None, SHAPES),
    ("Which color is darker?", "black", ["white", "yellow"]), ("Which number is larger?", None, None)]


def fact(rng):
    """A multiple-choice question that needs no picture: item, options, hint."""
    if rng.random() < .5:                                   # the answer stands in the hint
        x, c = rng.choice(SHAPES), rng.choice(COLOUR_NAMES)
        item = Item("hint", f"What color is the {x}?", c, f"The {x} is {c}.", tuple(COLOUR_NAMES))
        return item, some_options(item, rng, rng.choice([2, 3, 4])), f"The {x} is {c}."
    question, answer, pool = rng.choice(FACTS)
    n = rng.choice([2, 3, 4])
    if question.startswith("Which of these"):
        answer = rng.choice(pool)
        options = [answer] + rng.sample(SHAPES if pool is COLOUR_NAMES else COLOUR_NAMES, n - 1)
    elif question == "Which number is larger?":
        options = rng.sample("123456789", 2)
        answer = max(options)
    elif question.startswith("Which color is darker"):
        options = [answer, rng.choice(pool)]
    else:
        options = [answer] + rng.sample([p for p in pool if p != answer], n - 1)
    rng.shuffle(options)
    return Item("fact", question, answer, answer + "."), options, ""


HINTS = ["Look at the picture.", "The picture shows some shapes.", "Use the image to answer the question."]


def scienceqa(s, rng, text_only=None):
    if rng.random() < .3 if text_only is None else text_only:
        item, options, hint = fact(rng)
        return [letter("scienceqa", item, options, f"Context: {hint}\n" if hint else "", raw=dict(hint=hint), image=False)]
    item = pick(s, rng, [colour, colour, shape, shape, count, background, where])
    options = some_options(item, rng, rng.choice([2, 3, 4, 4] + [5] * (item.skill == "where")))
    hint = rng.choice(HINTS) if rng.random() < .5 else ""
    return [letter("scienceqa", item, options, f"Context: {hint}\n" if hint else "", raw=dict(hint=hint))]


def textvqa(s, rng):
    item = word(s, rng)
    if not item:
        return []
    tokens = list(s.signs.values())
    rng.shuffle(tokens)
    chance = rng.random()
    if chance < .15:
        tokens = []
    elif chance < .3:
        tokens.pop()
    elif chance < .45:
        tokens.insert(rng.randrange(len(tokens) + 1), rng.choice([w for w in SIGNS if w not in tokens]))
    return [short("textvqa", item, dict(tokens=tokens), extra="\nReference OCR token: " + ", ".join(tokens))]


def pope(s, rng, truth=None, category=None):
    category = category or rng.choice(["random", "popular", "adversarial"])
    if category == "adversarial" and rng.random() < .5:
        item = exist_colour(s, rng, truth)
    elif category == "popular" and rng.random() < .3:
        item = exist_pair(s, rng, truth)
    else:
        item = exist_shape(s, rng, truth)
    return [short("pope", item, dict(category=category))]


MME_TASKS = {                   # task -> (group, skill, wording or None, layout)
    "existence": ("perception", exist_shape, None, "flat"), "count": ("perception", is_count, None, "flat"),
    "position": ("perception", is_where, None, "flat"), "color": ("perception", is_colour, None, "flat"),
    "posters": ("perception", is_word, "Does the poster say {}?", "split"),
    "celebrity": ("perception", exist_shape, "Is the figure in the image {}?", "split"),
    "scene": ("perception", is_background, "Is this a scene with a {} background?", "split"),
    "landmark": ("perception", exist_pair, "Does the image show {}?", "split"),
    "artwork": ("perception", exist_colour, "Does this artwork show {}?", "split"),
    "OCR": ("perception", is_word, None, "flat"),
    "commonsense_reasoning": ("cognition", is_background, "dark", "flat"),
    "numerical_calculation": ("cognition", is_count, "Is the number of objects plus one equal to {}?", "flat"),
    "text_translation": ("cognition", is_word, "Does the word in the image mean {}?", "flat"),
    "code_reasoning": ("cognition", is_word, "Does the code print {}?", "flat")}
MME_ENDING = " Please answer yes or no."


def mme(s, rng, task=None):
    """The Yes and the No question of one task on one picture; nothing if the scene does not allow them."""
    task = task or rng.choice(list(MME_TASKS))
    _, skill, text, _ = MME_TASKS[task]
    if task == "celebrity" and len(s.things) != 1:
        return []
    keep = rng.getstate()
    pair = []
    for truth in (True, False):
        rng.setstate(keep)                                  # the same referent in both
        item = skill(s, rng, truth, text) if text else skill(s, rng, truth)
        if not item:
            return []
        pair.append(short("mme", item, dict(task=task), group=(s.seed, task)))
    return pair


def mmbench(s, rng, chinese=None):
    """One question, once per rotation of its options."""
    item = pick(s, rng, [colour, colour, shape, shape, where, count, word, background])
    options = some_options(item, rng, rng.choice([3, 4, 4]))
    tail = LETTER_CN if (rng.random() < .1 if chinese is None else chinese) else LETTER
    hint = rng.choice(HINTS) if rng.random() < .2 else ""
    head = hint + "\n" if hint else ""
    return [letter("mmbench", item, options[i:] + options[:i], head, tail, dict(hint=hint, turn=i), (s.seed, item.question))
            for i in range(len(options))]


SEED_TYPES = {"background": 1, "shape": 2, "colour": 3, "where": 4, "count": 5, "count_shape": 8, "word": 9}


def seed(s, rng):
    item = pick(s, rng, [colour, shape, where, count, count_shape, word, background])
    if item.skill == "background":
        item = Item(item.skill, item.question, item.answer, item.sentence, ("white", "black", "red", "blue"))
    return [letter("seed", item, some_options(item, rng, 4), raw=dict(type=SEED_TYPES[item.skill]))]


def sentence(family, item, **raw):
    return Question(family, item.skill, item.question, item.sentence, "sentence", raw=dict(item=item, **raw))


def llavabench(s, rng, category=None):
    category = category or rng.choice(["conv", "detail", "complex"])
    if category == "conv":
        return [sentence("llavabench", pick(s, rng, [colour, shape, where, count, background, word]), category=category)]
    item = describe(s, rng) if category == "detail" else enumerate_things(s, rng)
    return [sentence("llavabench", item, category=category)]


MMVET_CAPABILITIES = {
    "colour": ["rec"], "shape": ["rec"], "background": ["rec"], "exist_shape": ["rec", "know"], "where": ["rec", "spat"],
    "count": ["rec", "math"], "word": ["ocr"], "describe": ["rec", "gen", "spat"], "enumerate": ["rec", "gen", "math"]}


def mmvet(s, rng):
    item = pick(s, rng, [colour, shape, background, exist_shape, where, count, word, describe, enumerate_things])
    capabilities = MMVET_CAPABILITIES[item.skill]
    if item.skill == "describe" and s.signs:
        capabilities = ["rec", "ocr", "gen", "spat"]
    return [sentence("mmvet", item, capability=capabilities)]


FAMILIES = dict(vqav2=vqav2, gqa=gqa, vizwiz=vizwiz, scienceqa=scienceqa, textvqa=textvqa, pope=pope, mme=mme, mmbench=mmbench,
                seed=seed, llavabench=llavabench, mmvet=mmvet)


def ask(family, s, rng):
    return FAMILIES[family](s, rng)


# ---------------------------------------------------------------- other ways to put a question (prompt ablations)

def variants(s, rng):
    """One question in a form that is not the paper's: without a format prompt, "Q: .. A:", and so on."""
    way = rng.choice(["none", "none", "none", "qa", "blip", "before", "para", "letter_none", "letter_qa", "letter_blip", "letter_before",
                      "letter_para", "noocr", "noocr", "nounans", "mmeorig", "mmeorig_short", "ocr_none"])
    item = pick(s, rng, SKILLS)

    def made(prompt, reply, kind):
        return [Question("variant", way + ":" + item.skill, prompt, reply, kind)]

    if way.startswith("letter"):
        item = pick(s, rng, [colour, shape, where, count, word, background])
        options = some_options(item, rng, rng.choice([2, 3, 4]))
        right = LETTERS[options.index(item.answer)]
        body = item.question + lettered(options)
        if way == "letter_none":
            return made(body, item.sentence, "sentence")
        if way == "letter_qa":
            return made("Q: " + body + "\nA:", right, "letter")
        if way == "letter_before":
            return made(LETTER + "\n" + body, right, "letter")
        if way == "letter_para":
            return made(body + "\n" + rng.choice(PARAPHRASES_LETTER), right, "letter")
        inline = " ".join(f"({'abcde'[i]}) {o}" for i, o in enumerate(options))
        return made(f"Question: {item.question} Options: {inline} Answer:", right, "letter")
    if way in ("noocr", "ocr_none"):
        q = textvqa(s, rng)
        if not q:
            return []
        item = q[0].raw["item"]
        if way == "noocr":
            return made(item.question + "\n" + SHORT, item.answer, "short")
        return made(q[0].prompt[:-len("\n" + SHORT)], item.sentence, "sentence")
    if way == "nounans":
        item = pick(s, rng, [colour, where]) or background(s, rng)
        return made(item.question + "\n" + SHORT, item.answer, "short")
    if way.startswith("mmeorig"):
        pair = mme(s, rng)
        if not pair:
            return []
        item = rng.choice(pair).raw["item"]
        return made(item.question + MME_ENDING + ("\n" + SHORT if way == "mmeorig_short" else ""), item.answer, "short")
    if way == "none":
        return made(item.question, item.sentence, "sentence")
    if way == "qa":
        return made(f"Q: {item.question} A:", item.answer, "short")
    if way == "blip":
        return made(f"Question: {item.question} Short answer:", item.answer, "short")
    if way == "before":
        return made(SHORT + "\n" + item.question, item.answer, "short")
    return made(item.question + "\n" + rng.choice(PARAPHRASES_SHORT), item.answer, "short")


def practice(s, rng):
    """More of the look-ups that come late: for training only."""
    if rng.random() < .35:
        item = pick(s, rng, [where, count_shape])
        return [letter("practice", item, some_options(item, rng, 4))]
    return [short("practice", pick(s, rng, [where, row, column, is_where, count_shape]))]


FAMILIES["variant"] = variants
FAMILIES["practice"] = practice
