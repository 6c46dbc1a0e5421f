"""docs/getting-started.md, followed command by command."""
import os
import re
import signal

from example_hosts import Host
from example_stories import EXAMPLES, ROOT, Registry

from world import Trouble, wait_for

GUIDE = f"{ROOT}/docs/getting-started.md"


def steps():
    """(command, expected output) of each line that begins with `$`; the output as a regular expression."""
    found = []
    with open(GUIDE) as file:
        for line in file.read().splitlines():
            if line.startswith("    $ "):
                found.append((line[6:], []))
            elif line.startswith("    ") and found:
                found[-1][1].append(line[4:])
    return [(command, "\n".join(".*".join(map(re.escape, line.split("…"))) for line in lines)) for command, lines in found]


def loose(expected):
    """Columns are as wide as what stands in them."""
    return re.sub(r"(\\ ){2,}", r"\\s+", expected)


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
        """The command's output; what only systemd and apt can do is played."""
        if command.startswith("apt "):
            return "…"
        if command.startswith("systemctl reload "):
            for agent in command.split()[2:]:
                host.must(agent, "validate", "--reload", f"/etc/{agent}/{agent}.conf.json")
                host.processes[agent].send(signal.SIGHUP)
            return ""
        if command.endswith("&"):
            host.start(f"task-{len(host.processes)}", "sh", "-c", "exec " + command.rstrip("& "))
            return ""
        return host.run("sh", "-c", command)[1]

    for command, expected in steps():
        pattern = re.compile(loose(expected))

        def fits(command=command, pattern=pattern, seen=[]):  # noqa: B006 the last output, for the message
            seen[:] = [play(command).strip()]
            return pattern.fullmatch(seen[0])

        if not expected:
            play(command)
            continue
        try:
            wait_for(f"`{command}` prints what the guide says", fits, pause=0.2)
        except Trouble as trouble:
            raise Trouble(f"{trouble}\n  wanted: {expected}\n  last: {play(command)}") from None
