"""The writers' half of the matrix: services a, b, c through configure_nerve and configure_synapse.

Each cell spoils one file of b (or what the Mesos agent says) and lets d come; both writers run once. What they write of a
and c stays to the letter, d is in it, b keeps what is in force where KEPT, and the problem is named with its place.
"""
import copy
import json
import os

from stage import MISSING, changed
from writers_stage import BOTH, CHANGED, EITHER, KEPT, OUT, WritersCell, executor, mesos_state, namespaces

from world import Trouble


def put(path, text):
    """Writes a file of the stage; without a text it becomes a link to itself, which nobody can open."""
    return lambda stage: stage.link(path) if text is None else stage.put(path, text)


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
    if key in ("healthcheck_port", "healthcheck_timeout_s", "healthcheck_body_expect", "healthcheck_mode", "extra_advertise",
               "mode"):
        return ("configure_nerve",)
    return BOTH


def other_files():
    nerve = ("configure_nerve",)
    # What stands in the place of smartstack.yaml is for synapse alone.
    for kind, text, tools in (("smartstack is null", "smartstack:\n", BOTH[1:]),
                              ("smartstack is a list", "smartstack: [1]\n", BOTH[1:]),
                              ("a repeated key in smartstack", "smartstack: {main: {}, main: {}}\n", BOTH[1:]),
                              ("does not parse", "a: [\n", BOTH), ("two documents", "a: 1\n---\nb: 1\n", BOTH)):
        yield WritersCell("service.yaml", kind, put("nail/services/b/service.yaml", text), KEPT, ("service.yaml",),
                          touches=tools)
    for kind, text in (("empty", ""), ("garbage", "http\n"), ("out of range", "99999\n"), ("no text", b"\xff\xfe"),
                       ("negative", "-1\n"), ("two numbers", "31001 31002\n"), ("a fraction", "31001.5\n"),
                       ("a link to itself", None)):
        yield WritersCell("port", kind, put("nail/services/a/port", text), KEPT, ("a/port",), touches=nerve, of="a")
    for kind, text in (("does not parse", "main: [\n"), ("an instance of the wrong type", "main: 7\n"),
                       ("registrations of the wrong type", "main:\n  registrations: 7\n"),
                       ("a registration that is no name", "main:\n  registrations: ['x y z']\n")):
        yield WritersCell("marathon-west.yaml", kind, put("nail/services/b/marathon-west.yaml", text), KEPT,
                          ("marathon-west.yaml",), touches=nerve)
    for kind, text in (("two documents", "main: {}\n---\nx: {}\n"), ("a list", "- main\n"), ("no text", b"\xff\xfe\x00"),
                       ("registrations is a text", "main:\n  registrations: b.main\n"),
                       ("a registration without a namespace", "main:\n  registrations: [b]\n"),
                       ("nerve_ns is a list", "main:\n  nerve_ns: [main]\n"),
                       ("deploy_group is a mapping", "main:\n  deploy_group: {a: 1}\n"),
                       ("an alias of nothing", "main: *x\n")):
        yield WritersCell("marathon-west.yaml", kind, put("nail/services/b/marathon-west.yaml", text), KEPT,
                          ("marathon-west.yaml",), touches=nerve)
    yield WritersCell("marathon-west.yaml", "no instance of that name", put("nail/services/b/marathon-west.yaml", "x: {}\n"),
                      OUT, (), touches=nerve)
    yield WritersCell("marathon-west.yaml", "another service's registration",
                      put("nail/services/b/marathon-west.yaml", "main: {registrations: [nobody.main, b.main]}\n"), KEPT, (),
                      touches=nerve)
    yield WritersCell("marathon-west.yaml", "a deploy group of its own",
                      put("nail/services/b/marathon-west.yaml", "main: {deploy_group: dev}\n"), CHANGED, (), touches=nerve)
    yield WritersCell("marathon-west.yaml", "empty", put("nail/services/b/marathon-west.yaml", ""), EITHER, (), touches=nerve)
    yield WritersCell("label file", "does not parse", put("labels/b.main31002.yaml", "a: [\n"), EITHER, ("b.main31002",),
                      touches=nerve)
    yield WritersCell("label file", "a list", put("labels/b.main31002.yaml", "- a\n"), EITHER, ("b.main31002",),
                      touches=nerve)
    for kind, text in (("two documents", "x: y\n---\nz: w\n"), ("half-written", "x: 'y"), ("no text", b"\xff\xfe\x00"),
                       ("a link to itself", None)):
        yield WritersCell("label file", kind, put("labels/b.main31002.yaml", text), KEPT, ("b.main31002",), touches=nerve)
    yield WritersCell("label file", "a label that is a list", put("labels/b.main31002.yaml", "x: [1]\n"), CHANGED,
                      (), touches=nerve)
    yield WritersCell("label file", "of another port", put("labels/b.main310021", "x: y\n"), KEPT, (), touches=nerve)
    yield WritersCell("label file", "a good one", put("labels/b.main31002", "x: y\n"), CHANGED, (), touches=nerve)
    for kind, text in (("a list", "[]"), ("namespaces is a text", '{"namespaces": "main"}'), ("empty", ""),
                       ("a namespace that is a number", '{"namespaces": [7]}'), ("a link to itself", None)):
        yield WritersCell("static service", kind, put("static/a", text), KEPT, ("static/a",), touches=nerve, of="a")
    yield WritersCell("static service", "of no namespace", put("static/a", {"namespaces": []}), OUT, (), touches=nerve, of="a")
    yield WritersCell("static service", "not JSON", put("static/x", "{"), KEPT, ("static/x",), touches=nerve)
    yield WritersCell("static service", "no namespaces", put("static/x", "{}"), KEPT, ("static/x",), touches=nerve)
    yield WritersCell("advertise", "a type without a file here", no_habitat, EITHER, ("habitat",))
    yield WritersCell("extra_advertise", "from a type without a file here", no_planet, KEPT,
                      ("b/smartstack.yaml:", "habitat"), touches=nerve)
    yield WritersCell("chaos", "a grouping without a file here", smartstack(chaos="{rack: {r1: {fail: drop}}}"), KEPT,
                      ("b/smartstack.yaml:", "rack"), touches=BOTH[1:])
    yield WritersCell("a dead link", "as a service", dead_link, KEPT, ())
    yield WritersCell("a file", "among the services", put("nail/services/README", "x\n"), KEPT, ())


