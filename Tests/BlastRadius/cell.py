"""What a cell is: one input surface and one kind of mistake. The tables in the other files are the documentation.

`b` says what becomes of b meanwhile: SERVED, OUT (its port answers nobody, or nothing of it is listed), or EITHER where
the contract leaves it open. `named` are words that stand together in one line of the log, of `status` or of the check
of the file.
"""
from stage import SERVICES, Stage

from world import Trouble

SERVED, OUT, EITHER = "served", "out", "either"
B_TASK, B_PORT = SERVICES["b"]
# A value that would write lines of its own into HAProxy's file.
HOSTILE = "x\nfrontend evil\n bind :9999"


class Cell:
    """One cell. Subclasses say how b's input is spoiled and mended."""

    stage = Stage

    def __init__(self, surface, kind, b=EITHER, named=(), agent="synapse", check=True):
        self.name = f"{surface}: {kind}"
        self.b, self.named, self.agent, self.check = b, named, agent, check

    def spoil(self, stage):
        raise NotImplementedError

    def add_d(self, stage):
        """d arrives while b's input is spoiled."""
        stage.write(stage.good_nerve("abcd"), stage.good_synapse("abcd"))

    def restore(self, stage):
        stage.write(stage.good_nerve(), stage.good_synapse())

    def run(self, stage):
        position = stage.begin()
        self.spoil(stage)
        self.add_d(stage)
        stage.until("d is served", lambda: stage.answer("d") == "d")
        if self.b == SERVED:
            stage.until("b is served meanwhile", lambda: stage.answer("b") == "b")
        elif self.b == OUT:
            stage.until("b is out meanwhile", lambda: stage.answer("b") != "b")
        if stage.answer("b") not in ("b", "503") and not stage.answer("b").startswith("Connection"):
            raise Trouble(f"b's port answers {stage.answer('b')}")
        if self.named:
            stage.until(f"the problem is named ({', '.join(self.named)})", lambda: self.is_named(stage, position))
        stage.clients_move()
        stage.undisturbed()

    def is_named(self, stage, position):
        texts = [stage.log_since(position, self.agent), stage.status_text(self.agent)]
        if self.check:
            path = stage.synapse_file if self.agent == "synapse" else stage.nerve_file
            texts.append(stage.command(self.agent, "-c", path, "-k")[1])
        return any(all(word in line for word in self.named) for text in texts for line in text.splitlines())

    def mend(self, stage):
        """b comes back by itself, d leaves."""
        self.restore(stage)
        stage.until("b is served again", lambda: stage.answer("b") == "b")
        stage.until("b is registered again", lambda: stage.registered("b"))
        stage.until("d has left", lambda: stage.answer("d") != "d" and not stage.registered("d"))
        stage.until("a and c are served", lambda: all(stage.answer(name) == name for name in "ac"))
        stage.clients_move()
        stage.undisturbed()
