"""A real ZooKeeper, and a client that is independent of the one under test."""
import os
import signal

from world.process import Process, exchange, wait_for, write

JAVA = "/usr/share/java"
ZOOKEEPER_JAR = f"{JAVA}/zookeeper.jar"
# Debian's zookeeper.jar names all that a server needs but for TLS.
CLASSES = ":".join([ZOOKEEPER_JAR] + [f"{JAVA}/netty-{part}.jar" for part in (
    "buffer", "codec", "common", "handler", "resolver", "transport", "transport-native-epoll", "transport-native-unix-common")])


class ZooKeeperServer:
    """One ZooKeeper on port 2181 of an address of this world, or of all its addresses: alone, or one of an `Ensemble`."""

    address = "127.0.0.1:2181"
    program = "org.apache.zookeeper.server.ZooKeeperServerMain"

    def __init__(self, folder, tick_ms=2000, max_session_ms=None, bind="127.0.0.1", members=(), observers=(),
                 certificate=None):
        """`certificate`: a PEM file with its key; the server then speaks TLS only, on port 2281, and answers no question."""
        self.folder, self.process = folder, None
        self.host = "127.0.0.1" if bind == "0.0.0.0" else bind
        os.makedirs(folder + "/data", exist_ok=True)
        settings = [
            f"tickTime={tick_ms}", f"dataDir={folder}/data", "clientPort=2181", f"clientPortAddress={bind}",
            "maxClientCnxns=0", "admin.enableServer=false", "4lw.commands.whitelist=*", "preAllocSize=1024"]
        if certificate:
            settings = [line for line in settings if not line.startswith("clientPort")]
            settings += ["secureClientPort=2281", f"secureClientPortAddress={bind}", f"ssl.keyStore.location={certificate}",
                         f"ssl.trustStore.location={certificate}", "ssl.clientAuth=none",
                         "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory"]
        if max_session_ms:
            settings.append(f"maxSessionTimeout={max_session_ms}")
        if members:
            self.program = "org.apache.zookeeper.server.quorum.QuorumPeerMain"
            settings += ["initLimit=20", "syncLimit=10"]
            settings += [f"server.{number}={host}:2888:3888" + (":observer" if host in observers else "")
                         for number, host in enumerate(members, 1)]
            settings += ["peerType=observer"] * (bind in observers)
            write(folder + "/data/myid", f"{members.index(bind) + 1}\n")
        write(folder + "/zoo.cfg", "\n".join(settings) + "\n")
        write(folder + "/log4j.properties", "\n".join([
            "log4j.rootLogger=WARN, F", "log4j.appender.F=org.apache.log4j.FileAppender",
            f"log4j.appender.F.File={folder}/zookeeper.log", "log4j.appender.F.layout=org.apache.log4j.PatternLayout",
            "log4j.appender.F.layout.ConversionPattern=%d %p %c{1} %m%n"]) + "\n")

    def launch(self):
        """Starts the process; it serves later."""
        self.process = Process(
            ["java", "-Xmx256m", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
             "-Dzookeeper.forceSync=no", "-Dzookeeper.jmx.log4j.disable=true",
             f"-Dlog4j.configuration=file:{self.folder}/log4j.properties", "-cp", f"{self.folder}:{CLASSES}",
             self.program, self.folder + "/zoo.cfg"],
            self.folder + "/zookeeper.out", cwd=self.folder)

    def start(self, seconds=60):
        self.launch()
        return self.serves(seconds)

    def serves(self, seconds=60):
        """Waits until clients are served; `ruok` is answered before."""
        wait_for("ZooKeeper serves", lambda: "Mode:" in self.ask("srvr"), seconds, while_alive=[self.process])
        return self

    def ask(self, word, timeout=2):
        """A four-letter word's answer, or '' when nobody answers."""
        try:
            return exchange((self.host, 2181), word, timeout=timeout)
        except OSError:
            return ""

    def ephemerals(self):
        """Paths of all ephemeral nodes."""
        return sorted(line.strip() for line in self.ask("dump").splitlines() if line.startswith("\t/"))

    def stop(self, number=signal.SIGTERM):
        if self.process and self.process.alive():
            self.process.send(number)
            if self.process.wait(15) is None:
                self.process.kill()


class Ensemble:
    """Several ZooKeepers, one on each of these addresses of this world; those that only observe do not vote."""

    def __init__(self, folder, hosts, tick_ms, max_session_ms, observers=()):
        members = (*hosts, *observers)
        self.servers = [ZooKeeperServer(f"{folder}/{host}", tick_ms, max_session_ms, host, members, observers)
                        for host in members]

    def start(self, servers=None):
        """Starts all of them, or those given, and returns when they serve."""
        servers = self.servers if servers is None else servers
        for server in servers:
            server.launch()
        for server in servers:
            server.serves()
        return self

    def leader(self):
        return wait_for("somebody leads", lambda: next(
            (server for server in self.servers if "Mode: leader" in server.ask("srvr", timeout=0.5)), None))

    def send(self, number):
        for server in self.servers:
            server.process.send(number)

    def kill(self):
        for server in self.servers:
            if server.process:
                server.process.kill()


def zookeeper_client(timeout=30, hosts=ZooKeeperServer.address, **tls):
    """A kazoo client: independent of the client under test."""
    import logging

    from kazoo.client import KazooClient
    from kazoo.retry import KazooRetry
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)
    client = KazooClient(
        hosts=hosts, timeout=timeout, **tls,
        connection_retry=KazooRetry(max_tries=-1, delay=0.1, max_delay=0.5),
        command_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.5))
    client.start(timeout=60)
    return client
