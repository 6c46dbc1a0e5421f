"""docs/getting-started.md, followed command by command."""
import os
import re
import signal

import guide
from example_hosts import Host
from example_stories import EXAMPLES, ROOT, Registry

GUIDE = f"{ROOT}/docs/getting-started.md"


def getting_started(bindir):
    """Getting started: each command of the guide prints what stands there."""
    Registry()
    host = Host("one-host", bindir)
    # What the package brings, and its first configurations.
    os.makedirs(host.path("/usr/share/doc/smartstack"), exist_ok=True)
    os.symlink(EXAMPLES, host.path("/usr/share/doc/smartstack/examples"))
    with open(f"{ROOT}/packaging/debian/smartstack.tmpfiles") as file:
        first = re.search(r'^f .* (\{"instance_id".*\})', file.read(), re.M).group(1)
    host.write("/etc/nerve/nerve.conf.json", first.replace("%H", host.name))
    with open(f"{ROOT}/packaging/share/synapse.conf.json") as file:
        host.write("/etc/synapse/synapse.conf.json", file.read())
    for agent in ("nerve", "synapse"):
        host.start(agent, agent, "-c", f"/etc/{agent}/{agent}.conf.json")
    host.start_haproxy()

    def play(command):
        """What only systemd and apt can do is played."""
        if command.startswith("apt "):
            return 0, ""
        if command.startswith("systemctl reload "):
            for agent in command.split()[2:]:
                host.must(agent, "validate", "--reload", f"/etc/{agent}/{agent}.conf.json")
                host.processes[agent].send(signal.SIGHUP)
            return 0, ""
        if command.endswith("&"):
            host.start(f"task-{len(host.processes)}", "sh", "-c", "exec " + command.rstrip("& "))
            return 0, ""
        host.write("/run/typed", command + "\n")  # a file, so that no process has it as its words
        return host.run("sh", "/run/typed")

    guide.follow(guide.steps(GUIDE), play)
