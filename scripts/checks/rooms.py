"""The rooms of docs/architecture.md: its table (layer, what a room may import) and each room's folders, lowest first."""
import re
from typing import NamedTuple

from checks.swift_source import ROOT

DOCUMENT = "docs/architecture.md"
# Libraries from outside, as Package.swift names them and as `import` does.
OUTSIDE = {"logging": "Logging", "arguments": "ArgumentParser"}


class Room(NamedTuple):
    name: str
    layer: int
    may_import: frozenset
    folders: tuple  # lowest first; "." is the room itself; empty: the room has no folders


class DocumentError(Exception):
    """What keeps the document from being read."""


def section(text, title):
    """The part of a document below the heading `## title`."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", text, re.M | re.S)
    return found[1] if found else ""


def read_rooms():
    """name → Room, from the tables of the document."""
    text = (ROOT / DOCUMENT).read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")]
            for line in section(text, "Rooms").splitlines() if re.match(r"\| *\d", line)]
    folders = _folders(section(text, "Folders"))
    rooms = {}
    for row in rows:
        if len(row) != 4:
            raise DocumentError(f"{DOCUMENT}: Rooms: a row has layer, room, purpose and may import, not: {' | '.join(row)}")
        names, may_import = re.findall(r"`(\w+)`", row[1]), frozenset(re.findall(r"\w+", row[3]))
        for name in names:
            rooms[name] = Room(name, int(row[0]), may_import, folders.pop(name, ()))
    if not rooms:
        raise DocumentError(f"{DOCUMENT}: there is no table of rooms below the heading Rooms")
    if folders:
        raise DocumentError(f"{DOCUMENT}: Folders: there is no room {', '.join(folders)} in the table of rooms")
    return rooms


def _folders(text):
    found, room = {}, None
    for line in text.splitlines():
        if heading := re.match(r"### `?(\w+)`?", line):
            room = heading[1]
        elif (item := re.match(r"- +`([\w/.+-]+?)/?`", line)) and room:
            found.setdefault(room, []).append(item[1])
    return {room: tuple(names) for room, names in found.items()}


def package_dependencies():
    """target of Sources/ → names of what Package.swift lets it import."""
    text = re.sub(r"^\s*//.*$", "", (ROOT / "Package.swift").read_text(), flags=re.M)
    targets = {name: [] for name in re.findall(r'\.systemLibrary\(\s*name: "(\w+)"', text)}
    pattern = r'(?:\broom\(\s*|\.executableTarget\(\s*name: )"([\w-]+)",\s*(?:dependencies: )?\[(.*?)\]([^()]*path:)?'
    for name, inside, elsewhere in re.findall(pattern, text, re.S):
        if not elsewhere:
            targets[name] = [quoted or OUTSIDE.get(word, word) for quoted, word in re.findall(r'"(\w+)"|(\w+)', inside)]
    return {name: frozenset(names) for name, names in targets.items()}
