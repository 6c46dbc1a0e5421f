"""A real ZooKeeper, and a client that is independent of the one under test."""
import os
import signal

from world.process import Process, exchange, wait_for, write

ZOOKEEPER_JAR = "/usr/share/java/zookeeper.jar"


class ZooKeeperServer:
    """One standalone ZooKeeper on 127.0.0.1:2181 of this world, or on all its addresses."""

    address = "127.0.0.1:2181"

    def __init__(self, folder, tick_ms=2000, max_session_ms=None, bind="127.0.0.1"):
        self.folder, self.process = folder, None
        os.makedirs(folder + "/data", exist_ok=True)
        settings = [
            f"tickTime={tick_ms}", f"dataDir={folder}/data", "clientPort=2181", f"clientPortAddress={bind}",
            "maxClientCnxns=0", "admin.enableServer=false", "4lw.commands.whitelist=*", "preAllocSize=1024"]
        if max_session_ms:
            settings.append(f"maxSessionTimeout={max_session_ms}")
        write(folder + "/zoo.cfg", "\n".join(settings) + "\n")
        write(folder + "/log4j.properties", "\n".join([
            "log4j.rootLogger=WARN, F", "log4j.appender.F=org.apache.log4j.FileAppender",
            f"log4j.appender.F.File={folder}/zookeeper.log", "log4j.appender.F.layout=org.apache.log4j.PatternLayout",
            "log4j.appender.F.layout.ConversionPattern=%d %p %c{1} %m%n"]) + "\n")

    def start(self, seconds=60):
        self.process = Process(
            ["java", "-Xmx256m", "-Xshare:auto", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC",
             "-Dzookeeper.forceSync=no", "-Dzookeeper.jmx.log4j.disable=true",
             f"-Dlog4j.configuration=file:{self.folder}/log4j.properties", "-cp", f"{self.folder}:{ZOOKEEPER_JAR}",
             "org.apache.zookeeper.server.ZooKeeperServerMain", self.folder + "/zoo.cfg"],
            self.folder + "/zookeeper.out", cwd=self.folder)
        # `ruok` is answered before clients are served.
        wait_for("ZooKeeper serves", lambda: "Mode:" in self.ask("srvr"), seconds, while_alive=[self.process])
        return self

    def ask(self, word):
        """A four-letter word's answer, or '' when nobody answers."""
        try:
            return exchange(("127.0.0.1", 2181), word, timeout=2)
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


def zookeeper_client(timeout=30):
    """A kazoo client: independent of the client under test."""
    import logging

    from kazoo.client import KazooClient
    from kazoo.retry import KazooRetry
    logging.getLogger("kazoo").setLevel(logging.CRITICAL)
    client = KazooClient(
        hosts=ZooKeeperServer.address, timeout=timeout,
        connection_retry=KazooRetry(max_tries=-1, delay=0.1, max_delay=0.5),
        command_retry=KazooRetry(max_tries=-1, delay=0.05, max_delay=0.5))
    client.start(timeout=30)
    return client
