"""Recorded cases: where they are, how one is unpacked, what a verdict on one looks like."""

import fnmatch
import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(HERE, "..", "Golden")
EXPECTED_FAILURES = os.path.join(HERE, "expected-failures.txt")
KINDS = (
    "hacheck-contract", "hacheck-cli", "hacheck-startup", "nerve", "synapse", "configure_nerve", "local_services",
    "configure_synapse",
)


class Mismatch(Exception):
    """The build did something else than expected; the message says what."""


def recorded(kind):
    """{case name: case} of one kind; nerve's and synapse's cases are {file name: contents}."""
    with open(os.path.join(GOLDEN, kind + ".json"), encoding="utf-8") as file:
        return json.load(file)


def unpack(files, folder):
    """Writes a case's files: what was JSON as JSON, what was not as the text it was."""
    for name, contents in files.items():
        path = os.path.join(folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8", newline="") as file:
            if isinstance(contents, str):
                file.write(contents)
            else:
                json.dump(contents, file, ensure_ascii=False)


def verdict(kind, name, problem=None, accepted=None, log=""):
    """problem: why it does not hold; accepted: the reason why another answer than the recorded one is right."""
    return {"kind": kind, "case": name, "problem": problem, "accepted": accepted, "log": log}


def cut(text, limit=300):
    text = str(text).replace("\n", "\\n").replace("\r", "\\r")
    return text if len(text) <= limit else text[:limit] + "..."


def cause(agent):
    """The line of the agent's log that most looks like the cause of its end."""
    lines = agent.output().strip().split("\n")
    return cut(next((line for line in lines if re.search(r"\b[A-Z]\w*Error\b|error|fatal", line)), lines[-1]), 250)


class ExpectedFailures:
    """The cases known not to hold yet: lines `kind case-pattern: reason`."""

    def __init__(self, path=EXPECTED_FAILURES):
        self.entries = []
        with open(path, encoding="utf-8") as file:
            for line in file:
                words, _, reason = line.partition(":")
                if line.strip() and not line.startswith("#"):
                    kind, pattern = words.split()
                    self.entries.append((kind, pattern, reason.strip()))

    def reason(self, kind, name):
        return next((r for k, p, r in self.entries if k == kind and fnmatch.fnmatchcase(name, p)), None)
