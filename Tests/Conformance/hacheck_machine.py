"""The machine that hacheck's cases run on: a loopback with a second address, and an /etc of its own."""

import fcntl
import os
import shutil
import socket
import struct
import subprocess

from hacheck_wire import HOST_IP, HOST_NAME

COPIED_ETC = (
    "passwd",
    "group",
    "nsswitch.conf",
    "ld.so.cache",
    "ld.so.conf",
    "localtime",
    "timezone",
    "protocols",
    "services",
    "host.conf",
    "gai.conf",
    "os-release",
    "debian_version",
    "locale.alias",
    "alternatives",
    "ssl/openssl.cnf",
)


def bring_up_lo():
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    name = b"lo".ljust(16, b"\x00")
    (flags,) = struct.unpack_from("H", fcntl.ioctl(sock, 35091, name + bytes(24)), 16)
    fcntl.ioctl(sock, 35092, name + struct.pack("H", flags | 1) + bytes(22))
    label = b"lo:9".ljust(16, b"\x00")
    address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(HOST_IP))
    fcntl.ioctl(sock, 35094, label + address + bytes(8))
    mask = struct.pack("HH4s8x", socket.AF_INET, 0, b"\xff\xff\xff\xff")
    fcntl.ioctl(sock, 35100, label + mask + bytes(8))
    sock.close()


def private_etc(etc):
    """Binds a copy of what programs need of /etc over it, with a host name of its own."""
    os.mkdir(etc)
    for name in COPIED_ETC:
        source, target = (os.path.join("/etc", name), os.path.join(etc, name))
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if os.path.islink(source):
            os.symlink(os.readlink(source), target)
        elif os.path.isdir(source):
            shutil.copytree(source, target, symlinks=True)
        elif os.path.exists(source):
            shutil.copy2(source, target)
    for name, text in (
        ("hosts", "127.0.0.1 localhost\n::1 localhost\n%s %s\n" % (HOST_IP, HOST_NAME)),
        ("hostname", HOST_NAME + "\n"),
        ("resolv.conf", "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"),
    ):
        with open(os.path.join(etc, name), "w") as f:
            f.write(text)
    subprocess.run(["mount", "--bind", etc, "/etc"], check=True)
    socket.sethostname(HOST_NAME)
