"""What ZooKeeper holds: registrations of b, and the data of its directory."""
import json
import socket
import subprocess
import threading
import time

from cell import B_PORT, B_TASK, HOSTILE, OUT, SERVED, Cell
from stage import LOCAL, ROOT, SERVICES, Stage, changed, write_text

from world import Trouble

# --- what the registry holds -------------------------------------------------------------------------------------------

class Znode(Cell):
    """A registration of b beside the good one."""

    def __init__(self, kind, payload, named=("foreign",), name="foreign_0000009999", count=1):
        self.payload, self.node, self.count = payload, name, count
        super().__init__("registration", kind, SERVED, named, check=False)

    def spoil(self, stage):
        data = self.payload if isinstance(self.payload, bytes) else json.dumps(self.payload).encode()
        for index in range(self.count):
            stage.client.create(f"{ROOT}/b/{self.node}" + (str(index) if index else ""), data)

    def restore(self, stage):
        for index in range(self.count):
            stage.client.delete(f"{ROOT}/b/{self.node}" + (str(index) if index else ""))
        super().restore(stage)


def registrations():
    good = {"host": LOCAL, "port": B_TASK, "name": "foreign"}
    b64 = "base64_12_bm90IGpzb24gYXQ_0000000007"
    yield Znode("empty", b"")
    yield Znode("half-written", b'{"host": "127.0.0.1", "po')
    yield Znode("no text", b"\xff\xfe\x00\x01")
    yield Znode("a list", [])
    yield Znode("a number", 7)
    yield Znode("null", None)
    yield Znode("host missing", {"port": 1, "name": "foreign"})
    yield Znode("host of the wrong type", {**good, "host": 7})
    yield Znode("host empty", {**good, "host": ""})
    yield Znode("host hostile", {**good, "host": HOSTILE})
    yield Znode("port missing", {"host": LOCAL, "name": "foreign"})
    yield Znode("port of the wrong type", {**good, "port": "http"})
    yield Znode("port out of range", {**good, "port": 70000})
    yield Znode("port negative", {**good, "port": -1})
    yield Znode("name hostile", {**good, "name": HOSTILE})
    yield Znode("name of the wrong type", {**good, "name": {}})
    yield Znode("options hostile", {**good, "haproxy_server_options": HOSTILE})
    yield Znode("options unknown", {**good, "port": 31009, "haproxy_server_options": "frobnicate"})
    yield Znode("options of the wrong type", {**good, "haproxy_server_options": []})
    yield Znode("weight of the wrong type", {**good, "weight": "heavy"})
    yield Znode("labels of the wrong type", {**good, "labels": "x"})
    yield Znode("id of another's server", {**good, "port": 31009, "haproxy_server_id": 1}, named=())
    yield Znode("a name that does not decode", b"", named=("base64",), name=b64)
    yield Znode("deep nesting", b"[" * 5000)
    yield Znode("large", json.dumps({**good, "host": "x" * 500_000}).encode())
    yield Znode("a host name nobody knows", {**good, "host": "no-such-host.invalid"}, named=("no-such-host.invalid",))
    yield Named("the host is a name", "known", SERVED)
    yield Named("the host is a name whose name server is silent", "silent", OUT, named=("silent.test",))
    yield Znode("the same host and port, other options", {**good, "haproxy_server_options": "maxconn 7"},
                named=("services.b: server ", f"{LOCAL}:{B_TASK} is registered twice", "maxconn 7"))
    yield Znode("the id of b's own server", {**good, "port": 31009, "haproxy_server_options": "id 1"},
                named=("services.b: server foreign", "asks for id 1"))
    yield Flapping()
    yield Znode("many that are no registrations", b"x", count=50)


class Flapping(Znode):
    """A registration of b that says something else every moment, for which a HAProxy has to be reloaded that cannot delete
    servers."""

    def __init__(self):
        super().__init__("options that change without end", {}, named=())
        self.number, self.running = 0, False

    def spoil(self, stage):
        self.payload = self.next()
        super().spoil(stage)
        self.running = True
        threading.Thread(target=self._flap, args=(stage,), daemon=True).start()
        position = stage.log_position()
        # A HAProxy that deletes servers needs no reload, but for one that has a connection just then.
        stage.until("b's reloads wait", lambda: "reload postponed" in stage.log_since(position, "synapse")
                    or stage.haproxy.deletes_servers() and self.number > 30)
        reloads, number = self.reloads(stage, position), self.number
        stage.until("b changes on", lambda: self.number > number + 10)
        if self.reloads(stage, position) > reloads:
            raise Trouble("HAProxy is reloaded for b without end")

    @staticmethod
    def reloads(stage, position):
        return stage.log_since(position, "synapse").count("HAProxy reload started")

    def next(self):
        self.number += 1
        return {"host": LOCAL, "port": B_TASK, "name": "foreign", "haproxy_server_options": f"maxconn {self.number}"}

    def _flap(self, stage):
        while self.running:
            stage.client.set(f"{ROOT}/b/{self.node}", json.dumps(self.next()).encode())
            time.sleep(0.1)

    def restore(self, stage):
        self.running = False
        time.sleep(0.2)
        super().restore(stage)


