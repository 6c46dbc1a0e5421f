"""What the cells of writers.py play on: soa-configs, a Mesos agent, and both writers."""
import http.server
import json
import os
import shutil
import subprocess
import threading

from stage import write_text

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

    def link(self, path):
        path = f"{self.folder}/{path}"
        if os.path.lexists(path):
            os.remove(path)
        os.symlink(path, path)

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
    """One cell: `act` spoils the input of `of`, which is b unless said, on a stage that has d already.

    `b` is what becomes of that service in the tools of `touches`; the other tool is not concerned by the mistake. `named`
    stands in one line of what each of `touches` prints; without it nothing is printed as a problem. The status is 3 where
    something is named, or what `status` says.
    """

    stage = WritersStage

    def __init__(self, surface, kind, act, b=KEPT, named=("smartstack.yaml:",), touches=BOTH, of="b", status=None):
        self.name = f"{surface}: {kind}"
        self.act, self.b, self.named, self.touches, self.of = act, b, named, touches, of
        self.status = status if status is not None else 3 if named else 0

    def run(self, stage):
        stage.put_good("abcd")
        stage.mesos.says(mesos_state())
        self.act(stage)
        stage.write_both()
        written = stage.written()
        for tool in BOTH:
            where = f"{tool} (status {stage.status[tool]}: {stage.output[tool].strip()[-400:]})"
            for name in set("abc") - {self.of}:
                if written[tool][name] != stage.good[tool][name]:
                    raise Trouble(f"{where} changed {name}")
            if not written[tool]["d"]:
                raise Trouble(f"{where} did not write d")
            if tool not in self.touches:
                continue
            now = written[tool][self.of]
            same = now == stage.good[tool][self.of]
            if self.b == KEPT and not same:
                raise Trouble(f"{where} did not keep what is in force of {self.of}: {json.dumps(now)[:300]}")
            if self.b == OUT and now:
                raise Trouble(f"{where} wrote {self.of}")
            if self.b == CHANGED and (same or not now):
                raise Trouble(f"{where} did not follow the change of {self.of}")
            if stage.status[tool] != self.status:
                raise Trouble(f"{where}: the status should be {self.status}")
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
