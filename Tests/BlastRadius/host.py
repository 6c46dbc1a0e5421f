"""Ports, addresses, the parts of synapse.conf.json that all services share, and what is kept on disk."""
import json
import os
import re
import signal
import socket
import subprocess

from cell import B_PORT, EITHER, OUT, SERVED, Cell
from stage import HACHECK_PORT, LOCAL, ROOT, SERVICES, STATS_PORT, STATUS_PORT, Stage, Task, changed, write_text

import world
from world import Trouble

# --- ports and addresses ---------------------------------------------------------------------------------------------

class PortTaken(Cell):
    """Another program holds b's port, which b is to be given now."""

    def __init__(self):
        super().__init__("port", "held by another program", OUT, ("services.b.", "20022"), check=False)
        self.holder = None

    def document(self, stage, names):
        return changed(stage.good_synapse(names), ("services", "b", "haproxy", "port"), 20022)

    def spoil(self, stage):
        self.holder = socket.create_server((world.SYNAPSE_ADDRESS, 20022))
        stage.write(synapse=self.document(stage, "abc"))

    def add_d(self, stage):
        stage.write(stage.good_nerve("abcd"), self.document(stage, "abcd"))

    def mend(self, stage):
        self.holder.close()
        super().mend(stage)


class SynapsePort(Cell):
    """b wants a port that somebody else of ours has."""

    def __init__(self, kind, port, b=OUT):
        self.port = port
        super().__init__("port", kind, b, ("services.b.", str(port)))

    def document(self, stage, names):
        document = changed(stage.good_synapse(names), ("services", "b", "haproxy", "port"), self.port)
        return changed(document, ("services", "b", "haproxy", "bind_address"), LOCAL) if self.port in (
            STATS_PORT, STATUS_PORT, HACHECK_PORT) else document

    def spoil(self, stage):
        stage.write(synapse=self.document(stage, "abc"))

    def add_d(self, stage):
        stage.write(stage.good_nerve("abcd"), self.document(stage, "abcd"))


class Address(Cell):
    def __init__(self, kind, address):
        self.address = address
        super().__init__("bind_address", kind, OUT, ("services.b.",))

    def document(self, stage, names):
        return changed(stage.good_synapse(names), ("services", "b", "haproxy", "bind_address"), self.address)

    spoil, add_d = SynapsePort.spoil, SynapsePort.add_d


def ports():
    yield PortTaken()
    yield SynapsePort("another service's", SERVICES["a"][1])
    yield SynapsePort("the statistics page's", STATS_PORT)
    yield SynapsePort("the status port's", STATUS_PORT)
    yield SynapsePort("hacheck's", HACHECK_PORT)
    yield Address("one that this host does not have", "10.99.99.99")
    yield Address("no address", "not an address")


# --- sections that all services share ----------------------------------------------------------------------------------

class Shared(Cell):
    """A mistake in a part that belongs to no service; every service is served."""

    def __init__(self, key, kind, value, named, b=SERVED):
        self.key, self.value = key, value
        super().__init__(f"synapse.conf.json haproxy.{key}", kind, b, named)

    def document(self, stage, names):
        document = stage.good_synapse(names)
        part = document["haproxy"][self.key]
        if isinstance(part, list):
            part += self.value
        else:
            part.update(self.value)
        return document

    spoil, add_d = SynapsePort.spoil, SynapsePort.add_d


def shared():
    yield Shared("extra_sections", "an address behind the name", {"listen more :3213": [
        "mode http", "stats enable", "stats uri /"]}, ())
    yield Shared("extra_sections", "a backend that is not there", {"frontend x": [
        "bind 127.0.0.1:3215", "default_backend nowhere"]}, ("frontend x",))
    yield Shared("extra_sections", "an unknown directive", {
        "frontend x": ["bind 127.0.0.1:3215", "frobnicate"]}, ("frobnicate",))
    yield Shared("extra_sections", "an unknown kind of section", {"frontendd x": ["bind 127.0.0.1:3215"]}, ("frontendd",))
    yield Shared("extra_sections", "a port that a service has", {"listen x": [f"bind {world.SYNAPSE_ADDRESS}:{B_PORT}"]},
                 ("listen x",), b=EITHER)
    yield Shared("extra_sections", "an address that this host does not have", {"listen x": ["bind 10.99.99.99:3215"]},
                 ("listen x",))
    yield Shared("global", "a word that HAProxy has dropped", ["nbproc 2"], ("nbproc",))
    yield Shared("global", "an unknown word", ["frobnicate 7"], ("frobnicate",))
    yield Shared("global", "a file that is not there", ["ca-base /nowhere", "lua-load /nowhere.lua"], ("lua-load",))
    yield Shared("defaults", "an unknown word", ["frobnicate 7"], ("frobnicate",))
    yield Shared("defaults", "a word that HAProxy has dropped", ["option forceclose"], ("forceclose",))
    yield Shared("defaults", "a file that is not there", ["errorfile 503 /nowhere/503.http"], ("errorfile",))


