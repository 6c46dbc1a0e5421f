"""The network side of the hacheck cases: raw requests and their answers, scripted backends, the server under test."""

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

PORT = 3333
HOST_NAME, HOST_IP = "replay-host", "127.0.0.9"
CLIENT_TIMEOUT, CLOSE_GRACE, START_TIMEOUT = 8.0, 1.5, 10.0
# Of a test server only; self-signed for wrong.invalid, valid for a hundred years.
TLS_CERT = (
    "-----BEGIN CERTIFICATE-----\n"
    "MIIBhjCCAS2gAwIBAgIUHLzoShnBI58o+5StfeaLNMsC6EUwCgYIKoZIzj0EAwIw\n"
    "GDEWMBQGA1UEAwwNd3JvbmcuaW52YWxpZDAgFw0yNjExMjEwMTE3MTVaGA8yMTI2\n"
    "MTAyODAxMTcxNVowGDEWMBQGA1UEAwwNd3JvbmcuaW52YWxpZDBZMBMGByqGSM49\n"
    "AgEGCCqGSM49AwEHA0IABO9gDdOyCELhy61hY7fGHwASEHWmQIJzNsxLw3rV+CFV\n"
    "2//JYRo77P73fyEosJFO9neaJyd7N0uHvpf7u7itdfijUzBRMB0GA1UdDgQWBBSu\n"
    "7vt0siWgO2hGef4NYi3ywqiGFjAfBgNVHSMEGDAWgBSu7vt0siWgO2hGef4NYi3y\n"
    "wqiGFjAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIEd39BKYRe8k\n"
    "wrT14IBGd0J482LyPoibiy7HFRzl3VLyAiBkdMUp3smTLZibXNLxYIzyREW3t9S9\n"
    "qfS4u7pcCVWhGQ==\n"
    "-----END CERTIFICATE-----\n"
)
TLS_KEY = (
    "-----BEGIN PRIVATE KEY-----\n"
    "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgjKVRN8eTc7xmKaSF\n"
    "AfaSOodeXK0BR93K+1uHj1h1Hh6hRANCAATvYA3TsghC4cutYWO3xh8AEhB1pkCC\n"
    "czbMS8N61fghVdv/yWEaO+z+938hKLCRTvZ3micnezdLh76X+7u4rXX4\n"
    "-----END PRIVATE KEY-----\n"
)


def build(step):
    if "raw" in step:
        return step["raw"].encode("latin1")
    headers = {"Host": "127.0.0.1:%d" % PORT, "Connection": "close"}
    headers.update(step.get("headers") or {})
    body = step.get("body")
    if body is not None:
        headers.setdefault("Content-Length", str(len(body.encode())))
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
    elif step.get("method") in ("POST", "PUT"):
        headers.setdefault("Content-Length", "0")
    head = "%s %s HTTP/1.1\r\n" % (step.get("method", "GET"), step["path"])
    head += "".join(("%s: %s\r\n" % (k, v) for k, v in headers.items() if v is not None))
    return (head + "\r\n").encode("latin1") + (body or "").encode()


def parse_response(buf, head_only):
    """(response or None, bytes used, complete by its own framing)"""
    head, sep, rest = buf.partition(b"\r\n\r\n")
    if not sep:
        return (None, 0, False)
    lines = head.split(b"\r\n")
    match = re.match(b"HTTP/1\\.[01] (\\d{3})(?: |$)", lines[0])
    if not match:
        return (
            {"status": None, "how": "garbage", "body": buf.decode("utf-8", "backslashreplace"), "headers": {}},
            len(buf),
            False,
        )
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(b":")
        headers[name.decode("latin1").strip().lower()] = value.decode("latin1").strip()
    status = int(match.group(1))
    used, framed = (len(head) + 4, True)
    if head_only or status in (204, 304):
        body = b""
    elif headers.get("transfer-encoding", "").lower() == "chunked":
        body, framed = (b"", False)
        while True:
            size, sep, after = rest.partition(b"\r\n")
            if not sep:
                break
            count = int(size.split(b";")[0], 16)
            if len(after) < count + 2:
                break
            used += len(size) + 2 + count + 2
            body, rest = (body + after[:count], after[count + 2 :])
            if count == 0:
                framed = True
                break
    elif "content-length" in headers:
        want = int(headers["content-length"])
        body, framed = (rest[:want], len(rest) >= want)
        used += len(body)
    else:
        body, framed = (rest, False)
        used += len(body)
    return ({"status": status, "headers": headers, "body": body.decode("utf-8", "backslashreplace")}, used, framed)


