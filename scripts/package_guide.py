"""docs/getting-started.md and docs/install.md, followed command by command on a Debian that has nothing yet."""
import os
import shutil
import subprocess
import tempfile

import guide
from package_host import AGENTS, HOST, NAME, UNITS, WRITERS, few_connections, tell

import world
from world import wait_for
from world.debian_machine import DebianMachine

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
# What the documents install besides the package, and what a host of an operator has.
MORE = ("zookeeperd", "curl", "procps", "python3")
# apt asks nothing; only what is in its cache.
APT = 'APT::Get::Assume-Yes "true";\nAPT::Install-Recommends "false";\nDpkg::Options { "--force-confdef"; };\n'
EXAMPLE = "/usr/share/doc/smartstack/examples/region"


class Documents:
    """The two documents, each on a machine of its own in one network."""

    def __init__(self, base, packages):
        self.base, self.package, self.machine = base, os.path.basename(packages[0]), None

    def run(self):
        self.getting_started()
        self.install()
        self.without_systemd()

    def start(self, name, first="/lib/systemd/systemd"):
        self.machine = machine = DebianMachine(self.base, world.scratch(), name, HOST)
        machine.write("/etc/apt/apt.conf.d/90-in-a-test", APT)
        shutil.copy(f"{machine.root}/{self.package}", f"{machine.root}/root")
        if first == "/init":
            machine.write("/init", "#!/bin/sh\nexec sleep infinity\n")
            os.chmod(machine.root + "/init", 0o755)
        return machine.start(first)

    def type(self, command):
        """A line at root's prompt: (exit status, what it printed). In a file, so that no process has it as its words."""
        self.machine.write("/root/.typed", command + "\n")
        with tempfile.TemporaryFile("w+", errors="replace") as output:
            # A file and no pipe: what the command leaves running may keep it open.
            status = subprocess.run(
                self.machine.command("env", "--chdir=/root", "HOME=/root", "DEBIAN_FRONTEND=noninteractive", "sh", ".typed"),
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, timeout=300,
                env={"PATH": world.PATH, "LC_ALL": "C.UTF-8"}).returncode
            output.seek(0)
            return status, output.read()

    def getting_started(self):
        self.start(NAME)
        steps = guide.steps(f"{ROOT}/docs/getting-started.md")
        guide.follow(steps, self.type)
        self.machine.stop()
        tell(f"docs/getting-started.md: {len(steps)} commands print what stands there")

    def install(self):
        self.start("west-2")
        self.type("apt install curl")
        steps = [step for step in guide.steps(f"{ROOT}/docs/install.md") if not step.section.startswith("Without systemd")]

        def play(command):
            if command.startswith("make "):
                return 0, ""  # elsewhere: the package is here
            if command.startswith("systemctl start configure-"):
                self.services_arrive()
            return self.type(command)
        guide.follow(steps, play)
        for unit in UNITS:
            wait_for(f"{unit} runs", lambda unit=unit: self.machine.status("systemctl", "is-active", unit) == 0)
        self.machine.stop()
        subprocess.run(["ip", "address", "del", f"{world.SYNAPSE_ADDRESS}/32", "dev", "lo"], check=True)
        tell(f"docs/install.md: {len(steps)} commands do what stands there")

    def services_arrive(self):
        """examples/region, as its README has it."""
        few_connections(self.machine)
        world.start_task("web", 8001, f"{world.scratch()}/task.log")
        self.machine.do("sh", "-c", f"cp -r {EXAMPLE}/nail/. /nail/ && cp -r {EXAMPLE}/etc/nerve /etc/ && "
                        "sed -i s/10.0.0.254/127.0.0.1/ /nail/etc/zookeeper_discovery/infrastructure/*")

    def without_systemd(self):
        self.start("container", "/init")
        self.machine.install(f"/root/{self.package}")
        steps = [step for step in guide.steps(f"{ROOT}/docs/install.md") if step.section.startswith("Without systemd")]
        guide.follow(steps, self.type)
        for agent in AGENTS:
            wait_for(f"{agent} status ends with 0", lambda agent=agent: self.machine.status(agent, "status") == 0)
        tell(f"docs/install.md without systemd: {len(steps)} commands do what stands there")

    def show_logs(self):
        if self.machine and self.machine.process and self.machine.process.alive():
            units = [word for unit in (*UNITS, *WRITERS) for word in ("--unit", unit)]
            print(self.machine.ask("journalctl", "--no-pager", "-n", "60", *units), flush=True)
