"""Runs recorded configure_synapse cases: each in the same private root directory, so that default paths are met."""

import copy
import json
import os
import re
import shutil
import stat
import tempfile
import traceback
import zlib

from cases import cut, recorded, verdict
from configure_synapse_accept import ACCEPT

import world
from world import private_machine as machine
from world.private_machine import WORK, put, read

OUTPUT = "/etc/synapse/synapse.conf.json"
DISCOVERY_HOSTS = ["10.40.5.5:22181", "10.40.5.6:22181"]
SERVER_OPTIONS = "check port 6666 observe layer7 maxconn 50 maxqueue 10"
RESTART = ["service synapse stop", "service synapse start"]


class ConfigureSynapseWorker:
    """Runs one case after the other in this process's root directory, which it makes its own."""

    def __init__(self, bindir):
        self.cases = recorded("configure_synapse")
        self.common = self.cases.pop("")
        machine.enter(tempfile.mkdtemp(prefix="machine.", dir=world.scratch()))
        os.makedirs(WORK + "/links")
        os.symlink(bindir + "/synapse", WORK + "/links/configure_synapse")

    def run(self, name):
        case, accept = self.cases[name], ACCEPT.get(name)
        outcome = None
        try:
            outcome = self.outcome(name, case)
            if accept:
                problems = accept[0](case, outcome, self.common)
            elif "services" in case:
                problems = compare(expected(case, self.common), outcome, case.get("calls", RESTART))
            else:
                problems = ["upstream failed, and configure_synapse_accept.py does not say what is right"]
        except Exception:
            problems = ["the harness broke: " + cut(traceback.format_exc(), 900)]
        log = "".join(f"  | {line}\n" for line in (outcome or {}).get("stderr", "").splitlines()[-6:])
        text = "; ".join(problems[:4])
        return verdict("configure_synapse", name, text or None, accept and accept[1], log if problems else "")

    def close(self):
        pass

    def outcome(self, name, case):
        # Half of the cases find their files at the default paths, the others by variables.
        default_paths = bool(zlib.crc32(name.encode()) & 1)
        for folder in ("/nail", "/etc/synapse", WORK + "/in", WORK + "/bin", "/run/synapse"):
            shutil.rmtree(folder, ignore_errors=True)
            os.makedirs(folder)
        if os.path.exists(WORK + "/calls"):
            os.remove(WORK + "/calls")
        tools, soa, migration, env = (
            "/etc/synapse/synapse-tools.conf.json",
            "/nail/etc/services",
            "/nail/srv/configs/service_mesh/envoy_migration.yaml",
            {},
        )
        if not default_paths:
            tools, soa, migration = WORK + "/in/tools.json", WORK + "/in/soa", WORK + "/in/envoy_migration.yaml"
            env = {"SYNAPSE_TOOLS_CONFIG_PATH": tools, "SOA_DIR": soa, "ENVOY_MIGRATION_CONFIG_PATH": migration}
        os.makedirs(soa, exist_ok=True)
        files = {**self.common["env"], **case.get("env", {})}
        for path, text in files.items():
            if text is None:
                continue
            if path == "envoy_migration.yaml":
                put(migration, text)
            else:
                put(("/nail/etc/services/" if path.startswith("location_") else "/nail/etc/") + path, text)
        for path, text in case["soa"].items():
            put(f"{soa}/{path}", text)
        put(tools, json.dumps(dict(case.get("options", {}), config_file=OUTPUT)))
        machine.stub("service")
        machine.stub("myrestart")
        if name != "main_no_old_config":
            put(OUTPUT, "{}")
        if name == "main_unchanged":
            self.start(env)
            os.remove(WORK + "/calls")
        before = read(OUTPUT)
        status, _, stderr = self.start(env)
        text = read(OUTPUT)
        return {
            "status": status,
            "stderr": stderr,
            "before": before,
            "text": text,
            "mode": f"{stat.S_IMODE(os.stat(OUTPUT).st_mode):04o}" if text is not None else None,
            "calls": machine.calls(),
        }

    def start(self, env):
        return machine.run_program([WORK + "/links/configure_synapse"], env=env)


# --- what upstream wrote, and what of it is ours (difference 12) ---------------------------------------------


def expected(case, common):
    """Our answer where upstream's is right: its file with the directives that HAProxy 2.6 has."""
    haproxy = copy.deepcopy(common["haproxy"])
    for key, value in case.get("haproxy", {}).items():
        if key.startswith("+"):
            haproxy[key[1:]] += value
        else:
            haproxy[key] = value
    haproxy["defaults"] = modern_lines(haproxy["defaults"])
    result = {"haproxy": haproxy, "services": {k: service(v) for k, v in case["services"].items()}}
    if case.get("file_output", "") is not None:
        result["file_output"] = case.get("file_output") or {"output_directory": "/var/run/synapse/services"}
    if "nginx" in case:
        result["nginx"] = case["nginx"]
    return result


