"""The namespaces of a world: how one is made, entered and left."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from world.process import PATH, Trouble, write
from world.zookeeper import ZOOKEEPER_JAR

SYNAPSE_ADDRESS = "169.254.255.254"
SCRATCH = "SMARTSTACK_WORLD"
LIFELINE = "SMARTSTACK_WORLD_LIFELINE"


def namespace_command(argv, addresses=(SYNAPSE_ADDRESS,)):
    """The command line that runs argv in fresh namespaces (network, processes, mounts, host name), `addresses` on lo."""
    inner = "ip link set lo up && " + "".join(f"ip addr add {a}/32 dev lo && " for a in addresses) + 'exec "$@"'
    unshare = ["unshare", "--net", "--pid", "--fork", "--uts", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        unshare.append("--map-root-user")
    return [*unshare, "--", "/bin/sh", "-c", inner, "world", *argv]


def require_tools(*extra):
    wanted = ("unshare", "ip", "java", "haproxy", *extra)
    missing = [tool for tool in wanted if not shutil.which(tool, path=PATH)]
    if not os.path.exists(ZOOKEEPER_JAR):
        missing.append(ZOOKEEPER_JAR)
    if missing:
        raise Trouble(f"missing on this machine: {', '.join(missing)}; scripts/install-dependencies installs them")


def scratch():
    """The folder of the world this process runs in, or None outside."""
    return os.environ.get(SCRATCH)


def run_inside(argv, addresses=(SYNAPSE_ADDRESS,), prefix="smartstack."):
    """Runs argv in a new world, waits, removes its folder, and returns the exit status.

    SIGINT, SIGTERM and SIGHUP to this process end the world in an orderly way: it sees its lifeline close. Should this
    process be killed outright, the lifeline closes as well.
    """
    folder = tempfile.mkdtemp(prefix=prefix)
    os.chmod(folder, 0o755)
    reader, writer = os.pipe()
    environment = dict(os.environ, PATH=PATH, **{SCRATCH: folder, LIFELINE: str(reader)})
    world = subprocess.Popen(namespace_command(argv, addresses), env=environment, pass_fds=(reader,),
                             start_new_session=True)
    os.close(reader)

    def end(*_):
        nonlocal writer
        if writer is not None:
            os.close(writer)
            writer = None

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        write(f"{folder}/enter", _enter_script(world.pid), mode=0o755)
        status = world.wait()
    finally:
        world.kill()
        shutil.rmtree(folder, ignore_errors=True)
    return status if status >= 0 else 128 - status


def _enter_script(unshare_pid):
    """`enter COMMAND…` runs a command inside the world of this unshare process."""
    user = "" if os.geteuid() == 0 else "--user --preserve-credentials "
    return (f"#!/bin/sh\n# Runs a command inside this world, for example: enter curl http://{SYNAPSE_ADDRESS}:20001/\n"
            f"inside=$(cat /proc/{unshare_pid}/task/{unshare_pid}/children)\n"
            f'exec nsenter {user}--net --pid --mount --target "${{inside%% *}}" -- "$@"\n')


def call_this_host(name, address):
    """Inside a world: gives the host a name that resolves to `address`, as a host's name does."""
    hosts = scratch() + "/hosts"
    write(hosts, f"127.0.0.1 localhost\n{address} {name}\n")
    subprocess.run(["mount", "--bind", hosts, "/etc/hosts"], check=True)
    socket.sethostname(name)


def follow_lifeline(end):
    """Inside a world: calls `end` on a thread when the program that made the world is done with it."""
    reader = os.environ.pop(LIFELINE, None)
    if reader is None:
        return

    def wait():
        os.read(int(reader), 1)
        end()

    os.set_inheritable(int(reader), False)
    threading.Thread(target=wait, daemon=True).start()


def leave_nothing():
    """Inside a world, as its last act: removes its folder, in case the program that made it cannot any more."""
    shutil.rmtree(scratch(), ignore_errors=True)
