"""Each key of a service in nerve.conf.json and synapse.conf.json."""
import os

from cell import EITHER, HOSTILE, OUT, SERVED, Cell
from stage import MISSING, changed, write_text

# --- a key of the service in nerve.conf.json and synapse.conf.json ---------------------------------------------------

class NerveKey(Cell):
    def __init__(self, key, kind, value, b=EITHER, named=None):
        self.path = tuple(int(step) if step.isdigit() else step for step in key.split("."))
        self.value = value
        super().__init__(f"nerve.conf.json {key}", kind, b, ("nerve.conf.json:", "services.b")
                         if named is None else named, agent="nerve")

    def document(self, stage, names):
        return changed(stage.good_nerve(names), ("services", "b", *self.path), self.value)

    def spoil(self, stage):
        stage.write(nerve=self.document(stage, "abc"))

    def add_d(self, stage):
        stage.write(self.document(stage, "abcd"), stage.good_synapse("abcd"))


class SynapseKey(Cell):
    def __init__(self, key, kind, value, b=EITHER, named=None):
        self.path = tuple(int(step) if step.isdigit() else step for step in key.split("."))
        self.value = value
        super().__init__(f"synapse.conf.json {key}", kind, b, ("synapse.conf.json:", "services.b")
                         if named is None else named)

    def document(self, stage, names):
        return changed(stage.good_synapse(names), ("services", "b", *self.path), self.value)

    def spoil(self, stage):
        stage.write(synapse=self.document(stage, "abc"))

    def add_d(self, stage):
        stage.write(stage.good_nerve("abcd"), self.document(stage, "abcd"))


def nerve_keys():
    wrong = [
        ("host", "wrong type", []), ("host", "missing", MISSING), ("host", "empty", ""), ("host", "hostile", HOSTILE),
        ("host", "a blank behind it", "127.0.0.1 x"), ("host", "null", None),
        ("port", "wrong type", "x"), ("port", "missing", MISSING), ("port", "out of range", 99999999), ("port", "null", None),
        ("port", "zero", 0), ("port", "a list", [31002]),
        ("zk_hosts", "wrong type", 7), ("zk_hosts", "missing", MISSING), ("zk_hosts", "empty", []),
        ("zk_hosts", "a port that is none", ["127.0.0.1:abc"]), ("zk_hosts", "a URL", ["tcp://127.0.0.1:2181"]),
        ("zk_hosts", "an empty host", [":2181"]), ("zk_hosts", "a path that is none", ["127.0.0.1:2181/a//b"]),
        ("zk_hosts", "hostile", [HOSTILE]),
        ("zk_path", "wrong type", {}), ("zk_path", "missing", MISSING), ("zk_path", "empty", ""),
        ("zk_path", "no slash", "b"), ("zk_path", "hostile", "/a/../b"),
        ("check_interval", "wrong type", "soon"), ("check_interval", "negative", -1), ("check_interval", "a map", {}),
        ("checks", "wrong type", "http"), ("checks", "a number in it", [7]), ("checks.0.type", "unknown", "htpp"),
        ("checks.0.type", "missing", MISSING), ("checks.0.type", "null", None), ("checks.0.port", "wrong type", "x"),
        ("checks.0.uri", "wrong type", []), ("checks.0.uri", "hostile", "/o k\r\nX: y"),
        ("checks.0.timeout", "wrong type", "1s"), ("checks.0.timeout", "negative", -1),
        ("checks.0.rise", "wrong type", []), ("checks.0.rise", "zero", 0), ("checks.0.fall", "wrong type", "two"),
        ("checks.0.fall", "zero", 0),
        ("checks.0.host", "hostile", HOSTILE),
        ("checks.0.headers", "wrong type", "X"), ("checks.0.headers", "hostile", {"X": "a\r\nY: b"}),
        ("weight", "wrong type", "heavy"), ("labels", "wrong type", "x"), ("labels", "a list", []),
        ("haproxy_server_options", "wrong type", 7), ("haproxy_server_options", "hostile", HOSTILE),
        ("node_type", "unknown", "eternal"), ("reporter_type", "unknown", "zookeper"),
        ("rate_limiting", "wrong type", 5), ("rate_limiting", "a value in it", {"average_rate": "x"}),
        ("use_path_encoding", "wrong type", "maybe"), ("load_test_concurrency", "wrong type", "x"),
        ("check_mocked", "wrong type", "maybe"),
    ]
    for key, kind, value in wrong:
        yield NerveKey(key, kind, value)
    for kind, value in (("null", None), ("a text", "x"), ("a list", [])):
        yield NerveWhole(kind, value)
    for key, kind, value in (("zk_hosts", "one text with commas", ["127.0.0.1:2181,127.0.0.1:2182"]),
                             ("host", "blanks around it", " 127.0.0.1 ")):
        yield NerveKey(key, kind, value, b=SERVED, named=())


class NerveWhole(Cell):
    def __init__(self, kind, value):
        self.value = value
        super().__init__("nerve.conf.json services.b", kind, EITHER, ("nerve.conf.json:", "services.b"), agent="nerve")

    def spoil(self, stage):
        stage.write(nerve=changed(stage.good_nerve(), ("services", "b"), self.value))

    def add_d(self, stage):
        stage.write(changed(stage.good_nerve("abcd"), ("services", "b"), self.value), stage.good_synapse("abcd"))


