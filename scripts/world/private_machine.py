"""A machine of one case's own: private /etc, /run and /nail, a host name with an address, stub programs.

The tools read absolute paths (/nail/etc, /etc/nerve, /etc/paasta); here each case has its own of them. Inside a world
only: the process that enters does not come back.
"""

import ctypes
import http.server
import os
import signal
import socket
import subprocess
import threading

HOST, HOST_IP = "itesthost.itestdomain", "10.0.0.1"
WORK = "/case"
_libc = ctypes.CDLL(None, use_errno=True)
_NEWNS, _NEWUTS, _NEWNET, _BIND, _REC, _PRIVATE = 0x20000, 0x4000000, 0x40000000, 4096, 16384, 0x40000


def _system(result, what):
    if result != 0:
        raise OSError(ctypes.get_errno(), f"{what}: {os.strerror(ctypes.get_errno())}")


def _mount(source, target, kind, flags, data=None):
    encoded = [value.encode() if value is not None else None for value in (source, target, kind)]
    _system(_libc.mount(*encoded, flags, data), f"mount {target}")


def put(path, text, mode=0o644):
    """Writes a file; None is a link that leads nowhere."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    if text is None:
        os.symlink("/nonexistent/target", path)
        return
    with open(path, "w", encoding="utf-8", newline="") as file:
        file.write(text)
    os.chmod(path, mode)


def read(path):
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return None


def enter(root, addresses=(HOST_IP,)):
    """Makes `root` this process's /: everything of this machine but /etc, /run and /nail."""
    _system(_libc.unshare(_NEWNS | _NEWUTS | _NEWNET), "unshare")
    _mount(None, "/", None, _REC | _PRIVATE)
    _mount("case", root, "tmpfs", 0, b"mode=755")
    top = "/" + root.strip("/").split("/")[0]
    for name in os.listdir("/"):
        source, target = "/" + name, f"{root}/{name}"
        if name in ("etc", "run", "nail"):
            continue
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
        elif os.path.isdir(source):
            os.mkdir(target)
            _mount(source, target, None, _BIND | (0 if source == top else _REC))
    for folder in ("etc", "run", "nail/etc/services", WORK[1:], ".etc"):
        os.makedirs(f"{root}/{folder}")
    _mount("/etc", root + "/.etc", None, _BIND)
    own = {
        "hosts": "127.0.0.1 localhost\n%s %s %s\n" % (HOST_IP, HOST, HOST.split(".")[0]),
        "hostname": HOST + "\n",
        "resolv.conf": "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n",
        "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    }
    for name in os.listdir("/etc"):
        if name not in own and name not in ("nerve", "synapse", "paasta"):
            os.symlink("/.etc/" + name, f"{root}/etc/{name}")
    for name, text in own.items():
        put(f"{root}/etc/{name}", text)
    os.chroot(root)
    os.chdir("/")
    _system(_libc.sethostname(HOST.encode(), len(HOST)), "sethostname")
    batch = "link set lo up\n" + "".join(f"address add {address}/32 dev lo\n" for address in addresses)
    subprocess.run(["ip", "-batch", "-"], input=batch, text=True, check=True, stdout=subprocess.DEVNULL)


def stub(name, body=""):
    """A program that notes its arguments in `calls`."""
    put(f"{WORK}/bin/{name}", f'#!/bin/sh\necho "{name}${{*:+ }}$*" >> {WORK}/calls\n{body}\n', 0o755)


def calls():
    """What the stubs were called with, one line per call."""
    return [line.replace(WORK + "/bin/", "") for line in (read(WORK + "/calls") or "").splitlines()]


def run_program(argv, limit=30, env=None):
    """Runs the program under test; exit status, standard output and standard error."""
    environment = {"PATH": WORK + "/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "LANG": "C.UTF-8", **(env or {})}
    environment.update({k: os.environ[k] for k in ("LD_LIBRARY_PATH",) if k in os.environ})
    process = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd="/",
        start_new_session=True,
    )
    try:
        out, err = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return None, "", f"did not end within {limit} s"
    return process.returncode, out.decode("utf-8", "replace"), err.decode("utf-8", "replace")


class _Answers(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append(self.path)
        status, body = self.server.answer(self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def server_bind(self):
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = self.server_address


def serve(address, port, answer):
    """A scripted HTTP server: answer(path) -> (status, body); `seen` has the paths asked for."""
    server = _Server((address, port), _Answers)
    server.answer, server.seen = answer, []
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server
