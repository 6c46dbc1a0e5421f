"""The scenarios: each breaks something, waits, mends it, and says what its fault excuses."""
import os
import shutil
import signal

from fleet import ADVISED, OTHER_ENSEMBLE, SERVICES
from network import CORE

SCENARIOS = {}
A_PORT, B_PORT = SERVICES["a"][0], SERVICES["b"][0]
# Seconds until HAProxy has asked a server again that it holds for down: `downinter`, spread by half of it, and a little.
ASKED_AGAIN = 30 * 1.5 + 5


def scenario(name, fast=False, options=None):
    """Options are those of configure_synapse that differ from the fleet's."""
    def keep(function):
        function.fast, function.options = fast, options or {}
        SCENARIOS[name] = function
        return function
    return keep


# --- The ensemble ---------------------------------------------------------------------------------------------------


@scenario("leader killed", fast=True)
def leader_killed(play):
    leader = play.fleet.ensemble.leader()
    leader.process.kill()
    play.wait(3)
    play.fleet.ensemble.start([leader])


@scenario("two of three killed")
def majority_killed(play):
    leader = play.fleet.ensemble.leader()
    gone = [leader, next(server for server in play.fleet.ensemble.servers if server is not leader)]
    for server in gone:
        server.process.kill()
    play.wait(play.session / 2)
    play.fleet.ensemble.start(gone)


@scenario("all killed and started again")
def all_restarted(play):
    play.fleet.ensemble.kill()
    play.fleet.ensemble.start()


@scenario("all stopped for a minute")
def all_stopped(play):
    play.fleet.ensemble.kill()
    play.wait(60)
    play.fleet.ensemble.start()


@scenario("all paused beyond sessions", fast=True)
def all_paused(play):
    """On resuming, servers first end what they think has expired, whoever is there."""
    play.fleet.ensemble.send(signal.SIGSTOP)
    play.wait(play.beyond_session)
    play.fleet.ensemble.send(signal.SIGCONT)


@scenario("all paused, and a task drained and stopped meanwhile")
def paused_and_drained(play):
    host = play.hosts[1]
    play.fleet.ensemble.send(signal.SIGSTOP)
    play.sessions_linger()
    host.command("hadown", "a.main")
    play.wait(play.beyond_session)
    play.leaves("a", host.name)
    play.fleet.ensemble.send(signal.SIGCONT)
    play.healed()
    host.command("haup", "a.main")
    play.comes("a", host.name, A_PORT)


@scenario("restarted empty", fast=True)
def restarted_empty(play):
    """The servers have lost everything: sessions, registrations, directories."""
    play.limits["missing"] = 5
    ensemble = play.fleet.ensemble
    ensemble.kill()
    for server in ensemble.servers:
        shutil.rmtree(server.folder + "/data/version-2")
    ensemble.start()


@scenario("restarted from a backup")
def restarted_from_backup(play):
    """The backup is older than some changes: a task that has come is not in it, one that has left is."""
    play.limits["missing"] = 5
    play.sessions_linger()
    ensemble, host = play.fleet.ensemble, play.hosts[1]
    for server in ensemble.servers:
        shutil.copytree(server.folder + "/data/version-2", server.folder + "/backup")
    host.command("hadown", "a.main")
    play.leaves("a", host.name)
    play.until_true("the drain is everywhere")
    ensemble.kill()
    for server in ensemble.servers:
        shutil.rmtree(server.folder + "/data/version-2")
        os.rename(server.folder + "/backup", server.folder + "/data/version-2")
    ensemble.start()
    play.healed()
    host.command("haup", "a.main")
    play.comes("a", host.name, A_PORT)


@scenario("moved behind the same names", fast=True)
def moved(play):
    play.limits["missing"] = 5
    play.spoils = True
    other = play.fleet.make_ensemble(OTHER_ENSEMBLE).start()
    play.fleet.ensemble.kill()
    play.fleet.ensemble = other
    play.fleet.move_names(OTHER_ENSEMBLE)
    play.observer.watch(other)


# --- The network ------------------------------------------------------------------------------------------------------


@scenario("loss of one packet in twenty to the ensemble")
def loss(play):
    with play.fleet.network.spoiled(CORE, loss=0.05):
        play.wait(2 * play.session)


@scenario("delay of 50 ms")
def delay(play):
    with play.fleet.network.spoiled(delay=0.05):
        play.wait(2 * play.session)


