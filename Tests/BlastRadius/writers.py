"""The writers' half of the matrix: services a, b, c through configure_nerve and configure_synapse.

Each cell spoils one file of b (or what the Mesos agent says) and lets d come; both writers run once. What they write of a
and c stays to the letter, d is in it, b keeps what is in force where KEPT, and the problem is named with its place.
"""
import copy
import http.server
import json
import os
import shutil
import subprocess
import threading

from stage import MISSING, changed, write_text

import world
from world import Trouble

KEPT, OUT, CHANGED, EITHER = "kept", "out", "changed", "either"
BOTH = ("configure_nerve", "configure_synapse")
LOCATIONS = ("ecosystem", "superregion", "region", "habitat")
MAPPING = {"prod_ecosystem": {"west_superregion": {"west-1_region": {"west-1a_habitat": {}}}}}
HERE = {"ecosystem": "prod", "superregion": "west", "region": "west-1", "habitat": "west-1a"}
PORTS = {"a": 31001, "b": 31002, "c": 31003, "d": 31004}
# a and d are static services, b and c are PaaSTA's tasks.
TASKS = "bc"


def namespaces(name, **more):
    """A good smartstack.yaml."""
    keys = {"proxy_port": 20000 + PORTS[name] % 1000, "advertise": "[region]", "discover": "region",
            "healthcheck_uri": "/status", **more}
    return "main:\n" + "".join(f"  {key}: {value}\n" for key, value in keys.items())


def executor(app, port, state="TASK_RUNNING"):
    ident = f"{app}.8f9c1e2a-6f0c-11ea-bc55-0242ac13000{port % 10}"
    return {"id": ident, "name": "x", "source": ident, "resources": {"ports": f"[{port}-{port}]"},
            "tasks": [{"id": ident, "name": app, "state": state, "resources": {"ports": f"[{port}-{port}]"}}]}


def mesos_state(tasks=TASKS):
    return {"id": "s1", "hostname": "here", "version": "1.7.2", "frameworks": [
        {"id": "fw-0", "name": "marathon", "executors": [executor(f"{name}.main", PORTS[name]) for name in tasks]}]}


class MesosAgent:
    """Answers /state with what it is given."""

    def __init__(self):
        agent = self
        self.status, self.body = 200, b""

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(agent.status)
                self.send_header("Content-Length", str(len(agent.body)))
                self.end_headers()
                self.wfile.write(agent.body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def says(self, state, status=200):
        self.status = status
        self.body = state if isinstance(state, bytes) else json.dumps(state).encode()


class WritersStage:
    def __init__(self, bindir, folder):
        self.bindir, self.folder = bindir, folder
        self.mesos = MesosAgent()
        for name in ("static", "labels", "nail/services", "paasta", "topology/infrastructure", "state"):
            os.makedirs(f"{folder}/{name}")

    def start(self):
        self.put_good("abc")
        self.write_both()
        if any(self.status.values()):
            raise Trouble(f"the writers fail: {self.output}")
        self.good = self.written()
        for name in "abc":
            for tool in BOTH:
                if not self.good[tool][name]:
                    raise Trouble(f"{tool} writes nothing for {name}:\n{self.output[tool]}")

    def put(self, path, text):
        path = f"{self.folder}/{path}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        write_text(path, text if isinstance(text, (str, bytes)) else json.dumps(text))

    def put_good(self, names):
        for folder in ("nail/services", "static", "labels"):
            for entry in os.listdir(f"{self.folder}/{folder}"):
                path = f"{self.folder}/{folder}/{entry}"
                shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        for name in names:
            self.put(f"nail/services/{name}/smartstack.yaml", namespaces(name))
            if name in TASKS:
                self.put(f"nail/services/{name}/marathon-west.yaml", "main:\n  cpus: 0.1\n")
            else:
                self.put(f"nail/services/{name}/port", f"{PORTS[name]}\n")
                self.put(f"static/{name}", {"namespaces": ["main"]})
        self.put("paasta/cluster.json", {"cluster": "west"})
        for kind in LOCATIONS:
            self.put(f"nail/{kind}", HERE[kind] + "\n")
        self.put("nail/services/location_types.json", list(LOCATIONS))
        self.put("nail/services/location_mapping.json", MAPPING)
        for place in ("west", "local"):
            self.put(f"topology/infrastructure/{place}.yaml", "- [127.0.0.1, 2181]\n")
        self.put("synapse-tools.conf.json", {
            "config_file": f"{self.folder}/synapse.conf.json", "bind_addr": "169.254.255.254",
            "zookeeper_topology_path": f"{self.folder}/topology/infrastructure/local.yaml",
            "synapse_command": ["true"]})
        self.mesos.says(mesos_state())

    def write_both(self):
        folder = self.folder
        environment = {"PATH": world.PATH, "LC_ALL": "C.UTF-8", "SOA_DIR": f"{folder}/nail/services",
                       "SYNAPSE_TOOLS_CONFIG_PATH": f"{folder}/synapse-tools.conf.json",
                       "ENVOY_MIGRATION_CONFIG_PATH": f"{folder}/no-migration.yaml"}
        commands = {
            "configure_nerve": [
                f"{self.bindir}/nerve", "configure_nerve", "--services-source", f"mesos:http://127.0.0.1:{self.mesos.port}",
                "--services-source", f"static:{folder}/static", "--soa-dir", f"{folder}/nail/services", "--location-dir",
                f"{folder}/nail", "--paasta-dir", f"{folder}/paasta", "--zk-topology-dir", f"{folder}/topology",
                "--labels-dir", f"{folder}/labels", "--host-address", "127.0.0.1", "--nerve-config-path",
                f"{folder}/nerve.conf.json", "--reload", "none", "--nerve-state-dir", f"{folder}/state"],
            "configure_synapse": [
                f"{self.bindir}/synapse", "configure_synapse", "--reload", "none", "--location-dir", f"{folder}/nail",
                "--synapse-state-dir", f"{folder}/state"]}
        self.status, self.output = {}, {}
        for tool, command in commands.items():
            done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, env=environment,
                                  cwd=folder, stdin=subprocess.DEVNULL)
            self.status[tool], self.output[tool] = done.returncode, done.stdout + done.stderr

    def written(self):
        """{tool: {service: its part of the tool's file}}."""
        found = {}
        for tool, file in (("configure_nerve", "nerve.conf.json"), ("configure_synapse", "synapse.conf.json")):
            with open(f"{self.folder}/{file}") as text:
                services = json.load(text)["services"]
            found[tool] = {name: {key: part for key, part in services.items() if key.startswith(f"{name}.main")}
                           for name in PORTS}
        return found

    def end(self):
        self.mesos.server.shutdown()
        self.mesos.server.server_close()


