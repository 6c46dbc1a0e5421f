"""Runs recorded nerve and synapse cases inside one world: a real ZooKeeper, the agent under test, its file or nodes."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import traceback

from agents_accept import NERVE, SYNAPSE
from cases import Mismatch, cut, recorded, unpack, verdict
from nerve_cases import OUR_TEST_PORT, CheckTarget, NerveCase, ThreadingServer
from synapse_cases import SynapseCase

import world

KINDS = {"nerve": (NerveCase, NERVE), "synapse": (SynapseCase, SYNAPSE)}
PRIVATE_TMPFS = ("/run", "/var/spool", "/var/log")
PRIVATE_OVERLAY = ("/var/lib",)


class PrivateDirectories:
    """Gives the world its own /run, /var/spool, /var/log (tmpfs) and /var/lib (overlay), fresh for each case."""

    def __init__(self, scratch, keep):
        self.scratch, self.mounted, self.keep = scratch, [], [os.path.realpath(path) for path in keep]

    def fresh(self):
        for path in reversed(self.mounted):
            run_quietly("umount", "-l", path)
        self.mounted = []
        for path in PRIVATE_TMPFS + PRIVATE_OVERLAY:
            in_use = any((kept + "/").startswith(path + "/") for kept in self.keep)
            if in_use or not os.path.isdir(path):
                continue
            if self.mount_tmpfs(path) if path in PRIVATE_TMPFS else self.mount_overlay(path):
                self.mounted.append(path)

    def mount_tmpfs(self, path):
        return run_quietly("mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", path)

    def mount_overlay(self, path):
        base = tempfile.mkdtemp(prefix="overlay.", dir=self.scratch)
        self.mount_tmpfs(base)
        upper, work = base + "/upper", base + "/work"
        os.makedirs(upper)
        os.makedirs(work)
        options = f"lowerdir={path},upperdir={upper},workdir={work}"
        return run_quietly("mount", "-t", "overlay", "-o", options, "overlay", path)


def run_quietly(*argv):
    return subprocess.run(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode == 0


class AgentWorker:
    """Runs one case after the other; a case is a name of the kind's recorded ones."""

    def __init__(self, kind, bindir):
        self.kind, self.bindir, self.scratch = kind, bindir, world.scratch()
        self.cases = recorded(kind)
        self.private = PrivateDirectories(self.scratch, [self.scratch, bindir])
        self.zookeeper = world.ZooKeeperServer(self.scratch + "/zookeeper", tick_ms=200).start()
        self.client = world.zookeeper_client()
        if kind == "nerve":
            server = ThreadingServer(("127.0.0.1", OUR_TEST_PORT), CheckTarget)
            threading.Thread(target=server.serve_forever, daemon=True).start()
        self.statsd = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.statsd.bind(("127.0.0.1", 8125))
        threading.Thread(target=self.drain_statsd, daemon=True).start()

    def drain_statsd(self):
        while True:
            self.statsd.recv(65536)

    def run(self, name):
        case_class, accepted = KINDS[self.kind]
        accept = accepted.get(name)
        working = tempfile.mkdtemp(prefix=name[:40] + ".", dir=self.scratch)
        case = working + ".case"
        unpack(self.cases[name], case)
        problem, log = None, ""
        self.private.fresh()
        try:
            case_class(case, working, self, accept).run()
        except Mismatch as mismatch:
            problem = str(mismatch)
        except Exception as error:
            problem = "the harness broke: %r %s" % (error, cut(traceback.format_exc()[-400:]))
        if problem:
            log = world.tail(working + "/agent.log")
        shutil.rmtree(working, ignore_errors=True)
        return verdict(self.kind, name, problem, accept.reason if accept else None, log)

    # What the cases use

    def start(self, name, argv, cwd, log="agent.log"):
        return world.Process([os.path.join(self.bindir, name), *argv], os.path.join(cwd, log), cwd=cwd)

    def write_tree(self, znodes):
        self.wipe()
        for path, data in znodes.items():
            self.client.ensure_path(path.rsplit("/", 1)[0] or "/")
            value = b"" if data is None else data.encode()
            if self.client.exists(path):
                self.client.set(path, value)
            else:
                self.client.create(path, value)

    def wipe(self):
        from kazoo.exceptions import NoNodeError, NotEmptyError

        for _ in range(20):
            names = [name for name in self.client.get_children("/") if name != "zookeeper"]
            if not names:
                return
            for name in names:
                try:
                    self.client.delete("/" + name, recursive=True)
                except (NoNodeError, NotEmptyError):
                    pass
        raise RuntimeError("cannot empty ZooKeeper: %s" % names)

    def change_tree(self, old, new):
        """From one registry to the next in one transaction, so that a watcher sees one change."""
        for path in new:
            if path not in old:
                self.client.ensure_path(path.rsplit("/", 1)[0] or "/")
        change = self.client.transaction()
        for path in sorted(set(old) - set(new), key=len, reverse=True):
            change.delete(path)
        for path, data in new.items():
            value = b"" if data is None else data.encode()
            if path not in old:
                change.create(path, value)
            elif old[path] != data:
                change.set_data(path, value)
        for result in change.commit():
            if isinstance(result, Exception):
                raise RuntimeError("cannot apply the step: %r" % result)

    def dump_tree(self, path="/"):
        """Every node below path but ZooKeeper's own."""
        from kazoo.exceptions import NoNodeError

        found = []
        try:
            names = sorted(self.client.get_children(path))
        except NoNodeError:
            return found
        for name in names:
            child = path.rstrip("/") + "/" + name
            if child == "/zookeeper":
                continue
            try:
                data, stat = self.client.get(child)
            except NoNodeError:
                continue
            found.append(
                {
                    "path": child,
                    "data": data.decode(errors="replace"),
                    "ephemeral": stat.ephemeralOwner != 0,
                    "version": stat.version,
                    "czxid": stat.czxid,
                }
            )
            found += self.dump_tree(child)
        return found

    def close(self):
        self.zookeeper.stop(signal.SIGKILL)