def no_habitat(stage):
    os.remove(f"{stage.folder}/nail/habitat")
    stage.put("nail/services/b/smartstack.yaml", namespaces("b", advertise="[region, habitat]"))


def no_planet(stage):
    os.remove(f"{stage.folder}/nail/habitat")
    stage.put("nail/services/b/smartstack.yaml", namespaces("b", extra_advertise="{'habitat:west-1a': ['region:west-1']}"))


def dead_link(stage):
    path = f"{stage.folder}/nail/services/gone"
    if not os.path.islink(path):
        os.symlink("/nowhere", path)


def proxy_cells():
    """b goes through another service, and something is wrong with that."""
    synapse, where = BOTH[1:], ("b/smartstack.yaml:", "main.proxied_through")
    yield WritersCell("proxied_through", "a service that is not there", smartstack(proxied_through="x.main"), KEPT,
                      (*where, "x.main"), synapse, status=0)
    yield WritersCell("proxied_through", "of a tcp service", smartstack(proxied_through="c.main", mode="tcp"), CHANGED,
                      (*where, "c.main", "tcp"), synapse, status=0)
    yield WritersCell("proxied_through", "wrong type", smartstack(proxied_through="[c.main]"), KEPT, where, synapse)
    yield WritersCell("proxied_through", "a tcp service", through_tcp, KEPT, (*where, "t.main", "tcp"), synapse, status=0)
    yield WritersCell("proxied_through", "a service that becomes empty", through_broken, CHANGED, ("t/smartstack.yaml:",),
                      synapse)
    yield WritersCell("is_proxy", "of a tcp service", smartstack(is_proxy="true", mode="tcp"), CHANGED,
                      ("b/smartstack.yaml:", "is_proxy"), synapse, status=0)
    yield WritersCell("extra_healthcheck_headers", "an empty value", smartstack(extra_healthcheck_headers="{X-Env: ''}"),
                      CHANGED, ())
    yield WritersCell("extra_headers", "an empty value", smartstack(extra_headers="{X-Env: ''}"), CHANGED, (), synapse)


def through_tcp(stage):
    stage.put("nail/services/t/smartstack.yaml", namespaces("d", proxy_port=20055, mode="tcp"))
    stage.put("nail/services/b/smartstack.yaml", namespaces("b", proxied_through="t.main"))


def through_broken(stage):
    """A proxy that is kept is still a proxy."""
    through_tcp(stage)
    stage.put("nail/services/t/smartstack.yaml", namespaces("d", proxy_port=20055))
    stage.write_both()
    stage.put("nail/services/t/smartstack.yaml", "")
    stage.write_both()
    written = json.dumps(stage.written()["configure_synapse"]["b"])
    if "use_backend t.main if" not in written:
        raise Trouble(f"b does not go through t: {written}")


