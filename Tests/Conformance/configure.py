"""Runs recorded cases of configure_nerve and of the list of local services, each on a private machine."""

import copy
import json
import os
import stat
import sys
import tempfile
import traceback

from cases import GOLDEN, Mismatch, cut, recorded, verdict
from configure_accept import LOCAL, NERVE

import world
from world import private_machine as machine
from world.private_machine import HOST, HOST_IP, WORK, put, read, stub

CHECK = "nerve -c <run>/nerve.conf.json.tmp -k"
RESTART = [CHECK, "service nerve-backup start", "service nerve stop", "service nerve start", "service nerve-backup stop"]


def same(expected, got, path=""):
    """Nothing, or where two JSON values differ first; 1 and 1.0 are the same, 1 and true are not."""
    if isinstance(expected, dict) and isinstance(got, dict):
        for key in sorted(expected.keys() | got.keys()):
            if key not in got or key not in expected:
                return f"{path}.{key}: {'missing' if key in expected else 'unexpected'}"
            if found := same(expected[key], got[key], f"{path}.{key}"):
                return found
        return None
    if isinstance(expected, list) and isinstance(got, list):
        if len(expected) != len(got):
            return f"{path}: {len(got)} items, expected {len(expected)}"
        return next((found for i, pair in enumerate(zip(expected, got)) if (found := same(*pair, f"{path}[{i}]"))), None)
    numbers = all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in (expected, got))
    if expected == got and (numbers or type(expected) is type(got)):
        return None
    return f"{path}: got {cut(json.dumps(got), 90)}, expected {cut(json.dumps(expected), 90)}"


def expect(holds, problem):
    if not holds:
        raise Mismatch(problem)


def plain(name):
    """What is registered of a service that says nothing but its port, 1024."""
    check = {
        "type": "http", "host": "127.0.0.1", "port": 6666, "uri": f"/http/{name}/1024/status", "timeout": 1.0,
        "open_timeout": 1.0, "rise": 1, "fall": 2, "headers": {"x-smartstack-target-identity": name},
    }
    return {
        f"{name}.westcoast-prod:{HOST_IP}.1024.v2.new": {
            "port": 1024, "host": HOST_IP, "weight": 10, "check_interval": 2.0, "checks": [check],
            "zk_hosts": ["10.40.5.5:22181", "10.40.5.6:22181", "10.40.1.17:22181"],
            "zk_cluster_name": "infrastructure-westcoast-prod", "zk_path": "/smartstack/global/" + name,
            "labels": {"region:uswest1-prod": ""},
        }
    }


class Outcome:
    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def judge(self, accept):
        """Exit status and the names on standard error."""
        for name in accept.names if accept else ():
            expect(name in self.err, f"standard error does not name {name}: {cut(self.err)}")
        wanted = 0 if not accept else 1 if accept.refused else 3 if accept.names else 0
        expect(self.status == wanted, f"exit status {self.status}, expected {wanted}: {cut(self.err)}")


