internal import Logging
internal import Reactor
internal import SmartStack
internal import YAMLConfig

/// A `discovery` section with method etcd.
struct EtcdDiscovery: DiscoverySettings {
  /// Members of one etcd, tried in turn; at least one. Their targets do not count.
  var members: [WebAddress]
  /// Registrations are all keys below it, at any depth; without a trailing slash.
  var path: String
  /// `check_interval`: how often everything is read even if no change was heard of.
  var interval: Duration = .seconds(60)

  init(_ source: DiscoverySource) throws(ConfigError) {
    let section = source.section
    let port = try section.int("port", in: 1...65_535, default: 2379)
    members = []
    for text in try section.strings("hosts") + section.strings("host") {
      guard let address = EtcdDiscovery.member(text, defaultPort: port) else {
        throw section.error(at: "hosts", "'\(text)' is not a host[:port] or http(s):// address")
      }
      members.append(address)
    }
    if members.isEmpty { throw section.error(at: "hosts", "at least one etcd member is needed") }
    path = try section.string("path")
    while path.hasSuffix("/") { path.removeLast() }
    if !path.isEmpty, !path.hasPrefix("/") { path = "/" + path }
    interval = try source.interval(default: interval)
  }

  private static func member(_ text: String, defaultPort: Int) -> WebAddress? {
    if text.contains("://") { return WebAddress(text) }
    return WebAddress.split(text, defaultPort: defaultPort).flatMap {
      WebAddress("http://\(Endpoint.tcp(host: $0.host, port: $0.port))")
    }
  }

  private var shownMembers: String { members.map(\.description).joined(separator: ",") }

  var place: String { "etcd \(shownMembers) \(path)" }

  /// A watcher of the keys, through the JSON gateway of etcd 3. A watch only tells that something has changed; then everything
  /// is read. So a lost watch loses nothing.
  @LoopActor func makeWatcher(in environment: WatchEnvironment) -> any RegistryWatcher {
    let reader = EtcdReader(members)
    let part = PolledPart(place: "etcd \(shownMembers)") {
      try EtcdDiscovery.reading(try await reader.post("/v3/kv/range", body: range))
    }
    return PollWatcher(every: interval, of: [part], environment: environment) { wake in
      await reader.watch(range, in: environment, onChange: wake)
    }
  }

  /// All keys below the path, as a request asks for them.
  private var range: String {
    // Up to the first key that does not begin with `path/`: a zero follows the slash in ASCII.
    let (key, end) = (Base64.text(Array((path + "/").utf8)), Base64.text(Array((path + "0").utf8)))
    return "{\"key\":\"\(key)\",\"range_end\":\"\(end)\"}"
  }
}

/// Sends requests to the members of one etcd in turn, beginning with the one that answered last.
@LoopActor private final class EtcdReader {
  /// For a connection and the first words of a watch's answer.
  private static let patience: Duration = .seconds(5)
  private let retrying = RetryPolicy(base: .milliseconds(500), limit: .seconds(10))
  private let members: [WebAddress]
  private var current = 0

  init(_ members: [WebAddress]) { self.members = members }

  private func tryNext() { current = (current + 1) % members.count }

  /// Watches a range of keys until it is cancelled. Every end of a watch is followed by another one; the reading says in the
  /// log what is wrong with an etcd.
  func watch(_ range: String, in environment: WatchEnvironment, onChange: @escaping @LoopActor () -> Void) async {
    var failures = 0
    while !Task.isCancelled {
      do {
        let request = request("/v3/watch", body: "{\"create_request\":\(range)}")
        // Each answer is a reason to read: `created`, too, since nothing was heard of before it.
        _ = try await HTTPClient.lines(of: request, patience: EtcdReader.patience) { _ in
          failures = 0
          onChange()
        }
      } catch {
        environment.logger.debug("etcd watch ended", with: [.service: environment.service, .reason: "\(error)"])
      }
      tryNext()
      let delay = retrying.delay(attempt: failures)
      guard (try? await environment.clock.sleep(for: delay)) != nil else { return }
      failures += 1
    }
  }

  /// A request to the member whose turn it is.
  private func request(_ target: String, body: String) -> HTTPRequest {
    let member = members[current]
    return HTTPRequest(
      method: "POST", endpoint: member.endpoint, tls: member.tls, target: target,
      headers: [HTTPHeader(name: "Content-Type", value: "application/json")], body: Array(body.utf8))
  }

  /// The first answer that a member gives.
  /// - Throws: what the last one threw.
  func post(_ target: String, body: String) async throws -> JSONValue {
    for _ in members.dropLast() {
      do { return try await RegistryAnswer.json(request(target, body: body)) } catch let error as CancellationError {
        throw error
      } catch { tryNext() }
    }
    do { return try await RegistryAnswer.json(request(target, body: body)) } catch {
      tryNext()
      throw error
    }
  }
}