def service(compact):
    """A recorded service with what is the same in nearly all of them."""
    result = {"default_servers": [], "use_previous_backends": False, **copy.deepcopy(compact)}
    if isinstance(result["discovery"], list):
        path, label = result["discovery"]
        result["discovery"] = {
            "method": "zookeeper",
            "path": "/smartstack/global/" + path,
            "hosts": DISCOVERY_HOSTS,
            "label_filters": [{"label": label, "value": "", "condition": "equals"}],
        }
    haproxy = result["haproxy"]
    if "backend_name" in haproxy:
        haproxy = result["haproxy"] = {"listen": [], "server_options": SERVER_OPTIONS, **haproxy}
    for section in ("frontend", "backend"):
        if section in haproxy:
            haproxy[section] = modern_lines(haproxy[section])
    if "frontend" in haproxy:
        haproxy["frontend"] = longest_endpoint_first(haproxy["frontend"])
    return result


def modern_lines(lines):
    out = []
    for line in lines:
        if line in ("option forceclose", "no option forceclose"):
            out.append(line.replace("forceclose", "httpclose"))
        elif line == "option allredisp" or re.fullmatch(r"reqidel \^.*:\.\*", line):
            pass
        elif line == "reqtarpit . if to_be_tarpitted":
            out.append("http-request tarpit if to_be_tarpitted")
        elif m := re.fullmatch(r"reqadd ([^:]+):\\ (.*)", line):
            out.append(f"http-request set-header {m[1]} {quoted(m[2])}")
        elif m := re.fullmatch(r"option httpchk (\S+) (\S+) (HTTP/\S+?)((?:\\r\\n.*)+)", line):
            headers = [header.split(":\\ ", 1) for header in m[4].split("\\r\\n")[1:]]
            hdr = " ".join(f"hdr {name} {quoted(value)}" for name, value in headers)
            out += ["option httpchk", f'http-check send meth {m[1]} uri "{m[2]}" ver {m[3]} {hdr}']
        else:
            out.append(line)
    return out


def quoted(value):
    return '"' + re.sub(r'([\\"$])', r"\\\1", value.replace("%", "%%")) + '"'


ENDPOINT = (
    r"acl (.+_timeouts)_path path(?:_beg)? (.+)",
    r"acl (.+)_has_connslots connslots\((.+)\) gt 0",
    r"use_backend (.+) if (.+)_has_connslots (.+)_path",
)


def longest_endpoint_first(lines):
    """Difference 13: each run of endpoint rules (three lines each) by the path's length, then by its name."""
    out, run, i = [], [], 0
    while i <= len(lines):
        found = [re.fullmatch(pattern, line) for pattern, line in zip(ENDPOINT, lines[i : i + 3])]
        if len(found) == 3 and all(found):
            run.append((-len(found[0][2]), found[0][2], lines[i : i + 3]))
            i += 3
            continue
        for _, _, rule in sorted(run):
            out += rule
        run = []
        out += lines[i : i + 1]
        i += 1
    return out


# --- comparing ---------------------------------------------------------------------------------------------------


def compare(wanted, outcome, calls, status=0):
    if outcome["text"] is None:
        return ["there is no file"]
    try:
        found = json.loads(outcome["text"])
    except ValueError:
        return ["the file is not JSON: " + cut(outcome["text"], 120)]
    for section in ("global", "defaults"):
        found["haproxy"][section] = [without_folder(line) for line in found["haproxy"][section]]
        wanted["haproxy"][section] = [without_folder(line) for line in wanted["haproxy"][section]]
    problems = list(differences(wanted, found))
    # Byte for byte what Python writes, so that other tools' comparisons keep working.
    if outcome["text"] != json.dumps(json.loads(outcome["text"]), sort_keys=True, indent=4, separators=(",", ": ")):
        problems.append("the file is not laid out as json.dump does with sorted keys and four blanks")
    if outcome["mode"] != "0644":
        problems.append(f"mode {outcome['mode']}")
    if outcome["calls"] != calls:
        problems.append(f"commands run: {outcome['calls']}, expected {calls}")
    if outcome["status"] != status:
        problems.append(f"exit status {outcome['status']}, expected {status}")
    return problems


def without_folder(line):
    return re.sub(r"^lua-load \S*/lua_scripts/(\S+)$", r"lua-load <lua_scripts>/\1", line)


def differences(wanted, found, path=""):
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted(wanted.keys() | found.keys()):
            here = f"{path}[{key}]"
            if key not in found:
                yield f"{here} is missing"
            elif key not in wanted:
                yield f"{here} is unexpected: {cut(json.dumps(found[key]), 80)}"
            else:
                yield from differences(wanted[key], found[key], here)
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for i, (one, other) in enumerate(zip(wanted, found)):
            yield from differences(one, other, f"{path}[{i}]")
    elif type(wanted) is not type(found) or wanted != found:
        yield f"{path} is {cut(json.dumps(found), 200)}, expected {cut(json.dumps(wanted), 200)}"
