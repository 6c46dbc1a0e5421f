"""Declarations of the Swift sources: types with their stored properties, functions with their parameters, circles of files.

It reads text, not a syntax tree: exact enough for sources that `swift format` has formatted.
"""
import re
from collections import defaultdict
from functools import cached_property
from typing import NamedTuple

from checks.swift_source import ROOT, code_of, line_of, shown, swift_files

KIND = r"(?:struct|class|enum|actor|protocol)"
_MODIFIERS = (r"(?:(?:@\w+(?:\([^)\n]*\))?|public|package|internal|fileprivate|private|final|indirect|open|"
              r"nonisolated(?:\(unsafe\))?)[ \t]+)*")
_TYPE = re.compile(
    rf"^[ \t]*(?P<modifiers>{_MODIFIERS})(?P<kind>{KIND}|extension|typealias)[ \t]+(?P<name>[\w.]+)", re.M)
_PROPERTY = re.compile(
    r"^[ \t]*(?P<modifiers>(?:(?:@\w+(?:\([^)\n]*\))?|public|package|internal|fileprivate|private(?:\(set\))?|static|class|"
    r"final|lazy|weak|unowned|override|nonisolated(?:\(unsafe\))?|(?:public|package|internal|fileprivate)\(set\))[ \t\n]+)*)"
    r"(?P<word>var|let)[ \t]+(?P<rest>[^\n]*)", re.M)
_FUNCTION = re.compile(
    r"\b(?:func\s+(?P<name>\w+|[^\s\w(<]+)|(?P<init>init)[?!]?(?=\s*[(<])|(?P<subscript>subscript)(?=\s*[(<]))")


class Declaration(NamedTuple):
    """A type, or an extension of one. `name` is qualified: `Outer.Inner`."""
    kind: str
    name: str
    is_private: bool
    start: int
    body: tuple  # first and last offset of the braces


class Function(NamedTuple):
    name: str
    line: int
    labels: list
    parameters: str
    is_at_file_scope: bool


def end_of(code, start, opening="{", closing="}"):
    """Offset of the bracket that closes the one at `start`."""
    depth = 0
    for found in re.compile(f"[{re.escape(opening + closing)}]").finditer(code, start):
        depth += 1 if found.group() == opening else -1
        if depth == 0:
            return found.start()
    return len(code) - 1


class File:
    """One Swift file: its text, its code without comments and strings, and what it declares."""

    def __init__(self, path):
        self.path, self.text = path, path.read_text()
        self.code = code_of(self.text)
        self.name = str(shown(path))
        parts = shown(path).parts
        self.room, self.folder = parts[1], "/".join(parts[2:-1])

    def line(self, offset):
        return line_of(self.code, offset)

    @cached_property
    def declarations(self):
        found, scopes = [], []
        for match in _TYPE.finditer(self.code):
            if match["kind"] == "class" and match["name"] in ("func", "var", "let", "subscript"):
                continue
            while scopes and scopes[-1].body[1] < match.start():
                scopes.pop()
            name = f"{scopes[-1].name}.{match['name']}" if scopes else match["name"]
            if match["kind"] == "typealias":
                body = (match.end(), match.end())
            else:
                brace = self.code.find("{", match.end())
                body = (brace, end_of(self.code, brace))
            is_private = bool(re.search(r"\b(private|fileprivate)\b", match["modifiers"])) or any(
                scope.is_private for scope in scopes)
            found.append(Declaration(match["kind"], name, is_private, match.start("name"), body))
            if match["kind"] != "typealias":
                scopes.append(found[-1])
        return found

    @property
    def types(self):
        return [item for item in self.declarations if item.kind not in ("extension", "typealias")]

    def depth_in(self, scope, offset):
        """Braces between the body of `scope` and `offset`; 0 is a member of the type itself."""
        part = self.code[scope.body[0] + 1:offset]
        return part.count("{") - part.count("}")

    def properties(self, scope):
        """(offset, whole declaration) of the stored properties that instances of a type have."""
        for found in _PROPERTY.finditer(self.code, scope.body[0] + 1, scope.body[1]):
            if re.search(r"\b(static|class)\b", found["modifiers"]) or self.depth_in(scope, found.start("word")):
                continue
            before = self.code[scope.body[0] + 1:found.start("word")]
            if before.count("(") != before.count(")"):
                continue
            if found["word"] == "var" and self._is_computed(found.start("rest"), scope.body[1]):
                continue
            rest = found["rest"]
            names = rest[1:rest.index(")")].count(",") + 1 if rest.startswith("(") else 1
            for _ in range(names):
                yield found.start("word"), rest

    def _is_computed(self, start, limit):
        depth = 0
        for i in range(start, limit):
            c = self.code[i]
            if c in "([":
                depth += 1
            elif c in ")]":
                depth -= 1
            elif depth == 0 and c == "=":
                return False
            elif depth == 0 and c == "{":
                return not re.match(r"\{\s*(?:@\w+\s+)?(?:willSet|didSet)\b", self.code[i:i + 80])
            elif depth == 0 and c == "\n":
                return False
        return False

    @cached_property
    def functions(self):
        found = []
        for match in _FUNCTION.finditer(self.code):
            if self.code[:match.start()].rstrip(" \t").endswith("."):
                continue
            i = match.end()
            while self.code[i] in " \t\n":
                i += 1
            if self.code[i] == "<":
                i = _end_of_generics(self.code, i)
            if self.code[i] != "(":
                continue
            parameters = self.code[i + 1:end_of(self.code, i, "(", ")")]
            labels = [re.sub(r"^(@\w+\s+)*", "", part.strip()).split(":")[0].split()
                      for part in split_at_commas(parameters) if part.strip()]
            name = match["name"] or match["init"] or match["subscript"]
            top = not any(item.body[0] < match.start() < item.body[1] for item in self.declarations)
            found.append(Function(name, self.line(match.start()), [words[0] for words in labels if words], parameters, top))
        return found


