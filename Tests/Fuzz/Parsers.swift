import HAProxyConfigGen
import SmartStack
import TestSupport
import YAMLConfig

@testable import AgentKit
@testable import Configure
@testable import HAProxyRuntime
@testable import Hacheck
@testable import NerveAgent
@testable import Reactor
@testable import Registry
@testable import SynapseAgent
@testable import ZooKeeper

/// Whatever reads bytes that others write, by name. A new parser is one row, and a folder of that name in `corpus`.
/// A row traps where a result is not what it must be.
let parsers: [String: @Sendable ([UInt8]) -> Void] = [
  // The registry.
  "registration": registration,
  "directory": directory,
  "etcd": { bytes in
    _ = EtcdReply(bytes)
    if let answer = JSONValue(bytes) { check(try? EtcdDiscovery.reading(answer)) }
  },
  "docker": { bytes in
    if let answer = JSONValue(bytes) { check(try? docker.reading(answer, of: docker.servers[0])) }
  },
  "marathon": { bytes in
    if let answer = JSONValue(bytes) { check(try? MarathonDiscovery.reading(answer, portIndex: 0)) }
  },
  "ec2": { _ = try? EC2Page($0) },
  "zookeeper": converse { peer in
    let opened = try? await WireConnection.open(
      to: peer, resuming: WireConnection.Session(), timeout: .seconds(60),
      metrics: ZooKeeperMetrics(nil, ensemble: "x"), clock: .system, onEvent: { _, _ in })
    guard let connection = opened else { return }
    connection.children("/a") { _ in }
    connection.data(of: ["/a/b", "/a/c"]) { if case .success(let all) = $0 { precondition(all.count == 2) } }
    connection.addWatches(["/a"]) { _ in }
    _ = await connection.ended()
  },
  "dns": { for type in RecordType.allCases { _ = NameRecords($0, type: type) } },

  // HTTP.
  "http-answer": httpAnswer,
  "http-request": httpRequest,
  "http-server": askServer,

  // Checks.
  "mysql": converse { peer in
    _ = await MySQLProbe(
      endpoint: peer, username: "u", password: "p", selectsOne: true, serverKey: .retrieved
    ).run(deadline: .seconds(60))
  },
  "smtp": converse { _ = await SMTPProbe(endpoint: $0, hello: "x").run(deadline: .seconds(60)) },
  "redis": converse {
    _ = await RedisProbe(endpoint: $0, password: "p", database: 1, key: "k").run(deadline: .seconds(60))
  },
  "amqp": converse { _ = await RabbitMQProbe(endpoint: $0).run(deadline: .seconds(60)) },
  "state-header": { bytes in
    let text = String(decoding: bytes, as: UTF8.self)
    if let port = (try? ServerState(haproxy: text))?.port { precondition((0...65_535).contains(port)) }
    _ = try? ServerState(nerve: text)
  },

  // HAProxy.
  "haproxy-reply": haproxyReply,
  "haproxy-alert": { bytes in
    let output = String(decoding: bytes, as: UTF8.self)
    for alert in CheckAlert.all(in: output, path: "/x.cfg") { precondition(alert.line.map { $0 >= 0 } ?? true) }
  },
  "stats-page": { bytes in
    for server in StatsPage(bytes)?.servers ?? [] {
      _ = server.isUp
      if let place = server.place { precondition((1...65_535).contains(place.port)) }
    }
  },

  // Files.
  "yaml": yaml,
  "json": json,
  "smartstack": smartstack,
  "mesos": { bytes in
    _ = MesosState(bytes)
    _ = EnvoyListeners(bytes)
  },
  "state-file": stateFile,
  "downtime": { bytes in
    let mark = Downtime(of: SpoolScope(fileName: "web"), contents: bytes)
    precondition(Downtime(of: mark.scope, contents: mark.fileContents) == mark)
  },
]

private let docker = DockerDiscovery(
  servers: [DockerDiscovery.Server(name: nil, host: "10.0.0.1", endpoint: .unix(path: "/x"))], image: "redis",
  port: 6379)

/// Only servers that may stand in HAProxy's file.
private func check(_ reading: RegistryReading?) { for backend in reading?.backends ?? [] { check(backend) } }

private func check(_ backend: Backend) {
  precondition(ServerText.isHost(backend.host) && (1...65_535).contains(backend.port))
  precondition(backend.serverName.isOneLine && !backend.serverName.contains(" "))
  precondition(backend.haproxyServerOptions?.isOneLine != false)
}

/// A registration in a node's data, in its name, and in Twitter's form; what is understood is understood again.
@Sendable private func registration(_ bytes: [UInt8]) {
  let name = String(decoding: bytes, as: UTF8.self)
  _ = try? RegistrationCodec.decodeServerset(payload: bytes, name: name, endpoint: "http")
  if let decoded = try? RegistrationCodec.decode(name: name) { check(decoded.backend) }
  guard let decoded = try? RegistrationCodec.decode(payload: bytes, name: "web_0000000001") else { return }
  check(decoded.backend)
  let again = try? RegistrationCodec.decode(
    payload: RegistrationCodec.payload(decoded.backend), name: "web_0000000001")
  precondition(again?.backend == decoded.backend)
}

