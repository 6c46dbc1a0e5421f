import Glibc
import HAProxyConfigGen
import TestSupport
import Testing

@testable import HAProxyRuntime

@Suite("replies") struct ReplyTests {
  private func read(_ chunks: [String], count: Int) throws -> ReplyReader {
    var reader = ReplyReader(count: count)
    for chunk in chunks { try reader.append(Array(chunk.utf8)) { "x" } }
    return reader
  }

  @Test("the prompt separates replies, however the bytes arrive") func chunks() throws {
    let stream = "\n> \n> No such server.\n\n> Server deleted.\n> "
    let whole = try read([stream], count: 4)
    #expect(whole.texts == ["", "", "No such server.\n", "Server deleted."])
    for size in 1...7 {
      var chunks: [String] = []
      var rest = Substring(stream)
      while !rest.isEmpty {
        chunks.append(String(rest.prefix(size)))
        rest = rest.dropFirst(size)
      }
      #expect(try read(chunks, count: 4).texts == whole.texts)
    }
  }

  @Test("a reply without its end is incomplete") func short() throws {
    let reader = try read(["\n> No such server.\n\n>"], count: 2)
    #expect(!reader.isComplete)
    #expect(reader.count == 1)
  }

  @Test("show info tells version and process") func readsVersionAndProcess() throws {
    let info = try ProxyInfo(parsing: "Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nPid: 26484\nUptime_sec: 2\n\n")
    #expect(info.version == "2.6.12-1+deb12u4" && info.pid == 26484)
    #expect(
      throws: HAProxyRuntimeError.malformed(
        command: "show info", reason: "no line `Version:` or no line `Pid:`")
    ) { try ProxyInfo(parsing: "\n") }
  }

  static let states = """
    1
    # be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
    srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state \
    bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr \
    srv_agent_addr srv_agent_port
    3 a.main 7 x_127.0.0.1:9001 127.0.0.1 0 1 5 1 1 8 2 0 14 0 0 1 - 9001 - 0 0 - - 0
    3 a.main 2 y_127.0.0.1:9002 127.0.0.1 0 5 1 1 1 1 0 0 14 0 0 0 - 9002 - 0 0 - - 0
    4 b 1 q - 0 1 1 1 0 1 0 0 0 0 0 0 host 99 - 0 0 - - 0

    """

  @Test("show servers state tells the servers of every backend that has some") func readsServers() throws {
    let backends = try RunningProxy.backends(in: ReplyTests.states)
    #expect(
      backends == [
        "a.main": [
          "x_127.0.0.1:9001": RunningServer(
            id: 7, address: "127.0.0.1", port: 9001, weight: 5, adminState: .forcedMaintenance,
            checkState: CheckState(rawValue: 14)),
          "y_127.0.0.1:9002": RunningServer(
            id: 2, address: "127.0.0.1", port: 9002, adminState: [.forcedMaintenance, .configuredMaintenance],
            checkState: CheckState(rawValue: 14)),
        ],
        "b": [
          "q": RunningServer(id: 1, address: nil, port: 99, adminState: .forcedMaintenance)
        ],
      ])
    #expect(try RunningProxy.backends(in: "1\n\n").isEmpty)
    #expect(
      throws: HAProxyRuntimeError.malformed(
        command: "show servers state", reason: "no column srv_port")
    ) {
      try RunningProxy.backends(
        in: "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight\n")
    }
  }

  @Test("show stat tells the backends without servers, also behind quoted fields") func readsBackends() throws {
    let text = """
      # pxname,svname,status,last_chk,mode,algo,cookie,
      web,FRONTEND,OPEN,,http,,,
      web,a,UP,"L7OK, with ""quotes"" and
      a line end",http,,,
      web,BACKEND,UP,,http,roundrobin,SRV,
      tcp.main,BACKEND,UP,,tcp,leastconn,,

      """
    let info = try ProxyInfo(parsing: "Version: 2.6.12\nPid: 1\n")
    let proxy = try RunningProxy(info: info, sections: text, servers: "1\n")
    #expect(proxy.version == HAProxyVersion(2, 6, 12))
    #expect(proxy.backends == ["web": [:], "tcp.main": [:]])
    #expect(throws: HAProxyRuntimeError.self) {
      try RunningProxy(info: info, sections: "nothing of the kind\n", servers: "1\n")
    }
  }

  static let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
  static let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 10_000

  @Test("fuzz: whatever is sent, a parser ends with a value or an error") func fuzz() {
    var random = SeededGenerator(seed: ReplyTests.seed)
    let originals = [ReplyTests.states, "# pxname,svname,mode,algo\nweb,BACKEND,\"x\",y\n", "Version: 2.6\nPid: 1\n"]
    for _ in 0..<ReplyTests.rounds {
      var bytes = Array(originals[below(originals.count, &random)].utf8)
      for _ in 0..<below(12, &random) {
        let place = below(bytes.count + 1, &random)
        switch below(3, &random) {
        case 0: bytes.insert(UInt8(below(256, &random)), at: place)
        case 1: if place < bytes.count { bytes.remove(at: place) }
        default: bytes.insert(contentsOf: Array("\n# \",>".utf8).shuffled(using: &random), at: place)
        }
      }
      let text = String(decoding: bytes, as: UTF8.self)
      if let info = try? ProxyInfo(parsing: "Version: 2.6\nPid: 1\n") {
        _ = try? RunningProxy(info: info, sections: text, servers: text)
      }
      _ = try? RunningProxy.backends(in: text)
      _ = try? ProxyInfo(parsing: text)
      var reader = ReplyReader(count: 3)
      try? reader.append(bytes) { "x" }
      #expect(reader.count <= 3, "seed \(ReplyTests.seed)")
    }
  }

  private func below(_ limit: Int, _ random: inout SeededGenerator) -> Int { Int.random(in: 0..<limit, using: &random) }
}