def exchange(data, timeout, methods):
    """Send, read one response per method; the last must close if the request said so."""
    text = data.decode("latin1")
    last_head = text.rstrip("\r\n").rsplit("\r\n\r\n", 1)[-1] if len(methods) > 1 else text.partition("\r\n\r\n")[0]
    must_close = re.search("(?im)^connection:[ \\t]*close[ \\t]*\\r?$", last_head) is not None or bool(
        re.match("\\S+ \\S+ HTTP/1\\.0", last_head)
    )
    start = time.monotonic()
    out = {"status": None, "how": "closed", "body": "", "headers": {}, "closed": None}
    try:
        sock = socket.create_connection(("127.0.0.1", PORT), timeout=timeout)
    except OSError as error:
        return dict(out, how="no connection (%s)" % error, elapsed=time.monotonic() - start)
    buf, responses, eof, deadline, done_at = (b"", [], False, start + timeout, None)
    try:
        try:
            sock.sendall(data)
        except OSError:
            pass
        while True:
            responses, offset, complete = ([], 0, True)
            for method in methods:
                one, used, complete = parse_response(buf[offset:], method == "HEAD")
                if one is None:
                    break
                responses.append(one)
                offset += used
                if not complete:
                    break
            finished = len(responses) == len(methods) and complete
            if finished and done_at is None:
                done_at = time.monotonic()
                if not must_close:
                    break
                deadline = done_at + CLOSE_GRACE
            left = deadline - time.monotonic()
            if left <= 0:
                break
            sock.settimeout(left)
            try:
                chunk = sock.recv(65536)
            except TimeoutError:
                break
            except OSError:
                chunk = b""
            if not chunk:
                eof = True
                break
            buf += chunk
    finally:
        sock.close()
    elapsed = (done_at or time.monotonic()) - start
    if not responses:
        return dict(
            out, how="closed" if eof else "hung", elapsed=elapsed, body=buf.decode("utf-8", "backslashreplace")
        )
    first = dict(out, **responses[0])
    first.update(
        elapsed=elapsed, closed=eof if must_close else None, more=responses[1:], extra=buf[offset:].decode("latin1")
    )
    if not finished and (not eof):
        first["how"] = "unfinished"
    return first


class Backend:

    def __init__(self, spec, tls):
        self.spec, self.tls = (spec, tls)
        self.saw, self.conns, self.clients = ([], 0, [])
        self.stopping = threading.Event()
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.sock.bind((spec.get("host", "127.0.0.1"), spec.get("port", 8080)))
        self.sock.listen(300)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, _ = self.sock.accept()
            except OSError:
                return
            if self.stopping.is_set():
                conn.close()
                return
            self.conns += 1
            self.clients.append(conn)
            threading.Thread(target=self.serve, args=(conn,), daemon=True).start()

    def serve(self, conn):
        spec = self.spec
        try:
            if spec["kind"] == "https":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*self.tls)
                conn = context.wrap_socket(conn, server_side=True)
                self.clients.append(conn)
            if spec["kind"] in ("http", "https"):
                buf = b""
                while b"\r\n\r\n" not in buf:
                    chunk = conn.recv(65536)
                    if not chunk:
                        break
                    buf += chunk
                self.saw.append(buf.decode("latin1"))
                self.stopping.wait(spec.get("hang", 0) + spec.get("delay", 0))
                if "raw_response" in spec:
                    conn.sendall(spec["raw_response"].encode("latin1"))
                else:
                    body = spec.get("body", "").encode()
                    head = "HTTP/1.1 %s\r\n" % spec.get("status", "200 OK")
                    if not spec.get("no_length"):
                        head += "Content-Length: %d\r\n" % len(body)
                    head += "".join("%s: %s\r\n" % kv for kv in (spec.get("headers") or {}).items())
                    conn.sendall((head + "Connection: close\r\n\r\n").encode("latin1") + body)
            elif spec["kind"] == "script":
                for step in spec["script"]:
                    if step[0] == "send":
                        conn.sendall(step[1].encode("latin1"))
                    elif step[0] == "recv":
                        self.saw.append(conn.recv(65536).decode("latin1"))
                    elif step[0] == "sleep":
                        self.stopping.wait(step[1])
            elif spec["kind"] == "accept":
                self.stopping.wait(0.2)
        except Exception:
            pass
        finally:
            try:
                conn.close()
            except OSError:
                pass

    def close(self):
        self.stopping.set()
        for sock in [self.sock] + self.clients:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            try:
                sock.close()
            except OSError:
                pass