# --- on disk -----------------------------------------------------------------------------------------------------------

class Disk(Cell):
    """Somebody changes what synapse keeps on disk or in HAProxy; every service is served again, or still."""

    def __init__(self, kind, act, named=("haproxy.cfg",), disturbs=False):
        self.act, self.disturbs = act, disturbs
        super().__init__("disk", kind, SERVED, named, check=False)

    def spoil(self, stage):
        self.act(stage)
        # Within an audit, and without any other change.
        stage.until("haproxy.cfg has b again", lambda: has_b(stage))

    def run(self, stage):
        # HAProxy would load what this cell puts there.
        stage.until_reloaded()
        if not self.disturbs:
            return super().run(stage)
        # What HAProxy was made to load is another file: nobody is served for a moment, everybody within an audit.
        stage.begin()
        self.spoil(stage)
        stage.until("all are served again", lambda: all(stage.answer(name) == name for name in "abc"))
        stage.begin()
        self.add_d(stage)
        stage.until("d is served", lambda: stage.answer("d") == "d")
        stage.clients_move()
        stage.undisturbed()

    def mend(self, stage):
        super().mend(stage)
        stage.until("haproxy.cfg has b", lambda: has_b(stage))


class DiskRights(Disk):
    """What somebody has arranged for haproxy.cfg stays so while synapse replaces it."""

    def __init__(self, kind, act, stays, undo):
        self.stays, self.undo = stays, undo
        super().__init__(kind, act, named=())

    def run(self, stage):
        super().run(stage)
        with open(stage.haproxy.config) as file:
            if "frontend d" not in file.read():
                raise Trouble("haproxy.cfg was not replaced")
        if not self.stays(stage.haproxy.config):
            raise Trouble(f"haproxy.cfg has changed in kind: {os.lstat(stage.haproxy.config)}")

    def mend(self, stage):
        super().mend(stage)
        self.undo(stage.haproxy.config)


def has_b(stage):
    try:
        with open(stage.haproxy.config, errors="replace") as file:
            return re.search(r"^frontend b\b", file.read(), re.M) is not None
    except OSError:
        return False


FOREIGN = ("global\n  stats socket {socket} level admin expose-fd listeners\n"
           "defaults\n  timeout connect 1s\n  timeout client 1s\n  timeout server 1s\n"
           "listen foreign\n  bind 127.0.0.1:3216\n")


def replace_file(stage):
    write_text(stage.haproxy.config, FOREIGN.format(socket=stage.haproxy.socket))


def replace_file_and_reload(stage):
    before = stage.haproxy.reloads()
    replace_file(stage)
    stage.haproxy.process.send(signal.SIGUSR2)
    # The master reads the file a little later: this one, or the one that synapse has written in its place meanwhile.
    stage.until("HAProxy has reloaded",
                lambda: listens(3216) or (has_b(stage) and stage.haproxy.reloads() > before))


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def delete_file(stage):
    os.remove(stage.haproxy.config)


def corrupt_file(stage):
    write_text(stage.haproxy.config, "this is not a configuration\n")


def hide_file(stage):
    os.chmod(stage.haproxy.config, 0o640)
    os.chown(stage.haproxy.config, 0, 4321)


def is_hidden(path):
    status = os.stat(path)
    return status.st_mode & 0o7777 == 0o640 and (status.st_uid, status.st_gid) == (0, 4321)


def show_file(path):
    os.chmod(path, 0o644)
    os.chown(path, 0, 0)


def link_file(stage):
    os.makedirs(f"{stage.folder}/elsewhere", exist_ok=True)
    os.rename(stage.haproxy.config, f"{stage.folder}/elsewhere/real.cfg")
    os.symlink("elsewhere/real.cfg", stage.haproxy.config)


def unlink_file(path):
    os.rename(os.path.realpath(path), path)


def mount_file(stage):
    # A file that is mounted cannot be replaced by a rename: EBUSY.
    subprocess.run(["mount", "--bind", stage.haproxy.config, stage.haproxy.config], check=True)


def is_mounted(path):
    with open("/proc/self/mounts") as mounts:
        return any(line.split()[1] == path for line in mounts)


def unmount_file(path):
    subprocess.run(["umount", path], check=True)


def truncate_state(stage):
    write_text(f"{stage.folder}/state.json", b"{\"half")