class WritersCell:
    """One cell: `act` spoils b's input on a stage that has d already.

    `b` is what becomes of b in the tools of `touches`; the other tool is not concerned by the mistake. `named` stands in
    one line of what each of `touches` prints; without it nothing is printed as a problem and the statuses are 0.
    """

    stage = WritersStage

    def __init__(self, surface, kind, act, b=KEPT, named=("smartstack.yaml:",), touches=BOTH):
        self.name = f"{surface}: {kind}"
        self.act, self.b, self.named, self.touches = act, b, named, touches

    def run(self, stage):
        stage.put_good("abcd")
        stage.mesos.says(mesos_state())
        self.act(stage)
        stage.write_both()
        written = stage.written()
        for tool in BOTH:
            where = f"{tool} (status {stage.status[tool]}: {stage.output[tool].strip()[-400:]})"
            for name in "ac":
                if written[tool][name] != stage.good[tool][name]:
                    raise Trouble(f"{where} changed {name}")
            if not written[tool]["d"]:
                raise Trouble(f"{where} did not write d")
            if tool not in self.touches:
                continue
            same = written[tool]["b"] == stage.good[tool]["b"]
            if self.b == KEPT and not same:
                raise Trouble(f"{where} did not keep what is in force of b: {json.dumps(written[tool]['b'])[:300]}")
            if self.b == OUT and written[tool]["b"]:
                raise Trouble(f"{where} wrote b")
            if self.b == CHANGED and (same or not written[tool]["b"]):
                raise Trouble(f"{where} did not follow b's change")
            if bool(self.named) != (stage.status[tool] == 3):
                raise Trouble(f"{where}: the status should be {3 if self.named else 0}")
            lines = stage.output[tool].splitlines()
            if self.named and not any(all(word in line for word in self.named) for line in lines):
                raise Trouble(f"{where} does not name {', '.join(self.named)}")

    def mend(self, stage):
        stage.put_good("abc")
        stage.write_both()
        if stage.written() != stage.good:
            raise Trouble(f"the files are not as before: {stage.output}")
        for tool in BOTH:
            if stage.status[tool] != 0:
                raise Trouble(f"{tool} ends with {stage.status[tool]}: {stage.output[tool]}")


def put(path, text):
    return lambda stage: stage.put(path, text)


def smartstack(**keys):
    return put("nail/services/b/smartstack.yaml", namespaces("b", **keys))


def state(document, status=200):
    return lambda stage: stage.mesos.says(document, status)