@scenario("a host behind 64 kbit/s to the ensemble")
def slow_link(play):
    with play.fleet.network.spoiled(play.hosts[1].name, CORE, rate=8000):
        play.wait(2 * play.session)


@scenario("ensemble unreachable for less than a session", fast=True)
def short_cut(play):
    play.fleet.network.cut(CORE)
    play.wait(play.session / 3)
    play.fleet.network.heal()


@scenario("all hosts cut off from the ensemble beyond sessions", fast=True)
def all_cut(play):
    play.fleet.network.cut(CORE)
    play.wait(play.beyond_session)
    play.fleet.network.heal()
    play.sessions_end(play.beyond_session)


@scenario("one host cut off from the ensemble beyond its session")
def one_cut(play):
    play.fleet.network.cut(play.hosts[1].name, CORE)
    play.wait(play.beyond_session)
    play.fleet.network.heal()
    play.sessions_end(play.beyond_session)


@scenario("a host that others cannot reach")
def unreachable(play):
    """Nothing is promised of the settings that configure_synapse writes by itself; they are measured."""
    cut_from_others(play)
    play.may_fail(0.05)


@scenario("a host that others cannot reach, as advised", options=ADVISED)
def unreachable_as_advised(play):
    cut_from_others(play)
    play.may_fail(0.005)


def cut_from_others(play):
    """The host reaches the ensemble, and stays registered."""
    play.limits["true again"] = ASKED_AGAIN
    host = play.hosts[1].name
    for other in play.hosts:
        if other.name != host:
            play.fleet.network.cut(host, other.name)
    play.wait(60)
    play.fleet.network.heal()


@scenario("all hosts cut off from everything beyond sessions, as advised", options=ADVISED)
def all_alone(play):
    """Each host has tasks of its own, which stay reachable."""
    seconds = max(60, play.beyond_session)
    play.may_fail(0.005)
    play.limits["true again"] = ASKED_AGAIN
    play.fleet.network.cut()
    play.wait(seconds)
    play.fleet.network.heal()
    play.sessions_end(seconds)


# --- The agents -------------------------------------------------------------------------------------------------------


@scenario("each agent killed", fast=True)
def agents_killed(play):
    for host in play.hosts:
        for agent in ("nerve", "synapse"):
            host.kill(agent)
            host.start_agent(agent)


@scenario("nerve killed and started beside configure_nerve --watch")
def started_beside_watch(play):
    """A task leaves while nerve is away: nobody stops the one that has come back."""
    host = play.hosts[1]
    watch = host.run("configure_nerve", "configure_nerve", "--watch", *host.nerve_options)
    play.wait(2)
    host.calls()
    host.kill("nerve")
    host.list_tasks([("b", B_PORT)])
    started = host.start_agent("nerve")
    play.leaves("a", host.name)
    play.until_true("the task has left")
    host.list_tasks([("a", A_PORT), ("b", B_PORT)])
    play.comes("a", host.name, A_PORT)
    # What has found nerve away for a moment tells a backup to stop that may be left from an earlier run.
    restarts = [call for call in host.calls() if call != "service nerve-backup stop"]
    play.must(f"nobody restarts nerve: {restarts}", started.alive() and not restarts)
    watch.send(signal.SIGTERM)
    watch.wait(20)
    host.running.pop("configure_nerve")


@scenario("synapse stopped beyond its session")
def stopped(play):
    """A task moves to another port meanwhile: one of the servers that the host's HAProxy has is gone."""
    client, host, port = play.hosts[0], play.hosts[1], A_PORT + 100
    # A request in flight to the task that is killed.
    play.excuse("status 502")
    client.running["synapse"].send(signal.SIGSTOP)
    move_task(play, host, A_PORT, port, play.hosts[1:])
    play.wait(2 * play.beyond_session)
    client.running["synapse"].send(signal.SIGCONT)
    play.healed()
    move_task(play, host, port, A_PORT, play.hosts)
    play.until_true("the task is back at its port")


def move_task(play, host, old, new, clients):
    host.start_task("a", new)
    host.configure_nerve([("a", new), ("b", B_PORT)])
    play.fleet.wanted["a"][host.name] = new
    play.observer.want(coming=[("a", host.name)])
    for client in clients:
        wanted = {f"{play.fleet.host(name).address}:{port}" for name, port in play.fleet.wanted["a"].items()}
        play.until("the new task is served, and no more the old one",
                   lambda client=client, wanted=wanted: client.in_rotation("a.main") == wanted)
    play.observer.want()
    host.kill(f"task {old}")
    host.running.pop(f"task {old}")