def host_files():
    """Files of the host: both writers say what is wrong, and write nothing."""
    for name, kinds in (
            ("location_types.json", {"empty": "", "a mapping": "{}", "half-written": "[", "not there": MISSING}),
            ("location_mapping.json", {"a list": "[]", "half-written": "{"})):
        for kind, text in kinds.items():
            tools = BOTH if name == "location_types.json" else BOTH[:1]
            yield HostFileCell(name, kind, f"nail/services/{name}", text, tools)
    for kind, text in (("empty", ""), ("two lines", "west-1\nwest-2\n"), ("a link to itself", None)):
        yield HostFileCell("region", kind, "nail/region", text)
    for kind, text in (("half-written", "- [127.0"), ("a port that is a text", "- [127.0.0.1, x]\n"),
                       ("not there", MISSING), ("two documents", "- [127.0.0.1, 2181]\n---\n- [127.0.0.1, 2182]\n")):
        yield HostFileCell("topology", kind, "topology/infrastructure/west.yaml", text, BOTH[:1])
        yield HostFileCell("topology of synapse", kind, "topology/infrastructure/local.yaml", text, BOTH[1:])
    yield HostFileCell("paasta", "half-written", "paasta/cluster.json", "{", BOTH[:1])
    for kind, text in (("half-written", "{"), ("empty", ""), ("a list", "[]"), ("not there", MISSING)):
        yield HostFileCell("synapse-tools.conf.json", kind, "synapse-tools.conf.json", text, BOTH[1:])
    for key, value in (("bind_addr", "a b"), ("haproxy.defaults.inter", "soon"), ("maximum_connections", "many"),
                       ("hacheck_port", 0), ("stats_port", 70000), ("haproxy_captured_req_headers", "X:y"),
                       ("errorfiles", {"x": "/f"}), ("haproxy_reload_cmd_fmt", "{nope}"), ("synapse_command", []),
                       ("logging", 7), ("map_refresh_interval", 0), ("haproxy_service_sockets_path_fmt", "/s/{"),
                       ("haproxy_socket_file_path", "/a b"), ("haproxy_config_path", "/a\u2028b"),
                       ("lua_dir", None), ("file_output_path", []), ("errorfiles", {"503": "/a\nglobal"})):
        yield HostFileCell("synapse-tools.conf.json", f"{key}: {json.dumps(value)}", "synapse-tools.conf.json",
                           (key, value), BOTH[1:], named=key)


class HostFileCell(WritersCell):
    """A file of the host is spoiled: what is in force stays, and each tool concerned names the file."""

    def __init__(self, surface, kind, path, text, touches=BOTH, named=None):
        super().__init__(f"host {surface}", kind, None, touches=touches)
        self.path, self.text, self.names = path, text, named or os.path.basename(path)

    def run(self, stage):
        stage.put_good("abcd")
        if isinstance(self.text, tuple):
            with open(f"{stage.folder}/{self.path}") as file:
                options = json.load(file)
            stage.put(self.path, {**options, self.text[0]: self.text[1]})
        elif self.text is MISSING:
            os.remove(f"{stage.folder}/{self.path}")
        else:
            put(self.path, self.text)(stage)
        stage.write_both()
        written = stage.written()
        for tool in self.touches:
            where = f"{tool} (status {stage.status[tool]}: {stage.output[tool].strip()[-400:]})"
            if written[tool] != stage.good[tool]:
                raise Trouble(f"{where} has changed its file")
            if stage.status[tool] != 1 or self.names not in stage.output[tool]:
                raise Trouble(f"{where} does not name {self.names}")


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
    yield WritersCell("Mesos", "another framework's whole list is a number", state(changed(
        other_framework(), ("frameworks", 1, "executors"), 7)), KEPT, (), touches=nerve)
    for kind, ports in (("no text", [31002]), ("no number", "[]"), ("0", "[0-0]"), ("too large", "[99999-99999]")):
        yield WritersCell("Mesos", f"b's ports: {kind}", state(changed(
            mesos_state(), ("frameworks", 0, "executors", 0, "resources", "ports"), ports)), KEPT,
                          ("b.main stays as it was", "ports"), touches=nerve)
    yield WritersCell("Mesos", "b's task has ended", state(mesos_state("c")), OUT, (), touches=nerve)
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


CELLS = [*smartstack_cells(), *other_files(), *proxy_cells(), *host_files(), *mesos_cells(), *no_answers()]