class SynapseWhole(Cell):
    def __init__(self, kind, value):
        self.value = value
        super().__init__("synapse.conf.json services.b", kind, EITHER, ("synapse.conf.json:", "services.b"))

    def spoil(self, stage):
        stage.write(synapse=changed(stage.good_synapse(), ("services", "b"), self.value))

    def add_d(self, stage):
        stage.write(stage.good_nerve("abcd"), changed(stage.good_synapse("abcd"), ("services", "b"), self.value))


def synapse_keys():
    wrong = [
        ("discovery", "wrong type", 7), ("discovery", "missing", MISSING), ("discovery", "null", None),
        ("discovery.method", "unknown", "zookeper"), ("discovery.method", "missing", MISSING),
        ("discovery.method", "null", None),
        ("discovery.path", "wrong type", {}), ("discovery.path", "missing", MISSING), ("discovery.path", "no slash", "b"),
        ("discovery.hosts", "wrong type", 3), ("discovery.hosts", "missing", MISSING), ("discovery.hosts", "empty", []),
        ("discovery.hosts", "a port that is none", ["127.0.0.1:abc"]), ("discovery.hosts", "a URL", ["tcp://127.0.0.1:2181"]),
        ("discovery.hosts", "an empty host", [":2181"]),
        ("discovery.label_filters", "wrong type", "x"), ("discovery.label_filters", "unknown condition",
                                                         [{"label": "x", "value": "", "condition": "like"}]),
        ("default_servers", "wrong type", "x"), ("default_servers", "a server without port", [{"host": "127.0.0.1"}]),
        ("default_servers", "a hostile host", [{"host": HOSTILE, "port": 1}]),
        ("haproxy", "wrong type", "x"), ("haproxy.port", "wrong type", "http"), ("haproxy.port", "out of range", 70000),
        ("haproxy.frontend", "wrong type", 7), ("haproxy.frontend", "a map", {"x": 1}),
        ("haproxy.backend", "wrong type", 7), ("haproxy.server_options", "wrong type", {}),
        ("haproxy.bind_address", "wrong type", []), ("haproxy.backend_order", "unknown", "sideways"),
        ("use_previous_backends", "wrong type", "maybe"), ("leader_election", "wrong type", "maybe"),
        ("backend_port_override", "wrong type", "x"), ("file_output", "wrong type", 7),
    ]
    for key, kind, value in wrong:
        yield SynapseKey(key, kind, value)
    for kind, value in (("null", None), ("a text", "x"), ("a list", [])):
        yield SynapseWhole(kind, value)
    lines = [
        ("haproxy.frontend", "an unknown directive", ["frobnicate on"], SERVED),
        ("haproxy.frontend", "a line break in a line", ["timeout client 10s\nfrontend evil"], EITHER),
        ("haproxy.frontend", "a line separator in a line", ["timeout client 10s\u2028bind 127.0.0.1:1"], SERVED),
        ("haproxy.frontend", "a direction override", ["timeout client 10s # \u202e"], SERVED),
        ("haproxy.frontend", "an ACL that does not parse", ["acl x hdr_nothing(a) b"], SERVED),
        ("haproxy.frontend", "a file that is not there", ["errorfile 503 /nowhere/503.http"], SERVED),
        ("haproxy.frontend", "a backend that is not there", ["use_backend nowhere if TRUE"], EITHER),
        ("haproxy.backend", "an unknown directive", ["frobnicate on"], SERVED),
        ("haproxy.backend", "a check line that is refused", ["option httpchk GET /o k HTTP/9 x"], SERVED),
        ("haproxy.backend", "a certificate that is not there",
         ["server-template t 1 127.0.0.1:1 ssl crt /nowhere.pem"], EITHER),
        ("haproxy.server_options", "an unknown keyword", "check frobnicate", EITHER),
        ("haproxy.server_options", "a quote that is not closed", 'check "x', EITHER),
        ("haproxy.shared_frontend", "a backend that is not there", ["use_backend nowhere if { path /b }"], SERVED),
        ("haproxy.shared_frontend", "an unknown directive", ["frobnicate on"], SERVED),
    ]
    for key, kind, value, b in lines:
        yield SynapseKey(key, kind, value, b, named=("services.b.",))


class FileComesLater(SynapseKey):
    """A list that keeps clients away is not there: neither is b, until the list is; nobody sends a signal."""

    clients = f"/tmp/clients-of-b-{os.getpid()}"

    def __init__(self):
        super().__init__("haproxy.frontend", "a list of clients that comes later",
                         [f"acl known src -f {self.clients}", "http-request deny if !known"], OUT, ("services.b.", "acl known"))

    def mend(self, stage):
        try:
            write_text(self.clients, "0.0.0.0/0\n")
            stage.until("b is served by itself", lambda: stage.answer("b") == "b")
        finally:
            os.remove(self.clients)
        super().mend(stage)


CELLS = [*nerve_keys(), *synapse_keys(), FileComesLater()]
