"""A private world on this machine: namespaces of its own, a real ZooKeeper, a real HAProxy, and what talks to them.

Nothing leaves the world: its only interface is lo. When the program that made it ends, for whatever reason, every
process in it ends too. Works as root and, where the kernel allows user namespaces, without.
"""
from world.client import SteadyClient, start_task
from world.haproxy import HAPROXY, HAProxy, HAProxySession, in_rotation
from world.machine import Machine
from world.namespace import (
    SCRATCH,
    SYNAPSE_ADDRESS,
    call_this_host,
    follow_lifeline,
    leave_nothing,
    namespace_command,
    require_tools,
    run_inside,
    scratch,
)
from world.process import PATH, Process, Trouble, die_with_parent, exchange, tail, wait_for, write
from world.status_server import StatusServer
from world.zookeeper import Ensemble, ZooKeeperServer, zookeeper_client

__all__ = [
    "HAPROXY", "PATH", "SCRATCH", "SYNAPSE_ADDRESS", "Ensemble", "HAProxy", "HAProxySession", "Machine", "Process",
    "StatusServer", "SteadyClient", "Trouble", "ZooKeeperServer", "call_this_host", "die_with_parent", "exchange",
    "follow_lifeline", "in_rotation", "leave_nothing", "namespace_command", "require_tools", "run_inside", "scratch",
    "start_task", "tail", "wait_for", "write", "zookeeper_client",
]
