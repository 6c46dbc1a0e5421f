"""One recorded synapse case: the registry and configuration it had, and the HAProxy file that is expected."""

import json
import os
import re
import shutil
import time

import haproxy_file
from agents_accept import GOOD, be, fe
from cases import Mismatch, cause, cut
from haproxy_file import Rules, base_sections, compare_sections, load, sections_of, split_lines, words

DEADLINE_S = 10.0
# A file that differs in the same way for so long will not come right.
STUCK_S = 4.0
# How long the expected state must hold before it counts; longer when the step is to change nothing.
SETTLE_S, UNCHANGED_S, NOTHING_S = 0.5, 2.5, 2.5


class SynapseCase:

    def __init__(self, case, workdir, runner, accept):
        self.case, self.wd, self.runner, self.accept = case, workdir, runner, accept
        self.conf_name = "synapse.conf.yaml" if os.path.exists(case + "/synapse.conf.yaml") else "synapse.conf.json"
        self.conf = load(case + "/synapse.conf.json") or self.yaml_conf()
        self.cfg_path = os.path.join(workdir, "haproxy.cfg")
        self.ids = {}

    def yaml_conf(self):
        """The one YAML case: enough of it for the rules."""
        return {
            "haproxy": {"global": ["daemon"], "defaults": []},
            "services": {"service-a": {"discovery": {"path": "/svc/a"}, "haproxy": {"backend_order": "asc"}}},
        }

    def steps(self):
        n = 1
        while os.path.exists("%s/znodes.step%d.json" % (self.case, n + 1)):
            n += 1
        return n

    def golden_sections(self, step):
        path = self.case + "/haproxy%s.cfg" % ("" if step == 1 else ".step%d" % step)
        if not os.path.exists(path):
            return None
        sections = sections_of(open(path).read())
        return haproxy_file.without_useless_cookies(sections)

    def run(self):
        self.golden = self.golden_sections(1)
        self.base = base_sections(self.conf) if isinstance(self.conf.get("haproxy"), dict) else []
        for name in ("conf.d", "services", "state.json"):
            src = os.path.join(self.case, name)
            if os.path.isdir(src):
                shutil.copytree(src, os.path.join(self.wd, name))
            elif os.path.exists(src):
                shutil.copy(src, self.wd)
        if os.path.exists(self.case + "/synapse.conf.json"):
            conf = load(self.case + "/synapse.conf.json")
            if self.accept and self.accept.add_good:
                conf["services"][GOOD] = {
                    "discovery": {"method": "zookeeper", "path": "/svc/" + GOOD, "hosts": ["127.0.0.1:2181"]},
                    "haproxy": {"port": 3999, "server_options": "check", "backend_order": "asc"},
                }
            with open(os.path.join(self.wd, self.conf_name), "w") as f:
                json.dump(conf, f, indent=1, ensure_ascii=False)
        else:
            shutil.copy(self.case + "/synapse.conf.yaml", self.wd)
        znodes = load(self.case + "/znodes.json", {})
        if self.accept and self.accept.add_good:
            znodes = dict(znodes)
            znodes["/svc/" + GOOD] = None
            znodes["/svc/%s/good_0000000001" % GOOD] = '{"host":"10.0.0.200","port":80,"name":"good"}'
        self.runner.write_tree(znodes)
        agent = self.runner.start("synapse", ["-c", self.conf_name], self.wd)
        try:
            self.replay(agent, znodes)
        except Mismatch:
            refused = self.accept and self.accept.or_exits and not agent.alive() and agent.status > 0
            if refused and not os.path.exists(self.cfg_path) and re.search(self.accept.or_exits, agent.output()):
                return
            raise
        finally:
            agent.kill()
        if self.accept and self.accept.check_config_fails:
            self.check_config()

    def replay(self, agent, znodes):
        if self.accept and self.accept.exits:
            self.must_exit(agent)
            return
        for step in range(1, self.steps() + 1):
            if step > 1:
                following = load("%s/znodes.step%d.json" % (self.case, step))
                self.runner.change_tree(znodes, following)
                znodes = following
            variants = self.variants(step)
            if variants is None:
                self.nothing_written(agent)
                continue
            rules = Rules(self.case, self.conf, znodes)
            unchanged = step > 1 and self.golden_sections(step) == self.golden_sections(step - 1)
            self.wait(
                agent,
                lambda: self.compare(variants, rules, step),
                UNCHANGED_S if unchanged else SETTLE_S,
                "step %d: " % step if self.steps() > 1 else "",
            )
            self.ids = {h: {s.name: s.id for s in split_lines(h, lines)[1]} for h, lines in self.actual()}
        if self.accept:
            for pattern in self.accept.names:
                if not re.search(pattern, agent.output()):
                    raise Mismatch("the log does not name /%s/: %s" % (pattern, cause(agent)))

    def variants(self, step):
        """The expected sections (alternatives), or None if no file is to appear."""
        golden = self.golden_sections(step)
        if self.accept and self.accept.variants and (step == 1):
            out = [[(h, [words(x) for x in lines]) for h, lines in v(self)] for v in self.accept.variants]
        elif golden is None:
            return None
        else:
            out = [golden]
        if self.accept and self.accept.add_good:
            out = [
                v + [fe(GOOD, bind="localhost:3999"), be(GOOD, ["good_10.0.0.200:80"], options="check")] for v in out
            ]
        return out

    def actual(self):
        return sections_of(open(self.cfg_path, errors="surrogateescape").read())

    def compare(self, variants, rules, step):
        if not os.path.exists(self.cfg_path):
            return "no haproxy.cfg written"
        raw = open(self.cfg_path, "rb").read()
        if not raw.endswith(b"\n"):
            return "haproxy.cfg does not end with a newline"
        problems = [compare_sections(self.actual(), v, rules, self.accept, self.ids) for v in variants]
        if all(problems):
            return problems[0]
        return self.compare_validity() or self.compare_services(step) or self.compare_state(step)

    def compare_validity(self):
        valid, complaint = haproxy_file.check(self.cfg_path, self.wd)
        if not valid and not (self.accept and self.accept.file_may_be_invalid):
            return "haproxy -c refuses the file: " + complaint
        return None

    def compare_services(self, step):
        golden = "%s/services%s.out" % (self.case, "" if step == 1 else ".step%d" % step)
        if not os.path.isdir(golden):
            return None
        here = os.path.join(self.wd, "services")
        ours = sorted(f for f in os.listdir(here) if not f.startswith(".")) if os.path.isdir(here) else []
        if ours != sorted(os.listdir(golden)):
            return "file_output %s, expected %s" % (ours, sorted(os.listdir(golden)))
        for f in ours:
            try:
                got = load(os.path.join(here, f))
            except ValueError as e:
                return "services/%s is not JSON: %s" % (f, e)
            want = load(os.path.join(golden, f))
            canon = [sorted(json.dumps(b, sort_keys=True) for b in x) for x in (got, want)]
            if canon[0] != canon[1]:
                return "services/%s: %s, expected %s" % (f, cut(canon[0]), cut(canon[1]))
        return None

    def compare_state(self, step):
        golden = load("%s/state.out%s.json" % (self.case, "" if step == 1 else ".step%d" % step))
        if golden is None:
            return None
        try:
            ours = load(os.path.join(self.wd, "state.json"))
        except ValueError as e:
            return "state.json: %s" % e
        if ours is None:
            return "no state.json written"

        def servers(state):
            return {
                s: {n for n in v if n != "watcher_config_for_generator"}
                for s, v in state.items()
                if isinstance(v, dict) and any(n != "watcher_config_for_generator" for n in v)
            }

        got, want = (servers(ours), servers(golden))
        in_file = {}
        for header, lines in self.actual():
            if header.startswith("backend "):
                in_file[header] = {s.name: s.id for s in split_lines(header, lines)[1]}
        for svc in want:
            written = set(in_file.get("backend " + svc, {}))
            if not want[svc] <= got.get(svc, set()) or not got.get(svc, set()) <= want[svc] | (
                written if step > 1 else set()
            ):
                return "state.json %s: servers %s, expected %s" % (svc, sorted(got.get(svc, ())), sorted(want[svc]))
            for name, wanted_id in in_file.get("backend " + svc, {}).items():
                entry = ours.get(svc, {}).get(name) or {}
                if wanted_id is not None and entry and (entry.get("haproxy_server_id") != wanted_id):
                    return "state.json %s/%s: id %s, the file has %s" % (
                        svc,
                        name,
                        entry.get("haproxy_server_id"),
                        wanted_id,
                    )
        if set(got) - set(want):
            return "state.json has services %s, expected %s" % (sorted(got), sorted(want))
        return None

    def wait(self, agent, problem, settle_s, label):
        """Until problem() is None for settle_s in a row."""
        end = time.monotonic() + DEADLINE_S
        good_since = last = wrong_since = before = None
        while True:
            try:
                last = problem()
            except (OSError, IndexError) as e:
                last = str(e)
            now = time.monotonic()
            if last != before:
                before, wrong_since = (last, now)
            if last and os.path.exists(self.cfg_path) and (now - wrong_since > STUCK_S):
                end = now - 1
            if not agent.alive():
                raise Mismatch("%sagent ended with status %s: %s" % (label, agent.status, cause(agent)))
            if last is None:
                good_since = good_since or now
                if now - good_since >= settle_s:
                    return
            else:
                good_since = None
            if now > end:
                raise Mismatch(label + last if last else label + "not stable")
            time.sleep(0.05 if last else 0.1)

    def nothing_written(self, agent):
        end = time.monotonic() + NOTHING_S
        while time.monotonic() < end:
            if os.path.exists(self.cfg_path):
                raise Mismatch("haproxy.cfg was written, none expected")
            if not agent.alive():
                raise Mismatch("agent ended with status %s: %s" % (agent.status, cause(agent)))
            time.sleep(0.1)

    def must_exit(self, agent):
        rc = agent.wait(DEADLINE_S)
        if rc is None:
            raise Mismatch("still running, expected an error exit")
        if rc <= 0:
            raise Mismatch("status %s, expected an error exit" % rc)
        if os.path.exists(self.cfg_path):
            raise Mismatch("haproxy.cfg was written in spite of the error")
        for pattern in self.accept.names:
            if not re.search(pattern, agent.output()):
                raise Mismatch("the error does not name /%s/: %s" % (pattern, cut(agent.output())))

    def check_config(self):
        agent = self.runner.start("synapse", ["-c", self.conf_name, "--check-config"], self.wd, "check.log")
        rc = agent.wait(DEADLINE_S)
        agent.kill()
        if rc is None or rc <= 0:
            raise Mismatch("--check-config: status %s, expected a failure" % rc)
        for pattern in self.accept.names:
            if not re.search(pattern, agent.output()):
                raise Mismatch("--check-config does not name /%s/: %s" % (pattern, cut(agent.output())))