class NamedStage(Stage):
    """Its name server knows `known.test`, has no IPv6 answer for anybody, and is silent for `silent.test`."""

    def start(self):
        self.knows = {b"known"}
        self.names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.names.bind((LOCAL, 53))
        threading.Thread(target=self._serve, daemon=True).start()
        write_text(f"{self.folder}/resolv.conf", f"nameserver {LOCAL}\n")
        subprocess.run(["mount", "--bind", f"{self.folder}/resolv.conf", "/etc/resolv.conf"], check=True)
        super().start()

    def _serve(self):
        while True:
            question, peer = self.names.recvfrom(2048)
            host, kind = question[13:13 + question[12]], question[-3]
            if kind == 1 and host in self.knows:
                record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + socket.inet_aton(LOCAL)
                self.names.sendto(question[:2] + b"\x81\x80\0\1\0\1\0\0\0\0" + question[12:] + record, peer)


class Named(Znode):
    """A registration of b whose host is a name, and is b's only one. Its name server answers at the end, if not before."""

    stage = NamedStage

    def __init__(self, kind, host, b, named=()):
        super().__init__(kind, {"host": f"{host}.test", "port": B_TASK, "name": "foreign"}, named)
        self.host, self.b = host.encode(), b

    def spoil(self, stage):
        super().spoil(stage)
        # b's own registration goes: what is left is the one with a name.
        stage.write(nerve=stage.good_nerve("ac"))

    def add_d(self, stage):
        stage.write(stage.good_nerve("acd"), stage.good_synapse("abcd"))

    def mend(self, stage):
        stage.knows.add(self.host)
        stage.until("b is served by its name", lambda: stage.answer("b") == "b")
        stage.knows.discard(b"silent")
        super().mend(stage)


class Directory(Cell):
    """Data in b's directory, which everybody may write."""

    def __init__(self, kind, data, named=()):
        self.data = data
        super().__init__("directory", kind, SERVED, named, check=False)

    def spoil(self, stage):
        stage.client.set(f"{ROOT}/b", self.data if isinstance(self.data, bytes) else json.dumps(self.data).encode())

    def restore(self, stage):
        stage.client.set(f"{ROOT}/b", b"")
        super().restore(stage)


class ReadDirectory(Directory):
    """The same where the service has its directory read."""

    def __init__(self, kind, data, named=(), trust="limited"):
        self.trust = trust
        super().__init__(f"{kind}, read", data, named)

    def document(self, stage, names):
        document = changed(stage.good_synapse(names), ("services", "b", "discovery", "generator_config_path"), f"{ROOT}/b")
        return changed(document, ("services", "b", "haproxy", "generator_config_trust"), self.trust)

    def spoil(self, stage):
        stage.write(synapse=self.document(stage, "abc"))
        super().spoil(stage)

    def add_d(self, stage):
        stage.write(stage.good_nerve("abcd"), self.document(stage, "abcd"))


def directories():
    place = "services.b.haproxy, section of the registry"
    yield ReadDirectory("half-written", b'{"haproxy": {', ("services.b",))
    yield ReadDirectory("a port that another service has", {"haproxy": {"port": SERVICES["a"][1]}}, (place, "port"))
    yield ReadDirectory("a trusted port that another service has",
                        {"haproxy": {"port": SERVICES["a"][1], "frontend": [], "backend": []}},
                        ("services.b.", str(SERVICES["a"][1])), trust="full")
    yield ReadDirectory("lines that read files", {"haproxy": {"backend": ["errorfile 503 /etc/passwd"]}},
                        (place, "errorfile"))
    yield ReadDirectory("servers of its own", {"haproxy": {"backend": ["server evil 127.0.0.1:31001"]}}, (place, "evil"))
    yield ReadDirectory("a check that HAProxy refuses", {"haproxy": {"backend": ["option httpchk GET / HTTP/9 x"]}},
                        (place, "httpchk"))
    yield ReadDirectory("a page", {"haproxy": {"frontend": ["stats enable", "stats admin if TRUE"]}}, (place, "stats"))
    yield Directory("no text", b"\xff\xfe")
    yield Directory("half-written", b'{"haproxy": {')
    yield Directory("a section of the wrong type", {"haproxy": 7})
    yield Directory("a port that another service has", {"haproxy": {"port": SERVICES["a"][1], "frontend": [], "backend": []}})
    yield Directory("lines that read files", {"haproxy": {"port": B_PORT, "listen": [
        "http-request return status 200 content-type text/plain file /etc/passwd"]}})
    yield Directory("a listener of its own", {"haproxy": {"port": B_PORT, "frontend": ["bind :9998"]}})


CELLS = [*registrations(), *directories()]