def run_nerve(case, accept, nerve):
    """One case of configure_nerve: files in, file and commands out."""
    with open(os.path.join(GOLDEN, "configure_nerve-host.json"), encoding="utf-8") as file:
        files = {**json.load(file), **case.get("env", {})}
    run, listeners = "/etc/nerve", files.pop("envoy_listeners.json", None)
    for name, text in files.items():
        if text is not None:
            folder = "/nail/etc/services/" if name.startswith("location_") else "/nail/etc/"
            put((run if name.startswith("labels.d") else folder[:-1]) + "/" + name, text)
    if listeners is not None:
        machine.serve("127.0.0.1", 9901, lambda path: (200, listeners.encode()))
    stub("service")
    stub("nerve", f'cp "$2" {WORK}/candidate')
    given = case["input_text"] if "input_text" in case else json.dumps(case["input"])
    put(WORK + "/input.json", given)
    put(WORK + "/bin/paasta_dump_locally_running_services", f"#!/bin/sh\ncat {WORK}/input.json\n", 0o755)
    config, before = run + "/nerve.conf.json", case.get("before", "{}")
    os.makedirs(run, exist_ok=True)
    if before is not None:
        put(config, before)
    argv = [nerve, "configure_nerve", "--services-source", "command:paasta_dump_locally_running_services"]
    argv += ["--nerve-registration-delay-s", "0", "--nerve-executable-path", WORK + "/bin/nerve"]
    for option, value in case.get("options", {}).items():
        value = value and value.replace("<run>", run)
        argv += [option] if value is None else [option, value]
        if option == "--heartbeat-path" and value.startswith(run):
            put(value, "")
    outcome = Outcome(*machine.run_program(argv))
    outcome.judge(accept)
    text = read(config)
    called = [line.replace(run, "<run>") for line in machine.calls()]
    if accept and accept.refused:
        expect(text == before and not called, "the file was changed, or something was run")
        return
    services = copy.deepcopy(case.get("services"))
    if accept and accept.services is not None:
        services = {key: value for name in accept.services for key, value in plain(name).items()}
    elif accept and accept.patch:
        accept.patch(services)
    heartbeat = case.get("options", {}).get("--heartbeat-path", "/var/run/nerve/heartbeat").replace("<run>", run)
    expected = {"heartbeat_path": heartbeat, "instance_id": HOST, "services": services}
    expect(text is not None, "no file was written")
    if difference := same(expected, json.loads(text)):
        raise Mismatch(difference)
    expect(text == json.dumps(json.loads(text), sort_keys=True, indent=4, separators=(",", ": ")), "the file's format")
    expect(stat.S_IMODE(os.stat(config).st_mode) == 0o644, "the file's mode")
    expect(read(WORK + "/candidate") == text, "the file checked is not the one put in place")
    wanted = case.get("calls", RESTART)
    expect(called == wanted, f"commands run: {called}, expected {wanted}")


def run_local(case, accept, nerve):
    """One case of the list of local services: the agent's state, soa-configs and static services in, the list out."""
    for name, text in case["soa"].items():
        put("/nail/etc/services/" + name, text)
    for name, text in case.get("static", {}).items():
        put("/etc/nerve/puppet_services.d/" + name, text)
    for key, value in (case["paasta"] or {}).items():
        put(f"/etc/paasta/{key}.json", json.dumps({key: value}))
    state = case["state"]
    # The recorder left out what every agent says of itself; the case "empty_state" is about that.
    if not (accept and accept.refused):
        state = {"id": "s1", "frameworks": [], **state}
    state = json.dumps(state).encode()
    answer = {"ok": (200, state), "500": (500, b"x"), "junk": (200, b"<html>")}[case["agent"]]
    agent = machine.serve(HOST_IP, 5051, lambda path: answer)
    outcome = Outcome(*machine.run_program([nerve, "configure_nerve", "--dump-local-services"]))
    outcome.judge(accept)
    expect(agent.seen == case["requests"], f"asked the agent for {agent.seen}, expected {case['requests']}")
    if accept and accept.refused:
        expect(outcome.out == "", f"printed a list: {cut(outcome.out)}")
        return
    entries = copy.deepcopy(case.get("expected"))
    if accept and accept.services is not None:
        entries = accept.services
    elif accept and accept.patch:
        accept.patch(entries)
    if difference := same(entries, json.loads(outcome.out)):
        raise Mismatch(difference)


KINDS = {"configure_nerve": (run_nerve, NERVE), "local_services": (run_local, LOCAL)}


class ConfigureWorker:
    """Runs one case after the other; each in a child that enters a machine of its own."""

    def __init__(self, kind, bindir):
        self.kind, self.bindir, self.cases = kind, bindir, recorded(kind)
        self.root = tempfile.mkdtemp(prefix="machine.", dir=world.scratch())

    def run(self, name):
        body, accepted = KINDS[self.kind]
        accept = accepted.get(name)
        receive, send = os.pipe()
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            problem = None
            try:
                nerve = os.path.join(self.bindir, "nerve")
                machine.enter(self.root)
                if accept is None and "error" in self.cases[name]:
                    raise Mismatch("recorded as an error, and not in the table of what we do instead")
                body(self.cases[name], accept, nerve)
            except Mismatch as mismatch:
                problem = str(mismatch)
            except BaseException as error:
                problem = "the harness broke: %r %s" % (error, cut(traceback.format_exc()[-400:]))
            os.write(send, json.dumps(problem).encode()[:60000])
            os._exit(0)
        os.close(send)
        with os.fdopen(receive, "rb") as pipe:
            told = pipe.read()
        os.waitpid(child, 0)
        problem = json.loads(told) if told else "the harness broke: the case's process ended"
        return verdict(self.kind, name, problem, accept.reason if accept else None)

    def close(self):
        pass
