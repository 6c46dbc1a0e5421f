"""One recorded nerve case: its configuration, and the registrations expected while it runs and after it ended."""

import base64
import http.server
import json
import os
import re
import shutil
import signal
import socketserver
import time

from agents_accept import GOOD
from cases import Mismatch, cause, cut
from haproxy_file import load

DEADLINE_S, SETTLE_S, NOTHING_S = 10.0, 0.5, 2.5
# The port of the server that the recorded checks ask; ours is moved, 6666 being hacheck's own.
TEST_PORT, OUR_TEST_PORT = 6666, 16666


def registration_key(path, data):
    """The path with what may differ taken out: the sequence, the order of keys in an encoded name."""
    path = re.sub("_\\d{10}$", "_<seq:10 digits>", path)
    m = re.match("(.*/)base64_(\\d+)_([A-Za-z0-9_=-]+?)(_<seq:10 digits>|_)$", path)
    if m:
        if int(m.group(2)) != len(m.group(3)):
            return path + " (length %s is wrong)" % m.group(2)
        try:
            decoded = json.loads(base64.urlsafe_b64decode(m.group(3)))
        except ValueError:
            return path
        path = m.group(1) + "base64:" + json.dumps(decoded, sort_keys=True) + m.group(4)
    return path


def canonical(data):
    try:
        return json.dumps(json.loads(data), sort_keys=True)
    except (ValueError, TypeError):
        return data