def other_framework(**executor_keys):
    document = mesos_state()
    document["frameworks"].append({"id": "fw-1", "name": "hello", "executors": [
        {**executor("hello", 31099), **executor_keys}]})
    return document


def app(name, **more):
    document = mesos_state()
    document["frameworks"][0]["executors"].append({**executor(name, 31098), **more})
    return document


def half_character():
    text = json.dumps(other_framework(name="NAME")).encode()
    return text.replace(b"NAME", b"12345678901\xc3")


def smartstack_cells():
    where = "smartstack.yaml"
    wrong = [
        ("healthcheck_uri", "a blank in it", '"/o k"', "main.healthcheck_uri"),
        ("healthcheck_uri", "a quote in it", "'/\"x'", "main.healthcheck_uri"),
        ("healthcheck_port", "out of range", "99999999", "main.healthcheck_port"),
        ("healthcheck_port", "wrong type", "soon", "main.healthcheck_port"),
        ("healthcheck_timeout_s", "wrong type", "soon", "main.healthcheck_timeout_s"),
        ("healthcheck_timeout_s", "a list", "[1]", "main.healthcheck_timeout_s"),
        ("healthcheck_mode", "unknown", "gopher", "main.healthcheck_mode"),
        ("mode", "unknown", "gopher", "main.mode"),
        ("proxy_port", "wrong type", "http", "main.proxy_port"),
        ("proxy_port", "out of range", "70000", "main.proxy_port"),
        ("timeout_server_ms", "wrong type", "3s", "main.timeout_server_ms"),
        ("timeout_connect_ms", "a list", "[1]", "main.timeout_connect_ms"),
        ("retries", "wrong type", "often", "main.retries"),
        ("advertise", "wrong type", "7", "main.advertise"),
        ("advertise", "an unknown type", "[region, planet]", "planet"),
        ("discover", "an unknown type", "planet", "planet"),
        ("extra_advertise", "wrong type", "x", "main.extra_advertise"),
        ("extra_advertise", "no location", "{'region': ['x']}", "main.extra_advertise"),
        ("extra_healthcheck_headers", "wrong type", "x", "main.extra_healthcheck_headers"),
        ("extra_healthcheck_headers", "a line break in a value", '{"X": "a\\r\\nY: b"}', "main.extra_healthcheck_headers"),
        ("endpoint_timeouts", "wrong type", "x", "main.endpoint_timeouts"),
        ("plugins", "wrong type", "7", "main.plugins"),
        ("balance", "hostile", '"x\\nfrontend evil"', "main.balance"),
        ("healthcheck_uri", "a line separator", '"/x\\u2028y"', "main.healthcheck_uri"),
        ("healthcheck_body_expect", "wrong type", "{}", "main.healthcheck_body_expect"),
    ]
    for key, kind, value, named in wrong:
        yield WritersCell(f"{where} {key}", kind, smartstack(**{key: value}), EITHER, (f"b/{where}:", named),
                          touches=tools_of(key))
    whole = [("0 bytes", ""), ("a null namespace", "main:\n"), ("a list", "- main\n"), ("a text", "main\n"),
             ("two documents", namespaces("b") + "---\nother:\n  proxy_port: 20099\n"),
             ("a repeated key", namespaces("b") + "  proxy_port: 20099\n"), ("a tab", "main:\n\tproxy_port: 1\n"),
             ("half-written", "main:\n  proxy_port: 20002\n  advertise: [reg"), ("no text", b"\xff\xfe\x00main"),
             ("an alias bomb", "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
                 f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(9))),
             ("deep nesting", "main: " + "[" * 3000)]
    for kind, text in whole:
        yield WritersCell(where, kind, put("nail/services/b/smartstack.yaml", text), KEPT, (f"b/{where}",))


def tools_of(key):
    """Which writer reads a key."""
    if key in ("timeout_server_ms", "timeout_connect_ms", "retries", "discover", "endpoint_timeouts", "plugins", "balance",
               "proxy_port"):
        return ("configure_synapse",)
    if key in ("healthcheck_port", "healthcheck_timeout_s", "healthcheck_body_expect", "extra_advertise", "mode"):
        return ("configure_nerve",)
    return BOTH