@scenario("agents killed while the ensemble is away")
def killed_during_outage(play):
    play.fleet.ensemble.send(signal.SIGSTOP)
    for host in play.hosts:
        for agent in ("nerve", "synapse"):
            host.kill(agent)
            host.start_agent(agent)
    play.wait(play.session / 2)
    play.fleet.ensemble.send(signal.SIGCONT)


@scenario("agents replaced while the ensemble is away", fast=True)
def upgraded_during_outage(play):
    play.fleet.ensemble.send(signal.SIGSTOP)
    for host in play.hosts:
        for agent in ("nerve", "synapse"):
            host.running[agent].send(signal.SIGUSR2)
    play.wait(play.session / 2)
    play.fleet.ensemble.send(signal.SIGCONT)
    for host in play.hosts:
        for agent in ("nerve", "synapse"):
            play.until(f"{agent} of {host.name} is replaced",
                       lambda host=host, agent=agent: "in-place upgrade started" in host.log(agent))


@scenario("drained while the ensemble is away")
def drained_during_outage(play):
    """The host's own hacheck answers at once; the registration goes when a server can be asked."""
    host = play.hosts[1]
    play.fleet.ensemble.kill()
    play.wait(1)
    host.command("hadown", "a.main")
    play.wait(play.session / 2)
    play.fleet.ensemble.start()
    play.leaves("a", host.name)
    play.healed()
    host.command("haup", "a.main")
    play.comes("a", host.name, A_PORT)


@scenario("synapse started without the ensemble, ports taken by another service", fast=True)
def stale_state(play):
    stale_memory(play, with_proxy=False)


@scenario("synapse and HAProxy started without the ensemble, ports taken by another service")
def stale_state_and_proxy(play):
    stale_memory(play, with_proxy=True)


def stale_memory(play, with_proxy):
    """A task of a leaves, and b has its port: what synapse remembers of a is b's by now."""
    client, host = play.hosts[0], play.hosts[1]
    host.configure_nerve([("b", B_PORT)])
    play.leaves("a", host.name)
    play.until_true("the task has left")
    # Both are killed: what is not on the disk by then, half a second later, is lost.
    play.until("HAProxy's file says so too", lambda: all(
        line.endswith(" disabled") for line in client.read("/run/synapse/haproxy.cfg").splitlines()
        if f"{host.address}:{A_PORT}" in line))
    host.kill(f"task {A_PORT}")
    host.start_task("b", A_PORT)
    play.fleet.ensemble.send(signal.SIGSTOP)
    client.kill("synapse")
    if with_proxy:
        # Nobody listens between the two: the host's own clients, and only they, are refused.
        play.excuse("refused")
        play.excuse("Reset")
        play.excuse("Disconnected")
        client.kill("haproxy")
        client.start_haproxy()
    client.start_agent("synapse")
    # In the long form synapse gives up waiting (first_data_deadline) and serves what it remembers.
    play.wait(play.beyond_session if play.is_short else 12)
    play.fleet.ensemble.send(signal.SIGCONT)
    play.healed()
    host.kill(f"task {A_PORT}")
    host.start_task("a", A_PORT)
    host.configure_nerve([("a", A_PORT), ("b", B_PORT)])
    play.comes("a", host.name, A_PORT)


# --- The disk -----------------------------------------------------------------------------------------------------------


@scenario("full disks", fast=True)
def full_disks(play):
    """Of the agents' folders, on every host, while a task leaves and comes back."""
    fills = [host.path(f"/run/{agent}/fill") for host in play.hosts for agent in ("nerve", "synapse")]
    for path in fills:
        with open(path, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 65536)
            except OSError:
                pass
    drain_and_back(play)
    for path in fills:
        os.unlink(path)


@scenario("read-only folders")
def read_only(play):
    """The agents' folders cannot be written, and a task leaves and comes back."""
    folders = ("/run/nerve", "/run/synapse")
    for host in play.hosts:
        for folder in folders:
            # A mount over it: files that are open stay writable, and nothing else.
            host.command("mount", "--bind", folder, folder)
            host.command("mount", "-o", "remount,bind,ro", folder)
    drain_and_back(play)
    for host in play.hosts:
        for folder in folders:
            host.command("umount", folder)


def drain_and_back(play):
    host = play.hosts[1]
    host.command("hadown", "a.main")
    play.leaves("a", host.name)
    play.until_true("the drain is everywhere")
    host.command("haup", "a.main")
    play.comes("a", host.name, A_PORT)
