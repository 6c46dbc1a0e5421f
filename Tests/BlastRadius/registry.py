"""What ZooKeeper holds: registrations of b, and the data of its directory."""
import json

from cell import B_PORT, B_TASK, HOSTILE, SERVED, Cell
from stage import LOCAL, ROOT, SERVICES

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
    yield Znode("the same host and port, other options", {**good, "haproxy_server_options": "maxconn 7"}, named=("foreign",))
    yield Znode("many that are no registrations", b"x", count=50)


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


def directories():
    yield Directory("no text", b"\xff\xfe")
    yield Directory("half-written", b'{"haproxy": {')
    yield Directory("a section of the wrong type", {"haproxy": 7})
    yield Directory("a port that another service has", {"haproxy": {"port": SERVICES["a"][1], "frontend": [], "backend": []}})
    yield Directory("lines that read files", {"haproxy": {"port": B_PORT, "listen": [
        "http-request return status 200 content-type text/plain file /etc/passwd"]}})
    yield Directory("a listener of its own", {"haproxy": {"port": B_PORT, "frontend": ["bind :9998"]}})


CELLS = [*registrations(), *directories()]
