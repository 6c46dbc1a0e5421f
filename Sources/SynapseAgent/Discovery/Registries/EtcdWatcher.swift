internal import Logging
internal import Reactor
internal import SmartStack

/// A `discovery` section with method etcd.
public struct EtcdDiscovery: Hashable, Sendable {
  /// Members of one etcd, tried in turn; at least one. Their targets do not count.
  public var members: [WebAddress]
  /// Registrations are all keys below it, at any depth; without a trailing slash.
  public var path: String
  /// `check_interval`: how often everything is read even if no change was heard of.
  public var interval: Duration = .seconds(60)
}

/// Follows the keys below one path of an etcd 3, through its JSON gateway.
///
/// A watch only tells that something has changed; then everything is read. So a lost watch loses nothing.
@LoopActor final class EtcdWatcher: ServiceWatcher {
  /// For a connection and the first words of an answer.
  private static let patience: Duration = .seconds(5)

  let name: String
  private let discovery: EtcdDiscovery
  private let poll: PollWatcher
  private let client: EtcdReader
  private let clock: LoopClock
  private let logger: Logger
  private let retrying = RetryPolicy(base: .milliseconds(500), limit: .seconds(10))

  init(service: ServiceConfiguration, discovery: EtcdDiscovery, context: AgentContext) {
    name = service.name
    self.discovery = discovery
    clock = context.clock
    logger = context.logger
    let client = EtcdReader(discovery.members)
    self.client = client
    let part = PolledPart(place: "etcd \(discovery.members.map(\.description).joined(separator: ","))") {
      let request = EtcdRange(below: discovery.path)
      return try EtcdAnswer.reading(try await client.post("/v3/kv/range", request.rangeBody), below: discovery.path)
    }
    poll = PollWatcher(
      service: service, schedule: PollSchedule(interval: discovery.interval), parts: [part], context: context)
  }

  func run(_ publish: @escaping @LoopActor (ServiceSnapshot) -> Void) async throws {
    let watching = Task { @LoopActor [weak self] in await self?.watch() }
    try await poll.run(publish)
    watching.cancel()
    await watching.value
  }

  /// Every end of a watch is followed by another one; the reading says in the log what is wrong with an etcd.
  private func watch() async {
    var failures = 0
    while !Task.isCancelled {
      do {
        let request = client.request("/v3/watch", EtcdRange(below: discovery.path).watchBody)
        // Each answer is a reason to read: `created`, too, since nothing was heard of before it.
        _ = try await HTTPClient.lines(of: request, patience: EtcdWatcher.patience) { _ in
          failures = 0
          poll.wake()
        }
      } catch {
        logger.debug("etcd's watch has ended", with: [.service: name, .reason: "\(error)"])
      }
      client.tryNext()
      guard (try? await clock.sleep(for: retrying.delay(attempt: failures))) != nil else { return }
      failures += 1
    }
  }
}

/// Sends requests to the members of one etcd in turn, beginning with the one that answered last.
@LoopActor private final class EtcdReader {
  private let members: [WebAddress]
  private var current = 0

  init(_ members: [WebAddress]) { self.members = members }

  func tryNext() { current = (current + 1) % members.count }

  /// A request to the member whose turn it is.
  func request(_ target: String, _ body: String) -> HTTPRequest {
    let member = members[current]
    return HTTPRequest(
      method: "POST", endpoint: member.endpoint, tls: member.tls, target: target,
      headers: [HTTPHeader(name: "Content-Type", value: "application/json")], body: Array(body.utf8))
  }

  /// The first answer of a member that has one.
  /// - Throws: what the last one threw.
  func post(_ target: String, _ body: String) async throws -> JSONValue {
    for _ in members.dropLast() {
      do { return try await RegistryAnswer.json(request(target, body)) } catch let error as CancellationError {
        throw error
      } catch { tryNext() }
    }
    do { return try await RegistryAnswer.json(request(target, body)) } catch {
      tryNext()
      throw error
    }
  }
}

/// All keys below one path: keys are base64 text in this JSON.
struct EtcdRange: Equatable, Sendable {
  private let key: String
  private let end: String

  /// - Parameter path: without a trailing slash.
  init(below path: String) {
    key = Base64.text(Array((path + "/").utf8))
    // The first key that does not begin with `path/`: a zero follows the slash in ASCII.
    end = Base64.text(Array((path + "0").utf8))
  }

  var rangeBody: String { "{\"key\":\"\(key)\",\"range_end\":\"\(end)\"}" }
  var watchBody: String { "{\"create_request\":\(rangeBody)}" }
}

/// What etcd's JSON gateway says to a range request.
enum EtcdAnswer {
  /// - Throws: ``RegistryError``.
  static func reading(_ answer: JSONValue, below path: String) throws(RegistryError) -> PartReading {
    guard let object = answer.object, object["header"] != nil else { throw .unexpected("it has no header") }
    // Without a single key there is no list.
    guard let pairs = (object["kvs"] ?? .array([])).array else { throw .unexpected("kvs is no list") }
    var reading = PartReading()
    for pair in pairs {
      guard let key = bytes(pair["key"]) else { throw .unexpected("a key is no base64 text") }
      let name = String(decoding: key, as: UTF8.self)
      // An empty value is left out by the gateway.
      guard let value = bytes(pair["value"] ?? "") else { throw .unexpected("a value is no base64 text") }
      do throws(RegistrationProblem) {
        let child = name.split(separator: "/").last.map { String($0) } ?? ""
        let decoded = try RegistrationCodec.decode(payload: value, name: child)
        reading.backends.append(decoded.backend)
        if !decoded.ignored.isEmpty { reading.ignored[name] = decoded.ignored }
      } catch {
        reading.skipped[name] = error.description
      }
    }
    return reading
  }

  private static func bytes(_ value: JSONValue?) -> [UInt8]? { value?.string.flatMap { Base64.decode(Array($0.utf8)) } }
}
