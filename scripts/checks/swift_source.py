"""Reads Swift just well enough for our own checks: what is code, and what is comment or string."""
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

_OPENING_QUOTE = re.compile(r'(#*)("""|")')
_NO_CODE = re.compile(r'//|/\*|#*"')


def swift_files(*folders):
    """Every Swift file below the given folders of the project, sorted."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.swift"))


def python_files():
    """Every Python file of the project, those without an ending included."""
    for folder in ("scripts", "packaging", "Tests", "examples"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.is_file() and (path.suffix == ".py" or not path.suffix and path.read_bytes()[:18] == b"#!/usr/bin/python3"):
                yield path


def shown(path):
    return path.relative_to(ROOT)


def code_of(text):
    """The text with comments and string contents blanked out; line breaks, and so line numbers, stay.

    Code inside an interpolation `\\(…)` is blanked too: none of our checks needs it.
    """
    out, i = [], 0
    while found := _NO_CODE.search(text, i):
        start = found.start()
        if text.startswith("//", start):
            end = text.find("\n", start)
            end = len(text) if end < 0 else end
        elif text.startswith("/*", start):
            end = _end_of_comment(text, start)
        else:
            end = _end_of_string(text, _OPENING_QUOTE.match(text, start))
        out += [text[i:start], re.sub(r"[^\n]", " ", text[start:end])]
        i = end
    return "".join(out) + text[i:]


def strings_of(text):
    """(offset, content) of every string literal; an interpolation is `…`."""
    i = 0
    while found := _NO_CODE.search(text, i):
        start = found.start()
        if text.startswith("//", start):
            i = text.find("\n", start)
            if i < 0:
                return
        elif text.startswith("/*", start):
            i = _end_of_comment(text, start)
        else:
            quote = _OPENING_QUOTE.match(text, start)
            i = _end_of_string(text, quote)
            yield start, _without_interpolations(text[quote.end():i - len(quote[0])], "\\" + quote[1] + "(")
            for inner_start, inner in _interpolations(text, start, i, "\\" + quote[1] + "("):
                yield from ((inner_start + offset, content) for offset, content in strings_of(inner))


def _interpolations(text, start, end, opening):
    i = start
    while (i := text.find(opening, i, end)) >= 0:
        close = _end_of_interpolation(text, i + len(opening))
        yield i + len(opening), text[i + len(opening):close - 1]
        i = close


def _without_interpolations(content, opening):
    out, i = [], 0
    while (at := content.find(opening, i)) >= 0:
        out += [content[i:at], "…"]
        i = _end_of_interpolation(content, at + len(opening))
    return "".join(out) + content[i:]


def _end_of_comment(text, start):
    depth, i = 0, start
    while i < len(text):
        if text.startswith("/*", i):
            depth, i = depth + 1, i + 2
        elif text.startswith("*/", i):
            depth, i = depth - 1, i + 2
            if depth == 0:
                return i
        else:
            i += 1
    return i


def _end_of_string(text, quote):
    hashes, marks = quote.groups()
    closing, escape = marks + hashes, "\\" + hashes
    i = quote.end()
    while i < len(text):
        if text.startswith(escape + "(", i):
            i = _end_of_interpolation(text, i + len(escape) + 1)
        elif text.startswith(escape, i):
            i += len(escape) + 1
        elif text.startswith(closing, i):
            return i + len(closing)
        else:
            i += 1
    return i


def _end_of_interpolation(text, i):
    depth = 1
    while i < len(text) and depth:
        if quote := _OPENING_QUOTE.match(text, i):
            i = _end_of_string(text, quote)
            continue
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        i += 1
    return i


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1
