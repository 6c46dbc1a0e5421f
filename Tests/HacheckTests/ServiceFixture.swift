import Glibc
import Logging
import Reactor
import SmartStack
import TestSupport
import Testing
import YAMLConfig

@testable import Hacheck

/// A hacheck on a free port of 127.0.0.1, with a spool of its own.
@LoopActor final class ServiceFixture {
  let directory = TemporaryDirectory()
  let service: HacheckService
  let metrics = Metrics()
  let port: Int

  init(clock: LoopClock = .system, _ configure: (inout HacheckConfiguration) -> Void = { _ in }) throws {
    var configuration = HacheckConfiguration()
    configuration.ports = [0]
    configuration.bindAddress = "127.0.0.1"
    configuration.spoolRoot = directory.path
    configuration.hostAddress = "127.0.0.9"
    // Far away, so that a slow machine changes no answer.
    (configuration.healthcheckTimeout, configuration.cacheTime) = (.seconds(3600), .seconds(3600))
    configure(&configuration)
    service = HacheckService(configuration: configuration, clock: clock, logger: .quiet, metrics: metrics)
    try service.open()
    port = try service.listen()[0]
  }

  isolated deinit { service.stop() }

  func get(_ target: String, _ headers: [String: String] = [:], method: String = "GET") async throws -> HTTPResponse {
    let fields = headers.map { HTTPHeader(name: $0.key, value: $0.value) }
    let request = HTTPRequest(
      method: method, endpoint: .tcp(host: "127.0.0.1", port: port), target: target, headers: fields)
    return try await HTTPClient.send(request, deadline: .seconds(300))
  }

  func post(_ target: String, _ form: String) async throws -> HTTPResponse {
    let type = HTTPHeader(name: "Content-Type", value: "application/x-www-form-urlencoded")
    let request = HTTPRequest(
      method: "POST", endpoint: .tcp(host: "127.0.0.1", port: port), target: target, headers: [type],
      body: Array(form.utf8))
    return try await HTTPClient.send(request, deadline: .seconds(300))
  }

  func write(_ text: String, mark name: String) { writeFile("\(directory.path)/\(name)", text) }
}

extension HTTPResponse {
  var text: String { String(decoding: body, as: UTF8.self) }
}

/// A service to be checked: answers as its closure says, and remembers what it was asked.
@LoopActor final class Backend {
  /// One request, as it arrived.
  struct Request {
    let target: String
    fileprivate let fields: [String: [String]]

    func header(_ name: String) -> String? { fields[name]?.first }
    func headers(_ name: String) -> [String] { fields[name] ?? [] }
  }

  private(set) var requests: [Request] = []
  private(set) var port = 0
  private var listener: HTTPListener?

  init(address: String = "127.0.0.1", _ answer: @escaping @LoopActor (HTTPExchange) -> Void) throws {
    let listener = HTTPListener { [weak self] exchange in
      // An exchange that was answered has forgotten its headers.
      let names = ["Host", "User-Agent", "Content-Length", "X-Foo", "X-Bar", "X-Svc"]
      let fields = Dictionary(uniqueKeysWithValues: names.map { ($0, exchange.headers($0)) })
      self?.requests.append(Request(target: exchange.target, fields: fields))
      answer(exchange)
    }
    if case .tcp(_, let port) = try listener.listen(on: .tcp(host: address, port: 0)) { self.port = port }
    self.listener = listener
  }

  convenience init(address: String = "127.0.0.1", status: Int = 200, text: String = "hello") throws {
    try self.init(address: address) { $0.respond(status: status, text: text) }
  }

  isolated deinit { listener?.close() }
}

/// A TCP service that says what a script says: the odd ones.
///
/// `@unchecked Sendable`: the descriptor is set once and closed once; the thread only accepts on it.
final class ScriptedServer: @unchecked Sendable {
  enum Step: Sendable {
    case send(String)
    /// Waits for something from the client.
    case receive
  }

