"""What each program of the package says of itself: its words, options and operands; packaging/man/commands lists them."""
import json
import os
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))


class Argument:
    """One option or operand."""

    def __init__(self, names, value, text, default=None, section="OPTIONS", is_operand=False):
        self.names, self.value, self.text, self.default = names, value, text, default
        self.section, self.is_operand = section, is_operand


def run(program, words):
    environment = {**os.environ, "COLUMNS": "10000"}
    return subprocess.run([program, *words], capture_output=True, text=True, env=environment)


def read_dump(text):
    """A command of swift-argument-parser: its words about itself, and its arguments."""
    command = json.loads(text)["command"]
    arguments = []
    for entry in command.get("arguments", []):
        if not entry.get("shouldDisplay", True):
            continue
        names = ["-" * (1 if name["kind"] == "short" else 2) + name["name"] for name in entry.get("names", [])]
        value = None if entry["kind"] == "flag" else entry.get("valueName")
        arguments.append(Argument(
            sorted(names, key=len), value, entry.get("abstract", ""), entry.get("defaultValue") or None,
            (entry.get("sectionTitle") or "OPTIONS").upper(), entry["kind"] == "positional"))
    return command.get("abstract", ""), command.get("discussion", ""), arguments


def read_help(text):
    """The same form as text: `OVERVIEW: …`, `USAGE: …`, then options, each with its words after two blanks or below."""
    arguments = []
    for label, words in re.findall(r"^  (-.*?)(?:  +|\n {20,})(\S.*)$", text, flags=re.M):
        value = re.search(r" <(.*)>$", label)
        default = re.search(r" \(default: (.*)\)$", words)
        names = re.sub(r" <.*>$", "", label).split(", ")
        arguments.append(Argument(names, value and value[1], words[:default.start()] if default else words,
                                  default and default[1]))
    if operand := re.search(r"^USAGE: \S+ \[<options>\] <(.*?)>", text, flags=re.M):
        arguments.append(Argument([], operand[1], "", is_operand=True))
    overview = re.search(r"^OVERVIEW: (.*)$", text, flags=re.M)
    return overview[1] if overview else "", "", arguments


class Command:
    """One row of packaging/man/commands, and what the program said."""

    def __init__(self, row, executables):
        name, executable, words, self.section, self.summary = (cell.strip() for cell in row.split("|"))
        self.name, self.page = name, name.replace(" ", "-")
        words = words.split()
        # Scripts are beside this file.
        executables = f"{HERE}/bin" if os.path.exists(f"{HERE}/bin/{executable}") else executables
        dump = run(f"{executables}/{executable}", words + ["--experimental-dump-help"])
        if dump.returncode == 0 and dump.stdout.startswith("{"):
            self.abstract, self.discussion, self.arguments = read_dump(dump.stdout)
            return
        shown = run(f"{executables}/{executable}", words + ["--help"])
        if shown.returncode != 0:
            sys.exit(f"{name} --help ends with {shown.returncode}: {shown.stderr.strip()}")
        self.abstract, self.discussion, self.arguments = read_help(shown.stdout)

    @property
    def options(self):
        return [argument for argument in self.arguments if not argument.is_operand]

    @property
    def operands(self):
        return [argument for argument in self.arguments if argument.is_operand]


def read_all(executables):
    with open(f"{HERE}/man/commands", encoding="utf-8") as file:
        return [Command(line, executables) for line in file if line.strip() and not line.startswith("#")]