/// What a directory's data says of the proxy: whatever is taken over is one line, and no line that listens.
@Sendable private func directory(_ bytes: [UInt8]) {
  guard let top = try? ConfigSection(YAMLDocument.parse(bytes, file: "f")),
    let section = try? top.optionalSection("haproxy")
  else { return }
  let entries = section.keys.map { (key: $0, lines: (try? section.node($0)?.strings()) ?? []) }
  let (settings, _) = ServiceSettings(service: "web").adding(registrySection: entries)
  let lines = settings.frontend + settings.backend + settings.listen
  precondition(lines.allSatisfy { $0.isOneLine && $0.split(separator: " ").first != "bind" })
  _ = try? ServiceSettings(service: "web", section: section)
}

/// An answer as one piece and in two; both are the same.
@Sendable private func httpAnswer(_ bytes: [UInt8]) {
  let limits = HTTPClientLimits(maxHeadBytes: 2048, maxBodyBytes: 512)
  func read(_ pieces: [[UInt8]]) -> HTTPResponse? {
    var reader = HTTPResponseReader(of: .unix(path: "/x"), limits: limits, isHead: false)
    for piece in pieces { guard (try? reader.consume(piece)) != nil else { return nil } }
    precondition(reader.response.body.count <= limits.maxBodyBytes)
    return reader.finish() ? reader.response : nil
  }
  let middle = bytes.count / 2
  precondition(read([bytes]) == read([Array(bytes[..<middle]), Array(bytes[middle...])]))
}

/// A target, a form's fields, and the head of a request.
@Sendable private func httpRequest(_ bytes: [UInt8]) {
  let lines = bytes.split(separator: 10, maxSplits: 2, omittingEmptySubsequences: false)
  let texts = lines.map { String(decoding: $0, as: UTF8.self) } + ["", ""]
  if case .check(let check) = RequestTarget(texts[0]) {
    precondition((0...65_535).contains(check.port) && check.service.isOneLine && !check.service.contains("/"))
  }
  for type in [texts[1], "application/x-www-form-urlencoded", "multipart/form-data; boundary=B"] {
    let form = FormBody(query: texts[0], contentType: type, body: lines.count > 2 ? Array(lines[2]) : [])
    _ = try? SpoolRequest(form)
    guard let wanted = try? form.downtimeChange(now: 1000) else { continue }
    precondition(SpoolDirectory.isName(wanted.scope.description))
  }
}

@Sendable private func haproxyReply(_ bytes: [UInt8]) {
  let text = String(decoding: bytes, as: UTF8.self)
  _ = try? ProxyInfo(parsing: text)
  _ = try? RunningProxy.backends(in: text)
  _ = RunningProxy.closedFrontends(in: text)
  _ = try? MasterSocket.parse(text)
  func read(_ pieces: [[UInt8]]) -> [String] {
    var reader = ReplyReader(count: 3)
    for piece in pieces { try? reader.append(piece) { "x" } }
    return reader.texts
  }
  let middle = bytes.count / 2
  precondition(read([bytes]) == read([Array(bytes[..<middle]), Array(bytes[middle...])]))
}

/// What can be read can be written as JSON and read again.
@Sendable private func yaml(_ bytes: [UInt8]) {
  _ = try? bytes.expandingTemplate(file: "f", environment: ["A": "b"])
  guard let root = try? YAMLDocument(bytes, file: "f", limits: SourceFiles.limits).root else { return }
  // In a list, since JSON is read as JSON only with one at the top: YAML 1.1 takes the number 1e+20 for a text.
  let text = "[\(root.json())]"
  precondition(YAMLDocument.json(Array(text.utf8), file: "f")?.json() == text)
}

@Sendable private func json(_ bytes: [UInt8]) {
  for dialect in [JSONDialect.rfc8259, .python, .repairing] {
    _ = YAMLDocument.json(bytes, file: "f", dialect: dialect)
    guard let value = JSONValue(bytes, dialect: dialect) else { continue }
    precondition(JSONValue(Array(value.text().utf8), dialect: dialect) == value)
  }
}

@Sendable private func smartstack(_ bytes: [UInt8]) {
  guard let root = try? YAMLDocument(bytes, file: "smartstack.yaml", limits: SourceFiles.limits).root,
    let entries = try? root.entries()
  else { return }
  for entry in entries {
    for isListed in [false, true] {
      let types = isListed ? nil : ["region", "habitat"]
      let read = SmartStackReader.read(entry.value, name: "web.\(entry.name)", isListed: isListed, types: types)
      for mistake in read.mistakes { precondition(mistake.error.description.isOneLine) }
    }
  }
}

@Sendable private func stateFile(_ bytes: [UInt8]) {
  _ = ServerMemory(stateFile: bytes)
  let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\n").map { String($0) }
  for line in lines { _ = SavedSession(text: line) }
  let notes = JSONValue(bytes)?.object ?? JSONObject()
  onLoop {
    precondition(OwnNodes(lines: OwnNodes(lines: lines).lines).lines == OwnNodes(lines: lines).lines)
    _ = SynapseUpgradeState(InPlaceUpgradeState(notes: notes))
    _ = NerveUpgradeState(InPlaceUpgradeState(notes: notes))
  }
}