def _end_of_generics(code, start):
    depth = 0
    for i in range(start, len(code)):
        if code[i] == "<":
            depth += 1
        elif code[i] == ">" and code[i - 1] != "-":
            depth -= 1
            if depth == 0:
                return i + 1
    return start


def split_at_commas(text):
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text):
        if c in "([{<":
            depth += 1
        elif c in ")]}" or (c == ">" and text[i - 1] != "-"):
            depth -= 1
        elif c == "," and depth == 0:
            parts.append(text[start:i])
            start = i + 1
    return [*parts, text[start:]]


class Sources:
    """All files of Sources/, or of one room."""

    def __init__(self, room=None):
        self.files = [File(path) for path in swift_files("Sources" + (f"/{room}" if room else ""))]

    @property
    def rooms(self):
        return sorted({file.room for file in self.files})

    def in_room(self, room):
        return [file for file in self.files if file.room == room]

    def classes(self):
        """(file, declaration, stored properties) of every class and actor."""
        for file in self.files:
            for item in file.types:
                if item.kind in ("class", "actor"):
                    yield file, item, list(file.properties(item))

    def unlabelled(self):
        """(file, function) with two or more parameters that callers do not label; not what C calls."""
        for file in self.files:
            for function in file.functions:
                if function.labels.count("_") >= 2 and not is_c_callback(file, function):
                    yield file, function

    def stored_continuations(self):
        """(file, line, type) of every property that keeps a continuation."""
        for file in self.files:
            for item in file.types:
                for offset, rest in file.properties(item):
                    if re.search(r"\w*Continuation\b", rest):
                        yield file, file.line(offset), item.name

    def full_folders(self, limit=15):
        counts = defaultdict(int)
        for file in self.files:
            counts[str(shown(file.path).parent)] += 1
        return {folder: count for folder, count in sorted(counts.items()) if count > limit}


def is_c_callback(file, function):
    """A function at file scope that takes a pointer and no closure: C calls it, and C has no labels."""
    takes_pointer = re.search(r"Unsafe\w*Pointer|OpaquePointer", function.parameters)
    return function.is_at_file_scope and bool(takes_pointer) and "->" not in function.parameters


def references(files):
    """{(file, file): names}: the first file names a type that the second declares. All files are of one room."""
    places = defaultdict(set)  # qualified name → files
    for file in files:
        for item in file.declarations:
            if item.kind != "extension" and not item.is_private:
                places[item.name].add(file)
    nested = defaultdict(set)  # last part of a nested name → qualified names
    for name in places:
        if "." in name:
            nested[name.rpartition(".")[2]].add(name)
    found = defaultdict(set)
    for file in files:
        own = {item.name for item in file.declarations if item.kind != "extension"}
        own_last = {name.rpartition(".")[2] for name in own}
        for match in re.finditer(r"(?<![\w.])(?:[A-Z]\w*)(?:\.[A-Z]\w*)*", file.code):
            for name in _meant(file, match, places, nested, own_last):
                for other in places[name]:
                    if other is not file and name not in own:
                        found[file, other].add(name)
    return found


def _meant(file, match, places, nested, own_last):
    """Qualified names of declared types that a word like `Outer.Inner` may mean at its place."""
    parts = match.group().split(".")
    if parts[0] == file.room:
        parts = parts[1:]
    for length in range(1, len(parts) + 1):
        name = ".".join(parts[:length])
        if name in places and not (length == 1 and name in own_last):
            yield name
    if parts and parts[0] in nested and parts[0] not in own_last:
        scopes = [item.name for item in file.declarations if item.body[0] < match.start() < item.body[1]]
        for name in nested[parts[0]]:
            outer = name.rpartition(".")[0]
            if any(scope == outer or scope.startswith(outer + ".") for scope in scopes):
                yield name


def circles(edges):
    """Sets of files that name each other, directly or around: strongly connected components, largest first."""
    following = defaultdict(list)
    for first, second in edges:
        following[first].append(second)
    index, low, stack, on_stack, found = {}, {}, [], set(), []

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        on_stack.add(node)
        for other in following[node]:
            if other not in index:
                visit(other)
                low[node] = min(low[node], low[other])
            elif other in on_stack:
                low[node] = min(low[node], index[other])
        if low[node] == index[node]:
            component = []
            while True:
                component.append(stack.pop())
                on_stack.discard(component[-1])
                if component[-1] is node:
                    break
            if len(component) > 1:
                found.append(component)

    for node in list(following):
        if node not in index:
            visit(node)
    return sorted(found, key=len, reverse=True)


def ties(circle, edges):
    """Lines "A → B: names" of a circle, only for edges inside it."""
    members = set(circle)
    return [f"{a.path.name} → {b.path.name}: {', '.join(sorted(names))}"
            for (a, b), names in sorted(edges.items(), key=lambda edge: (edge[0][0].name, edge[0][1].name))
            if a in members and b in members]


__all__ = ["ROOT", "File", "Sources", "circles", "references", "ties"]
