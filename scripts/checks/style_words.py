"""The words of the project's texts: what documents, messages and help say instead of the banned ones, and doc comments."""
import re

from checks.swift_source import ROOT, line_of, shown, strings_of

# (pattern, what to write instead). One word per thing, and it is the word the field uses.
BANNED_WORDS = [
    (r"\bthe originals?\b|\boriginals\b", "upstream (nerve, synapse, hacheck …)"),
    (r"\bmarked (?:down|up)\b|\bdown marks?\b", "downtime (the record), drained (the state)"),
    (r"\bas wanted\b|\bkeeps? [^.;:]{1,40} true\b", "in sync; keep in sync"),
    (r"\bnot heard of\b", "unknown; no data yet"),
    (r"\b(?:left|leaves?|leaving) out\b", "skipped"),
    (r"\banew\b|\bonce more\b", "again"),
    (r"\bof use\b", "usable"),
    (r"\bin force\b", "active"),
    (r"\b[Ss]o many\b", "number of"),
    (r"\bhow far\b", "state, progress"),
    (r"\bthe registry's word\b", "the registry's data"),
    (r"\bbe it\b|\b(?:has|have|had) (?:its|their) say\b", "plain English, subject first"),
    (r"\b(?:is|are|was) gone\b", "is removed, was removed"),
    (r"\b(?:is|are) told\b|\btold of\b", "is notified"),
    (r"\b(?:is|are) asked\b|\basked for of\b", "is queried, is requested"),
    (r"\b[Ww]hom(?:ever)?\b|\b[Ww]hoever\b", "plain English, subject first"),
    (r"(?<!\b[Tt]here )\b(?:is|are|was|were) no (?!longer\b|more\b)\w+", "is not a …"),
    (r"\b1 (?:services|namespaces|files|servers)\b", "the singular"),
]
# Texts that another program parses or that are recorded: file → literals.
WIRE = {}


def documents():
    below = (path for top in ("docs", "examples", "monitoring") for path in (ROOT / top).rglob("*.md"))
    return sorted([*ROOT.glob("*.md"), *below])


def in_documents():
    for path in documents():
        if path.name == "CHANGELOG.md":
            continue
        text = re.sub(r"```.*?```", lambda found: re.sub(r"[^\n]", " ", found[0]), path.read_text(), flags=re.S)
        text = re.sub(r"(`+).+?\1", lambda found: " " * len(found[0]), text)
        yield from _found(shown(path), text, 0, text)


def in_strings(path, text):
    """Banned words in a Swift file's string literals: log messages, help texts, errors."""
    name = str(shown(path))
    for offset, content in strings_of(text):
        if " " in content and content not in WIRE.get(name, ()):
            yield from _found(name, content, offset, text)


def _found(name, content, offset, text):
    for pattern, instead in BANNED_WORDS:
        for found in re.finditer(pattern, content):
            line = line_of(text, offset) + content.count("\n", 0, found.start())
            yield f"{name}:{line}: \"{found[0]}\": write instead: {instead}"


def parameter_problems(file):
    """`- Parameter x` of a doc comment, where the function below it has no parameter x."""
    lines = file.text.splitlines()
    functions = {function.line: function for function in file.functions}
    i = 0
    while i < len(lines):
        named = []
        while i < len(lines) and (found := re.match(r"\s*///(.*)", lines[i])):
            if item := re.match(r"\s*- (?:Parameter (\w+)|(\w+)):", found[1]):
                named.append((i + 1, item[1] or item[2]))
            i += 1
        if named:
            function = next((functions[n] for n in range(i + 1, i + 4) if n in functions), None)
            for line, name in named:
                if name in ("Returns", "Throws", "Note", "Important", "Complexity", "Parameters", "Warning", "Precondition"):
                    continue
                if function and not re.search(rf"\b{name}\s*(?:\w+\s*)?:", function.parameters):
                    yield f"{file.name}:{line}: {function.name} has no parameter {name}"
        i += 1


def comment_problems(path, text):
    """Doc comments that say nothing: fewer than four words, or a beginning that points elsewhere."""
    lines = text.splitlines()
    i = 0
    while i < len(lines):
        start, words = i, []
        while i < len(lines) and (found := re.match(r"\s*///(.*)", lines[i])):
            words += found[1].split()
            i += 1
        if i > start:
            if words[:2] == ["The", "same"]:
                yield f"{shown(path)}:{start + 1}: a doc comment stands alone: it does not begin with \"The same\""
            elif len(words) < 4:
                yield f"{shown(path)}:{start + 1}: the doc comment \"{' '.join(words)}\" has fewer than four words"
        i += 1
