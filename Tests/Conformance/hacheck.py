"""Runs recorded hacheck cases inside one world: requests against the server, the commands, and starts."""

import os
import re
import shutil
import stat
import subprocess
import threading
import time

from cases import recorded, verdict
from hacheck_compare import compare_cli, compare_contract, compare_startup, judge, real_requests, recorded_contract
from hacheck_jobs import effective_config, shareable
from hacheck_machine import bring_up_lo, private_etc
from hacheck_wire import (
    CLIENT_TIMEOUT,
    PORT,
    START_TIMEOUT,
    TLS_CERT,
    TLS_KEY,
    Backend,
    Server,
    build,
    can_connect,
    clean_env,
    exchange,
    fill_spool,
    read_spool,
    stop,
)

import world

COMMANDS = ("hacheck", "haup", "hadown", "hastatus", "halist", "hashowdowned")
class HacheckWorker:
    """Runs one case after the other in a world with an /etc and a host name of its own."""

    def __init__(self, kind, bindir):
        self.kind, self.cases, self.folder = kind, recorded(kind), world.scratch()
        self.commands = self.linked_commands(os.path.join(bindir, "nerve"))
        self.etc = os.path.join(self.folder, "etc")
        self.count, self.shared, self.shared_config = 0, None, None
        self.tls = (os.path.join(self.folder, "cert.pem"), os.path.join(self.folder, "key.pem"))
        for path, text in zip(self.tls, (TLS_CERT, TLS_KEY)):
            with open(path, "w") as f:
                f.write(text)
        os.umask(0o022)
        bring_up_lo()
        private_etc(self.etc)

    def linked_commands(self, nerve):
        """The commands by their links to nerve; `hacheck` only where nerve has a stand-alone one."""
        links = os.path.join(self.folder, "bin")
        os.mkdir(links)
        for name in COMMANDS:
            os.symlink(nerve, os.path.join(links, name))
        commands = {name: [os.path.join(links, name)] for name in COMMANDS} | {"nerve": [nerve]}
        usage = subprocess.run(commands["hacheck"] + ["--help"], capture_output=True, text=True, timeout=20)
        if "--spool-root" not in usage.stdout + usage.stderr:
            del commands["hacheck"]
        return commands

    def fresh_folder(self):
        self.count += 1
        path = os.path.join(self.folder, "c%d" % self.count)
        os.mkdir(path)
        return path

    def contract_case(self, case, server=None):
        backends = case.get("backend") or []
        backends = [b for b in (backends if isinstance(backends, list) else [backends]) if b["kind"] != "none"]
        own = server is None
        got = {"started": True, "steps": [], "exit_code": None}
        servers = []
        try:
            servers = [Backend(b, self.tls) for b in backends]
            if own:
                server = Server(self.commands, effective_config(case), self.fresh_folder())
                if not server.started:
                    got.update(
                        started=False,
                        exit_code=server.process.poll(),
                        log=server.last_log(),
                        why_not=server.why_not(),
                    )
                    return judge(case, recorded_contract(case), got, compare_contract)
            fill_spool(server.spool, case.get("spool_before"))
            begin = time.time()
            for step in case["request"] if isinstance(case["request"], list) else [case["request"]]:
                got["steps"].append(self.contract_step(step))
            expected = case.get("backend_connections") or 0
            self.settle(servers, expected, len(real_requests(case.get("backend_saw") or [])))
            got.update(
                clock=(begin, time.time()),
                spool=read_spool(server.spool),
                outside=sorted(set(os.listdir(server.root)) - {"spool"}),
                saw=[s for b in servers for s in b.saw],
                conns=sum(b.conns for b in servers),
                alive=server.alive(),
                log=server.last_log(),
            )
            return judge(case, recorded_contract(case), got, compare_contract)
        finally:
            for b in servers:
                b.close()
            if own and server:
                server.close()

    def contract_step(self, step):
        if "sleep" in step:
            time.sleep(step["sleep"])
            return None
        data = build(step)
        methods = (
            re.findall("(?m)^([A-Z]+) \\S+ HTTP/1\\.", step["raw"]) or ["GET"]
            if "raw" in step
            else [step.get("method", "GET")]
        )
        timeout = step.get("client_timeout", CLIENT_TIMEOUT)
        if not step.get("parallel"):
            return exchange(data, timeout, methods)
        answers = [None] * step["parallel"]

        def one(i):
            answers[i] = exchange(data, timeout, methods)

        threads = [threading.Thread(target=one, args=(i,)) for i in range(len(answers))]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        odd = [
            a
            for a in answers
            if (a["status"], a["body"], a["closed"])
            != (answers[0]["status"], answers[0]["body"], answers[0]["closed"])
        ]
        return dict((odd or answers)[0], all_statuses=sorted({a["status"] for a in answers}, key=str))

    @staticmethod
    def settle(backends, conns, requests):
        """The backend's threads may lag behind hacheck's answer; then a moment more to see too many."""
        deadline = time.monotonic() + 1.0
        while backends and time.monotonic() < deadline:
            if (
                sum(b.conns for b in backends) >= conns
                and len(real_requests([s for b in backends for s in b.saw])) >= requests
            ):
                break
            time.sleep(0.005)
        time.sleep(0.03 if backends else 0.005)

    def cli_case(self, case):
        folder = self.fresh_folder()
        no_parent = case["spool_before"] is None and case["spool_after"] is None
        root = os.path.join(folder, "root")
        os.mkdir(root)
        spool = os.path.join(root, "p", "spool") if no_parent else os.path.join(root, "spool")
        server = None
        try:
            if "requests_made_to_server_before" in case:
                server = Server(self.commands, None, self.fresh_folder())
                if not server.started:
                    return ("fail", server.why_not())
                root, spool = (server.root, server.spool)
            elif case["spool_before"] is not None:
                os.mkdir(spool)
            begin = time.time()
            if case["spool_before"] is not None:
                fill_spool(spool, case["spool_before"])
            for path in case.get("requests_made_to_server_before", ()):
                exchange(build({"path": path}), CLIENT_TIMEOUT, ["GET"])
            nonhumans = os.path.join(self.etc, "nonhumans")
            if "etc_nonhumans" in case:
                with open(nonhumans, "w") as f:
                    f.write(case["etc_nonhumans"])
            elif os.path.exists(nonhumans):
                os.unlink(nonhumans)
            args = self.commands[case["command"]] + ["--spool-root", spool] + case["args"]
            try:
                run = subprocess.run(
                    args,
                    stdin=subprocess.DEVNULL,
                    capture_output=True,
                    env=clean_env(case["env"]),
                    timeout=15,
                    cwd=folder,
                    start_new_session=True,
                )
            except subprocess.TimeoutExpired:
                return ("fail", "no end after 15 s")
            got = {
                "exit_code": run.returncode,
                "stdout": run.stdout.decode("utf-8", "backslashreplace"),
                "stderr": run.stderr.decode("utf-8", "backslashreplace"),
                "clock": (begin, time.time()),
                "spool": read_spool(spool),
                "outside": sorted(set(os.listdir(root)) - {"spool", "p"}),
                "mode": oct(stat.S_IMODE(os.stat(spool).st_mode)) if os.path.isdir(spool) else None,
            }
            recorded = {k: case[k] for k in ("command", "exit_code", "stdout", "stderr")}
            recorded.update(
                spool=case["spool_after"],
                mode=case.get("spool_root_mode"),
                outside=case.get("written_outside_spool_root", []),
            )
            return judge(case, recorded, got, compare_cli)
        finally:
            if server:
                server.close()
            shutil.rmtree(folder, ignore_errors=True)

    def startup_case(self, case):
        folder = self.fresh_folder()
        spool = os.path.join(folder, "spool")
        if "spool_root_created_mode" not in case:
            os.mkdir(spool)
        args = self.commands["hacheck"] + ["-B", "127.0.0.1", "--spool-root", spool] + case["args"]
        if case["config_text"] is not None:
            path = os.path.join(folder, "c.yaml")
            with open(path, "w") as f:
                f.write(case["config_text"])
            args += ["-c", path]
        ports = list(case["listening"]) or [str(PORT)]
        with open(os.path.join(folder, "stderr"), "wb") as err:
            process = subprocess.Popen(
                args,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=err,
                env=clean_env(),
                cwd=folder,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + START_TIMEOUT / 2
            listening = {}
            while time.monotonic() < deadline and process.poll() is None:
                listening = {p: can_connect(int(p)) for p in ports}
                if all(listening.values()):
                    break
                time.sleep(0.01)
            if all(listening.values()):
                time.sleep(0.2)
            got = {
                "started": process.poll() is None,
                "listening": listening,
                "exit_code": process.poll(),
                "on_sigterm": None,
                "post_status": None,
                "mode": oct(stat.S_IMODE(os.stat(spool).st_mode)) if os.path.isdir(spool) else None,
            }
            if got["started"] and listening.get(str(PORT)):
                got["post_status"] = exchange(
                    build({"method": "POST", "path": "/spool/svc.main/1/status", "body": "status=down&reason=x"}),
                    CLIENT_TIMEOUT,
                    ["POST"],
                )["status"]
            got["on_sigterm"] = stop(process) if got["started"] else None
            with open(os.path.join(folder, "stderr"), "rb") as f:
                got["stderr"] = f.read().decode("utf-8", "replace")
            recorded = {
                "started": case["started"],
                "listening": case["listening"],
                "mode": case.get("spool_root_created_mode"),
                "on_sigterm": (
                    case["exit_code_or_after_SIGTERM"] if case["on_sigterm"] == "exited on SIGTERM" else None
                ),
            }
            return judge(case, recorded, got, compare_startup)
        finally:
            stop(process)
            shutil.rmtree(folder, ignore_errors=True)

    def run(self, name):
        case = self.cases[name]
        try:
            outcome, text = {
                "hacheck-contract": self.contract,
                "hacheck-cli": self.cli_case,
                "hacheck-startup": self.startup_case,
            }[self.kind](case)
        except Exception as error:
            outcome, text = "fail", f"the harness broke: {type(error).__name__}: {error}"
        return verdict(
            self.kind,
            name,
            problem=text if outcome == "fail" else None,
            accepted=text if outcome == "accepted" else None,
        )

    def contract(self, case):
        """Cases that leave no trace share a server; one that fails there is tried in a server of its own."""
        if not shareable(case):
            self.drop_shared()
            return self.contract_case(case)
        config = effective_config(case)
        if self.shared is None or self.shared_config != config or not self.shared.alive():
            self.drop_shared()
            self.shared, self.shared_config = Server(self.commands, config, self.fresh_folder()), config
        if not self.shared.started:
            return "fail", self.shared.why_not()
        result = self.contract_case(case, self.shared)
        if result[0] == "fail":
            self.drop_shared()
            if self.contract_case(case)[0] != "fail":
                return "fail", result[1] + " (only in a server that served other cases before; alone it passes)"
        return result

    def drop_shared(self):
        if self.shared:
            self.shared.close()
        self.shared = None

    def close(self):
        self.drop_shared()