def clean_env(extra=None):
    env = {k: v for k, v in os.environ.items() if k not in ("SUDO_USER", "SSH_USER", "COLUMNS")}
    env["COLUMNS"] = "80"
    env.update(extra or {})
    return env


def stop(process, seconds=3.0):
    """SIGTERM, then SIGKILL for its own session; the exit status if SIGTERM was enough, else None."""
    status = None
    if process.poll() is None:
        process.terminate()
        try:
            status = process.wait(seconds)
        except subprocess.TimeoutExpired:
            pass
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except OSError:
        pass
    process.wait()
    deadline = time.monotonic() + 3
    try:
        while time.monotonic() < deadline:
            if os.waitpid(-process.pid, os.WNOHANG) == (0, 0):
                time.sleep(0.005)
    except ChildProcessError:
        pass
    return status


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Server:
    """A hacheck on 127.0.0.1:3333, stand-alone or the one that nerve embeds."""

    def __init__(self, commands, config, folder):
        self.folder = folder
        self.root = os.path.join(folder, "root")
        self.spool = os.path.join(self.root, "spool")
        os.makedirs(self.spool)
        if config:
            if "mysql_password" in config:  # Upstream logs in at any port, ours where it is told to.
                config = {**config, "mysql_servers": ["127.0.0.1:8080"]}
            self.write(folder, "hacheck.yaml", config)
        args = (
            self.stand_alone(commands["hacheck"], config)
            if "hacheck" in commands
            else self.embedded(commands["nerve"], config)
        )
        self.log = os.path.join(folder, "log")
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(
                args,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=clean_env(),
                cwd=folder,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_TIMEOUT
        self.started = False
        while time.monotonic() < deadline and self.process.poll() is None:
            if can_connect(PORT):
                self.started = self.process.poll() is None
                break
            time.sleep(0.005)

    @staticmethod
    def write(folder, name, value):
        path = os.path.join(folder, name)
        with open(path, "w") as f:
            json.dump(value, f)
        return path

    def stand_alone(self, command, config):
        args = command + ["-p", str(PORT), "-B", "127.0.0.1", "--spool-root", self.spool]
        return args + (["-c", os.path.join(self.folder, "hacheck.yaml")] if config else [])

    def embedded(self, command, config):
        section = {"port": PORT, "bind_address": "127.0.0.1", "spool_root": self.spool}
        if config:
            section["config"] = os.path.join(self.folder, "hacheck.yaml")
        path = self.write(
            self.folder,
            "nerve.conf.json",
            {"instance_id": "conformance", "hacheck": section, "services": {}, "state_dir": self.folder},
        )
        return command + ["-c", path]

    def alive(self):
        return self.process.poll() is None

    def last_log(self):
        with open(self.log, "rb") as f:
            lines = [line for line in f.read().decode("utf-8", "replace").strip().split("\n") if line.strip()]
        return lines[-1][:200] if lines else ""

    def why_not(self):
        status = self.process.poll()
        how = (
            "nobody listens on port %d after %d s" % (PORT, START_TIMEOUT)
            if status is None
            else "it ended with status %d" % status
        )
        return "the server did not start: %s; %s" % (how, self.last_log() or "no message")

    def close(self):
        stop(self.process)
        shutil.rmtree(self.folder, ignore_errors=True)


def fill_spool(folder, files):
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        shutil.rmtree(path) if os.path.isdir(path) and (not os.path.islink(path)) else os.unlink(path)
    for name, content in (files or {}).items():
        path = os.path.join(folder, name)
        if content == {"<dir>": True}:
            os.mkdir(path)
            continue
        if isinstance(content, dict) and "bytes_latin1" in content:
            data = content["bytes_latin1"].encode("latin1")
        else:
            data = (content if isinstance(content, str) else json.dumps(content)).encode()
        with open(path, "wb") as f:
            f.write(data)


def read_spool(folder):
    if not os.path.isdir(folder):
        return None
    out = {}
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        if os.path.isdir(path):
            out[name] = {"<dir>": True}
            continue
        with open(path, "rb") as f:
            text = re.sub(r', "by": "[^"]*"\}$', "}", f.read().decode("utf-8", "backslashreplace"))  # ours alone
        out[name] = {"text": text}
        try:
            out[name]["json"] = json.loads(text)
        except ValueError:
            pass
    return out