  let port: Int
  fileprivate let descriptor: Int32
  fileprivate let script: [Step]

  /// - Parameters:
  ///   - script: nil accepts connections, in the kernel only, and never says a word.
  ///   - isListening: false keeps the port, so that nobody else gets it, and refuses connections.
  init(_ script: [Step]?, isListening: Bool = true) {
    let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_addr.s_addr = inet_addr("127.0.0.1")
    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
    let bound = withUnsafeMutablePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
        bind(descriptor, name, length) == 0 && (!isListening || listen(descriptor, 512) == 0)
          && getsockname(descriptor, name, &length) == 0
      }
    }
    precondition(bound, "no port for a scripted server")
    port = Int(UInt16(bigEndian: address.sin_port))
    self.descriptor = descriptor
    self.script = script ?? []
    guard script != nil else { return }
    var thread = pthread_t()
    let started = pthread_create(&thread, nil, runScript, Unmanaged.passRetained(self).toOpaque())
    precondition(started == 0, "no thread for a scripted server")
    pthread_detach(thread)
  }

  /// Ends the thread and frees the port.
  func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }

  deinit { close(descriptor) }

  /// A port on which nobody listens, for as long as the tests run.
  static let refusing = ScriptedServer(nil, isListening: false)
}

private func runScript(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  guard let context else { return nil }
  let server = Unmanaged<ScriptedServer>.fromOpaque(context).takeRetainedValue()
  while true {
    let client = accept(server.descriptor, nil, nil)
    guard client >= 0 else { return nil }
    for step in server.script {
      var buffer = [UInt8](repeating: 0, count: 4096)
      switch step {
      case .send(let text): _ = send(client, text, text.utf8.count, Int32(MSG_NOSIGNAL))
      case .receive: _ = recv(client, &buffer, buffer.count, 0)
      }
    }
    close(client)
  }
}

extension Spool {
  func down(_ scope: SpoolScope, reason: String, expiration: Double? = nil, creation: Double? = nil) async throws {
    try await apply(.down(reason: reason, expiration: expiration, creation: creation), to: scope)
  }

  func up(_ scope: SpoolScope) async throws { try await apply(.up, to: scope) }
}

extension HacheckService {
  func down(_ scope: SpoolScope, reason: String, expiration: Double? = nil, creation: Double? = nil) async throws {
    try await engine.spool.down(scope, reason: reason, expiration: expiration, creation: creation)
  }

  func up(_ scope: SpoolScope) async throws { try await engine.spool.up(scope) }

  /// The answer to a question without a socket and without headers.
  func check(_ path: CheckPath) async -> CheckOutcome {
    do {
      let question = try engine.question(path, headers: .list([]), peer: "127.0.0.1")
      if let outcome = engine.answerAtOnce(question) { return outcome }
      return await engine.answerLater(question, headers: .list([]))
    } catch {
      return CheckOutcome(code: error.status, error.sentence)
    }
  }
}

extension CheckOutcome {
  var text: String { String(decoding: body, as: UTF8.self) }
}

/// The settings of a check as nerve reads them: `text` is the entry of `checks` without its braces.
func probeSettings(_ text: String) throws -> any ProbeSettings {
  let document = try YAMLDocument(Array("{\(text)}".utf8), file: "test")
  let section = try ConfigSection(document.root)
  let kind = try section.choice("type", of: ProbeKind.self)
  let target = ProbeTarget(
    service: "web", check: try section.string("name", default: "c"),
    host: try section.string("host", default: "10.0.0.5"), port: try section.int("port", default: 3000))
  let settings = try kind.read(section, target: target)
  #expect(section.unknownKeys().map(\.description) == [])
  return settings
}

extension Probe {
  /// What nerve makes of one run.
  @LoopActor func judged(deadline: Duration) async -> (passed: Bool, detail: String) {
    judge(await run(deadline: deadline))
  }
}
