"""A document that people follow by copying its commands: what they type, and what the document says is printed."""
import re

from world import Trouble, wait_for


class Step:
    """A line that begins with `$`, with what follows it; `…` stands for what differs, alone in a line for any lines."""

    def __init__(self, section, command):
        self.section, self.command, self.lines = section, command, []

    @property
    def pattern(self):
        """What is printed as a regular expression; None if the document says nothing of it."""
        def one(line):
            # Columns are as wide as what stands in them.
            text = ".*".join(map(re.escape, line.split("…")))
            return re.sub(r"(\\ ){2,}", r"\\s+", text)
        lines = ["(?s:.*)" if line.strip() == "…" else one(line) for line in self.lines]
        return re.compile("\n".join(lines)) if lines else None


def steps(path):
    """The steps of a document, in order."""
    found, section, depth = [], "", 0
    with open(path) as file:
        for line in file.read().splitlines():
            if line.startswith("#"):
                section = line.lstrip("# ")
            if typed := re.match(r"( {4,})\$ (.*)", line):
                depth = len(typed[1])
                found.append(Step(section, typed[2]))
            elif found and line.startswith(" " * depth) and line.strip():
                step = found[-1]
                if step.command.endswith("\\") and not step.lines:
                    step.command = step.command.removesuffix("\\") + line.strip()
                else:
                    step.lines.append(line[depth:])
            elif line.strip():
                depth = 999  # prose: what is indented after it belongs to no step
    return found


def follow(steps, play):
    """Types each command; `play` returns (exit status, what was printed). What is to be seen is waited for. Where the
    document shows no particular line, the status has to be 0."""
    for step in steps:
        pattern, seen = step.pattern, []

        def fits(step=step, pattern=pattern, seen=seen):
            seen[:] = play(step.command)
            is_good = seen[0] == 0 or any(line.strip() != "…" for line in step.lines)
            return is_good and (not pattern or pattern.fullmatch(seen[1].strip()))
        try:
            if pattern:
                wait_for(f"`{step.command}` prints what the document says", fits, pause=0.2)
            elif not fits():
                raise Trouble(f"`{step.command}` fails")
        except Trouble as trouble:
            wanted = "\n".join(step.lines)
            raise Trouble(f"{trouble}\n  wanted:\n{wanted}\n  ended with {seen[0]}, printed:\n{seen[1]}") from None
