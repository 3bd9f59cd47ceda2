"""Writes utf8_tables.h: what Python's own Unicode tables say, as ranges.

    python3 engine/base/utf8_tables.py > engine/base/utf8_tables.h

Case comes from str.lower, upper and title rather than from UnicodeData.txt, so that the tables hold
what the official evaluators' interpreter does. Python names no property "cased" or "case-ignorable";
its final sigma rule shows both: a capital sigma behind c becomes the final form where c is cased (and
not passed over), and behind "A" and c where c is cased or passed over."""
import sys
import unicodedata

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
SIGMA, FINAL = "\u03a3", "\u03c2"


def lower(c):
    return ord(chr(c).lower()[0])                      # U+0130 alone has two: "i" comes first


def upper(c):
    for text in (chr(c).upper(), chr(c).title()):      # one that expands has a simple title form
        if len(text) == 1:
            return ord(text)
    return c


def title(c):
    return ord(chr(c).title()) if len(chr(c).title()) == 1 else c


def runs(pairs):
    """(code point, delta), ascending -> [first, last, stride, delta], strides 1 or 2."""
    out = []
    for c, delta in pairs:
        if out and out[-1][3] == delta:
            first, last, stride, _ = out[-1]
            gap = c - last
            if gap == stride or (first == last and gap == 2):
                out[-1][1:3] = [c, gap]
                continue
        out.append([c, c, 1, delta])
    return out


def mapping(name, what, f, otherwise=lambda c: c):
    """The code points for which f differs from what is taken otherwise."""
    moved = [(c, f(c) - c) for c in SCALARS if f(c) != otherwise(c)]
    print(f"\n/* {what}: {len(moved)} code points. */")
    table(name, "struct mapped", [f"{{ 0x{a:04X}, 0x{b:04X}, {s}, {d} }}" for a, b, s, d in runs(moved)])


def members(name, what, f):
    ranges = []
    for c in filter(f, SCALARS):
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    print(f"\n/* {what}. */")
    table(name, "struct range", [f"{{ 0x{a:04X}, 0x{b:04X} }}" for a, b in ranges])


def table(name, kind, cells):
    print(f"static const {kind} {name}[] = {{")
    line = "   "
    for cell in cells:
        if len(line) + len(cell) + 2 > 100:
            print(line)
            line = "   "
        line += f" {cell},"
    print(line + "\n};")


def cased(c):
    return (chr(c) + SIGMA).lower().endswith(FINAL)


def ignorable(c):
    return not cased(c) and ("A" + chr(c) + SIGMA).lower().endswith(FINAL)


print(f"/* utf8_tables.h -- made by engine/base/utf8_tables.py from Python {sys.version.split()[0]}, Unicode "
      f"{unicodedata.unidata_version}; not\n * to be edited. Included by utf8.c alone. */")
mapping("lower_map", "One-to-one lower case", lower)
mapping("upper_map", "One-to-one upper case", upper)
mapping("title_map", "One-to-one title case where it is not the upper case", title, upper)
print("\n/* Title case of two or three code points. */")
table("title_many", "struct expanded",
      ["{ 0x%04X, { %s } }" % (c, ", ".join(f"0x{ord(t):04X}" for t in chr(c).title()))
       for c in SCALARS if len(chr(c).title()) > 1])
members("digit_ranges", "Category Nd", lambda c: unicodedata.category(chr(c)) == "Nd")
members("cased_ranges", "Cased, and not case-ignorable", cased)
members("ignorable_ranges", "Case-ignorable", ignorable)