class NerveCase:

    def __init__(self, case, workdir, runner, accept):
        self.case, self.wd, self.runner, self.accept = case, workdir, runner, accept
        self.meta = load(case + "/meta.json")

    def moved(self, value):
        """Ours: the test server's port is another one, see OUR_TEST_PORT."""
        return json.loads(json.dumps(value).replace(str(TEST_PORT), str(OUR_TEST_PORT)))

    def conf(self, name):
        conf = self.moved(load(os.path.join(self.case, name)))
        if self.accept and self.accept.add_good:
            conf.setdefault("services", {})[GOOD] = {
                "host": "10.0.0.200",
                "port": 80,
                "zk_hosts": ["127.0.0.1:2181"],
                "zk_path": "/nerve/" + GOOD,
                "check_interval": 0.5,
                "checks": [{"type": "noop"}],
            }
        return conf

    def good(self):
        if not (self.accept and self.accept.add_good):
            return []
        name = load(self.case + "/nerve.conf.json")["instance_id"]
        return [
            (
                "/nerve/%s/%s_<seq:10 digits>" % (GOOD, name),
                canonical(json.dumps({"host": "10.0.0.200", "port": 80, "name": name})),
                True,
            )
        ]

    def is_registration(self, node):
        return bool(node["data"]) or node["ephemeral"] or bool(re.search("_\\d{10}$", node["path"]))

    def recorded(self, name):
        """(registrations, parents) of a recorded dump."""
        regs, parents = ([], set())
        for n in self.moved(load(os.path.join(self.case, name), [])):
            if n["data"] or n["ephemeral"] or n["sequential"]:
                data = n["data"]
                m = re.search("\\.\\.\\.\\((\\d+) bytes\\)$", data)
                regs.append(
                    (
                        registration_key(n["path"], data),
                        "<%s bytes>" % m.group(1) if m else canonical(data),
                        n["ephemeral"],
                    )
                )
            else:
                parents.add(n["path"])
        return (sorted(regs), parents)

    def dump(self):
        regs, parents, raw = ([], set(), {})
        for n in self.runner.dump_tree():
            if self.is_registration(n):
                data = n["data"]
                shown = "<%d bytes>" % len(data.encode()) if len(data) >= 2000 else canonical(data)
                regs.append((registration_key(n["path"], data), shown, n["ephemeral"]))
                raw[n["path"]] = n
            else:
                parents.add(n["path"])
        return (sorted(regs), parents, raw)

    def alternatives(self):
        if self.accept and self.accept.registered is not None:
            return [
                sorted([(p, canonical(json.dumps(d)), e) for p, d, e in alt] + self.good())
                for alt in self.accept.registered
            ]
        return [sorted(self.recorded("znodes.json")[0])]

    def run(self):
        for name in os.listdir(self.case):
            if name == "conf.d":
                shutil.copytree(os.path.join(self.case, name), os.path.join(self.wd, name))
        with open(self.wd + "/nerve.conf.json", "w") as f:
            json.dump(self.conf("nerve.conf.json"), f, indent=1, ensure_ascii=False)
        before = load(self.case + "/znodes.before.json", {})
        self.runner.write_tree(before)
        agent = self.runner.start("nerve", ["-c", "nerve.conf.json"] + self.meta.get("argv", []), self.wd)
        try:
            self.replay(agent)
        finally:
            agent.kill()
        if self.accept and self.accept.check_config_fails:
            self.check_config()

    def replay(self, agent):
        exited = self.meta["rc"] is not None
        if self.meta["rc"] == 0 or (self.accept.exits if self.accept else exited):
            return self.must_exit(agent)
        self.wait_registered(agent)
        if self.accept:
            for pattern in self.accept.names:
                if not re.search(pattern, agent.output()):
                    raise Mismatch("the log does not name /%s/: %s" % (pattern, cause(agent)))
        if os.path.exists(self.case + "/nerve.step2.conf.json"):
            self.step2(agent)
        self.after_exit(agent)

    def must_exit(self, agent):
        want = self.meta["rc"]
        rc = agent.wait(DEADLINE_S)
        if rc is None:
            raise Mismatch("still running, expected an exit with %s" % want)
        if (rc != 0) != (want != 0):
            raise Mismatch("exit status %s, expected %s: %s" % (rc, want, cause(agent)))
        regs, parents, _ = self.dump()
        if regs:
            raise Mismatch("registered %s, expected nothing" % regs)
        if rc == 0 and parents:
            raise Mismatch("created %s, expected nothing" % sorted(parents))
        for pattern in self.accept.names if self.accept else ():
            if not re.search(pattern, agent.output()):
                raise Mismatch("the error does not name /%s/: %s" % (pattern, cut(agent.output())))

    def compare(self):
        regs, parents, raw = self.dump()
        alternatives = self.alternatives()
        if regs not in alternatives:
            return "registered %s, expected %s" % (cut(regs, 400), cut(alternatives[0], 400))
        if not (self.accept and self.accept.registered is not None):
            want = self.recorded("znodes.json")[1]
            if not want <= parents or (regs and parents != want):
                return "directories %s, expected %s" % (sorted(parents), sorted(want))
        for n in raw.values():
            if len(n["data"]) >= 2000:
                svc = next(iter(load(self.case + "/nerve.conf.json")["services"].values()))
                want = {"host": svc["host"], "port": svc["port"], "name": "mymachine", "labels": svc["labels"]}
                if json.loads(n["data"]) != want:
                    return "data of the long registration differs"
        if "ttl_seconds" in json.dumps(load(self.case + "/nerve.conf.json")):
            recorded = [n["version"] for n in load(self.case + "/znodes.json") if n["data"]]
            version = max(n["version"] for n in raw.values())
            if recorded and max(recorded) >= 2 and (version < 2):
                return "data rewritten %d times, expected about once a second" % version
            if recorded and max(recorded) == 0 and (version != 0):
                return "data rewritten %d times, expected never" % version
        return None

    def wait_registered(self, agent):
        empty = not any(self.alternatives()[0]) or "rate-limit" in self.case
        refused_or_not = (
            self.accept
            and self.accept.registered
            and (len(self.accept.registered) > 1)
            and ([] in self.accept.registered)
        )
        settle = NOTHING_S if empty or refused_or_not or self.meta["wait_s"] > 3 else SETTLE_S
        may_exit = bool(self.accept and [] in (self.accept.registered or ()) and (not self.accept.add_good))
        end, since, last = (time.monotonic() + DEADLINE_S, None, None)
        while True:
            last = self.compare()
            now = time.monotonic()
            if not agent.alive():
                if may_exit and agent.status > 0 and (not self.dump()[0]):
                    return
                raise Mismatch("agent ended with status %s: %s" % (agent.status, cause(agent)))
            if last is None:
                since = since or now
                if now - since >= settle:
                    return
            else:
                since = None
            if now > end:
                raise Mismatch(last or "not stable")
            time.sleep(0.05 if last else 0.1)

    def step2(self, agent):
        with open(self.wd + "/nerve.conf.json", "w") as f:
            json.dump(self.conf("nerve.step2.conf.json"), f, indent=1, ensure_ascii=False)
        want = sorted(self.recorded("znodes.step2.json")[0])
        _, _, first = self.dump()
        kept = self.unchanged_registrations(first)
        agent.send(signal.SIGHUP)
        end, since, settle = time.monotonic() + DEADLINE_S, None, 1.5
        while True:
            regs, _, raw = self.dump()
            now = time.monotonic()
            if not agent.alive():
                raise Mismatch("agent ended after SIGHUP with status %s: %s" % (agent.status, cause(agent)))
            for path, node in kept.items():
                if path not in raw or raw[path]["czxid"] != node["czxid"]:
                    raise Mismatch("SIGHUP: the unchanged registration %s went away" % path)
            if not regs:
                raise Mismatch("SIGHUP: for a moment nothing was registered")
            if regs == want:
                since = since or now
                if now - since >= settle:
                    return
            else:
                since = None
            if now > end:
                raise Mismatch("after SIGHUP registered %s, expected %s" % (cut(regs), cut(want)))
            time.sleep(0.01)

    def unchanged_registrations(self, first):
        """Registrations of the services that the second configuration leaves as they were."""
        one, two = (
            load(self.case + "/nerve.conf.json")["services"],
            load(self.case + "/nerve.step2.conf.json")["services"],
        )
        paths = {svc["zk_path"] for name, svc in one.items() if two.get(name) == svc}
        return {p: n for p, n in first.items() if p.rsplit("/", 1)[0] in paths}

    def after_exit(self, agent):
        if agent.alive():
            agent.send(signal.SIGTERM)
            if agent.wait(20) is None:
                raise Mismatch("still running 20 s after SIGTERM")
        want_regs, want_parents = self.recorded("znodes.after_exit.json")
        regs, parents, _ = self.dump()
        if regs != want_regs:
            raise Mismatch("after SIGTERM registered %s, expected %s" % (cut(regs), cut(want_regs)))
        if not want_parents <= parents | (
            {"/nerve", "/nerve/services", "/nerve/services/a", "/nerve/services/a/services"} if self.accept else set()
        ):
            raise Mismatch("after SIGTERM directories %s, expected %s" % (sorted(parents), sorted(want_parents)))

    def check_config(self):
        agent = self.runner.start("nerve", ["-c", "nerve.conf.json", "-k"], self.wd, "check.log")
        rc = agent.wait(DEADLINE_S)
        agent.kill()
        if rc is None or rc <= 0:
            raise Mismatch("-k: status %s, expected a failure" % rc)
        for pattern in self.accept.names:
            if not re.search(pattern, agent.output()):
                raise Mismatch("-k does not name /%s/: %s" % (pattern, cut(agent.output())))


class CheckTarget(http.server.BaseHTTPRequestHandler):
    """The test server the recorded nerve checks ask: /ok 200, /down 503, /redirect 302, ... body "ok"."""

    def do_GET(self):
        code = {"/down": 503, "/redirect": 302, "/missing": 404}.get(self.path, 200)
        if self.path == "/needheader" and self.headers.get("X-Need") != "yes":
            code = 400
        if self.path == "/slow":
            time.sleep(1)
        try:
            self.send_response(code)
            if code == 302:
                self.send_header("Location", "/x")
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"ok\n")
        except OSError:
            pass

    def log_message(self, *args):
        pass


class ThreadingServer(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    allow_reuse_address = True
