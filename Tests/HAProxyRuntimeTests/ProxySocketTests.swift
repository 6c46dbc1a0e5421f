import HAProxyConfigGen
import Logging
import Reactor
import SmartStack
import Testing

@testable import HAProxyRuntime

@Suite("one process, seen through its socket") @LoopActor struct ProxySocketTests {
  /// A HAProxy that deletes servers and lets go of one only when its last connection has ended.
  @Test("a server that could not be deleted is deleted later") func deletion() async throws {
    let deletions = Locked(0)
    let socket = ScriptedSocket([
      .reply { command in
        switch command {
        case "show info": return "Version: 2.6.14\nPid: 7\nStart_time_sec: 1"
        case "show stat -1 3 -1", "show stat -1 1 -1":
          return "# pxname,svname,status\nweb,BACKEND,UP"
        case "show servers state", "show servers state web":
          let isGone = deletions.withLock { $0 > 1 }
          let header =
            "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_port"
          let old = "\n2 web 9 old 10.0.0.9 0 1 1 1 80"
          return header + "\n2 web 1 one_10.0.0.1:80 10.0.0.1 2 0 1 1 80" + (isGone ? "" : old)
        case "del server web/old":
          return deletions.withLock { count in
            count += 1
            return count > 1 ? "Server deleted." : "Server still has connections attached to it, cannot remove it."
          }
        default: return ""
        }
      }
    ])
    var service = ServiceSettings(service: "web")
    service.backend = ["balance roundrobin"]
    var model = ProxyModel(settings: GeneratorSettings(), services: [service], memory: ServerMemory())
    model.apply(
      ServiceSnapshot(service: "web", backends: [Backend(name: "one", host: "10.0.0.1", port: 80)]), now: 1)
    let loaded = LoadedConfiguration(model)
    let proxy = ProxySocket(
      path: socket.path, master: nil, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
      metrics: Metrics(), loadedByOther: { _ in loaded })
    #expect(await proxy.apply(model, changed: nil) == .matches)
    #expect(deletions.withLock { $0 } == 1)
    // Nothing changes, so only an audit can ask for it.
    #expect(try await proxy.audit() == false)
    proxy.observeAgain()
    #expect(await proxy.apply(model, changed: nil) == .matches)
    #expect(deletions.withLock { $0 } == 2)
    proxy.observeAgain()
    #expect(await proxy.apply(model, changed: nil) == .matches)
    #expect(try await proxy.audit() == nil)
  }
}