def other_files():
    nerve = ("configure_nerve",)
    for kind, text in (("smartstack is null", "smartstack:\n"), ("smartstack is a list", "smartstack: [1]\n"),
                       ("does not parse", "a: [\n")):
        yield WritersCell("service.yaml", kind, put("nail/services/b/service.yaml", text), KEPT, ("service.yaml",))
    for kind, text in (("empty", ""), ("garbage", "http\n"), ("out of range", "99999\n"), ("no text", b"\xff\xfe")):
        def spoil(stage, text=text):
            stage.put("nail/services/a2/smartstack.yaml", namespaces("d", proxy_port=20044))
            stage.put("static/a2", {"namespaces": ["main"]})
            stage.put("nail/services/a2/port", text)
        yield WritersCell("port", kind, spoil, KEPT, ("a2",), touches=nerve)
    for kind, text in (("does not parse", "main: [\n"), ("an instance of the wrong type", "main: 7\n"),
                       ("registrations of the wrong type", "main:\n  registrations: 7\n"),
                       ("a registration that is no name", "main:\n  registrations: ['x y z']\n")):
        yield WritersCell("marathon-west.yaml", kind, put("nail/services/b/marathon-west.yaml", text), KEPT,
                          ("marathon-west.yaml",), touches=nerve)
    yield WritersCell("marathon-west.yaml", "empty", put("nail/services/b/marathon-west.yaml", ""), EITHER, (), touches=nerve)
    yield WritersCell("label file", "does not parse", put("labels/b.main31002.yaml", "a: [\n"), EITHER, ("b.main31002",),
                      touches=nerve)
    yield WritersCell("label file", "a list", put("labels/b.main31002.yaml", "- a\n"), EITHER, ("b.main31002",),
                      touches=nerve)
    yield WritersCell("static service", "not JSON", put("static/x", "{"), KEPT, ("static/x",), touches=nerve)
    yield WritersCell("static service", "no namespaces", put("static/x", "{}"), KEPT, ("static/x",), touches=nerve)
    yield WritersCell("advertise", "a type without a file here", no_habitat, EITHER, ("habitat",))
    yield WritersCell("a dead link", "as a service", dead_link, KEPT, ())
    yield WritersCell("a file", "among the services", put("nail/services/README", "x\n"), KEPT, ())


def no_habitat(stage):
    os.remove(f"{stage.folder}/nail/habitat")
    stage.put("nail/services/b/smartstack.yaml", namespaces("b", advertise="[region, habitat]"))


def dead_link(stage):
    path = f"{stage.folder}/nail/services/gone"
    if not os.path.islink(path):
        os.symlink("/nowhere", path)


def mesos_cells():
    nerve = ("configure_nerve",)
    kept = [
        ("another framework's half character", half_character()),
        ("another framework's executor without an id", other_framework(id=None)),
        ("another framework's executor is a number", changed(
            other_framework(), ("frameworks", 1, "executors"), [7])),
        ("another framework without executors", changed(other_framework(), ("frameworks", 1, "executors"), MISSING)),
        ("a framework without a name", changed(other_framework(), ("frameworks", 1, "name"), MISSING)),
        ("a framework that is a number", changed(other_framework(), ("frameworks", 1), 7)),
        ("an app that is not PaaSTA's", app("hello")),
        ("an app with three parts", app("one.two.three")),
        ("a task without ports", app("hello.main", resources={})),
    ]
    for kind, document in kept:
        yield WritersCell("Mesos", kind, state(document), KEPT, (), touches=nerve)
    yield WritersCell("Mesos", "b's executor has ports of the wrong type", state(changed(
        mesos_state(), ("frameworks", 0, "executors", 0, "resources"), {"ports": 7})), EITHER, ("b",), touches=nerve)


class NoAnswer(WritersCell):
    """The agent's answer cannot be used: nothing changes, and the run says so."""

    def __init__(self, kind, document, status=200):
        super().__init__("Mesos", kind, state(document, status), touches=("configure_nerve",))

    def run(self, stage):
        stage.mesos.says(mesos_state())
        before = copy.deepcopy(stage.written())
        self.act(stage)
        stage.write_both()
        if stage.written()["configure_nerve"] != before["configure_nerve"]:
            raise Trouble("nerve.conf.json has changed")
        if stage.status["configure_nerve"] != 1 or str(stage.mesos.port) not in stage.output["configure_nerve"]:
            raise Trouble(f"status {stage.status['configure_nerve']}: {stage.output['configure_nerve']}")


def no_answers():
    yield NoAnswer("no JSON", b"{")
    yield NoAnswer("an empty object", {})
    yield NoAnswer("a list", [])
    yield NoAnswer("no frameworks", {"id": "s1"})
    yield NoAnswer("frameworks is a text", {"id": "s1", "frameworks": "x"})
    yield NoAnswer("500", b"oops", 500)
    yield NoAnswer("empty", b"")


CELLS = [*smartstack_cells(), *other_files(), *mesos_cells(), *no_answers()]