def disable_frontend(stage):
    """Until an audit has found it: a reload, the last cell's or d's, opens the frontend as well, and names nothing."""
    position = stage.log_position()

    def is_found():
        if "frontend b" in stage.log_since(position, "synapse"):
            return True
        stage.haproxy.command("disable frontend b")
        return False
    stage.until("the closed frontend is found", is_found)
    stage.until("b's frontend is open again", lambda: stage.answer("b") == "b")


def maintenance(stage):
    for name in stage.haproxy.in_rotation("b"):
        stage.haproxy.command(f"set server b/{name} state maint")


def disk():
    yield Disk("haproxy.cfg replaced", replace_file)
    yield Disk("haproxy.cfg replaced and loaded", replace_file_and_reload, disturbs=True)
    yield Disk("haproxy.cfg deleted", delete_file)
    yield Disk("haproxy.cfg is garbage", corrupt_file)
    yield DiskRights("haproxy.cfg is 0640 and a group's", hide_file, is_hidden, show_file)
    yield DiskRights("haproxy.cfg is a link", link_file, os.path.islink, unlink_file)
    yield DiskRights("haproxy.cfg is mounted", mount_file, is_mounted, unmount_file)
    yield Disk("state file half-written", truncate_state, named=())
    yield Disk("a frontend disabled at the socket", disable_frontend, named=("frontend b",))
    yield Disk("a server put into maintenance at the socket", maintenance, named=())


# --- sockets and reloads -----------------------------------------------------------------------------------------------

class TwoSockets(Stage):
    """Two stats sockets of one process."""

    def good_synapse(self, names="abc"):
        document = super().good_synapse(names)
        second = f"{self.folder}/second.sock"
        document["haproxy"]["socket_file_path"] = [self.haproxy.socket, second]
        document["haproxy"]["global"].insert(0, f"stats socket {second} level admin expose-fd listeners")
        return document


class SocketsOfOne(Cell):
    """Servers of b come and go: no command is refused, and no reload is asked for."""

    stage = TwoSockets

    def __init__(self):
        super().__init__("sockets", "two of one process", SERVED, check=False)

    def run(self, stage):
        # A reload of the last cell's would be counted.
        stage.until_reloaded()
        position = stage.begin()
        reloads = stage.haproxy.reloads()
        second = Task("b", 0)
        node = stage.client.create(f"{ROOT}/b/second_", json.dumps(
            {"host": LOCAL, "port": second.server.server_address[1], "name": "second"}).encode(), sequence=True)
        stage.until("b has two servers", lambda: len(stage.haproxy.in_rotation("b")) == 2)
        stage.client.delete(node)
        stage.until("b has one server", lambda: len(stage.haproxy.in_rotation("b")) == 1)
        second.close()
        if stage.haproxy.reloads() != reloads or "command refused" in stage.log_since(position, "synapse"):
            raise Trouble("a server cost a reload")
        self.add_d(stage)
        stage.until("d is served", lambda: stage.answer("d") == "d")
        stage.clients_move()
        stage.undisturbed()


class MasterStage(Stage):
    """HAProxy is reloaded at its master's socket."""

    def good_synapse(self, names="abc"):
        document = super().good_synapse(names)
        del document["haproxy"]["reload_command"]
        document["haproxy"]["master_socket"] = self.haproxy.master_socket
        return document


class SocketRemoved(Cell):
    """The stats socket's file goes: the master passes commands on until HAProxy is started again."""

    stage = MasterStage

    def __init__(self):
        super().__init__("sockets", "the file is removed", SERVED, ("stats socket missing",), check=False)

    def spoil(self, stage):
        os.remove(stage.haproxy.socket)


class NotWritten(Cell):
    """Another program is to write haproxy.cfg: synapse has HAProxy load it once for each reason, not for ever."""

    def __init__(self):
        super().__init__("synapse.conf.json haproxy.do_writes", "false", SERVED, ("without effect",), check=False)

    def run(self, stage):
        # A reload of the last cell's would be counted.
        stage.until_reloaded()
        position = stage.begin()
        reloads = stage.haproxy.reloads()
        stage.write(stage.good_nerve("abcd"), changed(stage.good_synapse("abcd"), ("haproxy", "do_writes"), False))
        stage.until("it is said", lambda: self.is_named(stage, position))
        # Audits and d's registration find nothing new to reload for.
        stage.until("d is registered", lambda: stage.registered("d"))
        stage.clients_move(100)
        if stage.haproxy.reloads() > reloads + 1:
            raise Trouble(f"{stage.haproxy.reloads() - reloads} reloads")
        stage.undisturbed()


CELLS = [*ports(), *shared(), *disk(), NotWritten(), SocketsOfOne(), SocketRemoved()]
