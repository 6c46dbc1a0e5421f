internal import Logging
internal import Reactor
internal import SmartStack

/// Follows the addresses of hosts that are names, each by itself: a silent name server delays its own names only.
@LoopActor final class HostNames {
  /// The outcomes of look-ups, by name.
  typealias Outcomes = [String: Result<String, OperatorError>]

  private static let deadline: Duration = .seconds(5)
  /// A name is looked up again when its time to live is over, within these bounds …
  private static let bounds: ClosedRange<Duration> = .seconds(1) ... .seconds(3600)
  /// … and a name of `/etc/hosts`, which has none, after this time.
  private static let usualLifetime: Duration = .seconds(10)
  private static let retry = RetryPolicy(base: .seconds(1), limit: .seconds(30))
  /// This number of names is looked up at once, the others one by one.
  private static let burst = 50
  private static let spacing: Duration = .milliseconds(2)
  /// Answers that arrive within this time are one change.
  private static let collecting: Duration = .milliseconds(20)

  private final class Name {
    var address: String?
    var failures = 0
    var next: LoopTimer?
    var task: Task<Void, Never>?
  }

  private let resolver: NameResolver
  private let clock: LoopClock
  private let logger: Logger
  private var names: [String: Name] = [:]
  private var news: Outcomes = [:]
  private var delivery: LoopTimer?
  private var onNews: (@LoopActor (Outcomes) -> Void)?
  private var answered: OneShotEvent<Void>?

  init(resolver: NameResolver, clock: LoopClock, logger: Logger) {
    self.resolver = resolver
    self.clock = clock
    self.logger = logger
  }

  /// Returns once the address of each name is delivered, or could not be looked up.
  func waitUntilAnswered() async {
    if areAllAnswered { return }
    let event = answered ?? OneShotEvent<Void>()
    answered = event
    _ = try? await event.wait()
  }

  private var areAllAnswered: Bool {
    news.isEmpty && names.values.allSatisfy { $0.address != nil || $0.failures > 0 }
  }

  /// Follows these names and no others.
  /// - Parameter onNews: receives what is new, soon after it is known.
  /// - Returns: what is known at once.
  func follow(_ wanted: Set<String>, onNews: @escaping @LoopActor (Outcomes) -> Void) -> Outcomes {
    self.onNews = onNews
    for name in names.keys.filter({ !wanted.contains($0) }) { forget(name) }
    for (index, name) in wanted.filter({ names[$0] == nil }).sorted().enumerated() {
      let entry = Name()
      names[name] = entry
      if index < HostNames.burst {
        lookUp(name, in: entry)
      } else {
        schedule(name, in: entry, after: HostNames.spacing * (index - HostNames.burst))
      }
    }
    defer { news = [:] }
    return news
  }

  /// Ends every look-up that is under way or planned.
  func stop() {
    onNews = nil
    delivery?.cancel()
    for name in names.keys { forget(name) }
  }

  private func forget(_ name: String) {
    let entry = names.removeValue(forKey: name)
    entry?.next?.cancel()
    entry?.task?.cancel()
  }

  private func schedule(_ name: String, in entry: Name, after delay: Duration) {
    entry.next = clock.schedule(after: delay) { [weak self] in self?.lookUp(name, in: entry) }
  }

  /// What the hosts file has is known before this returns.
  private func lookUp(_ name: String, in entry: Name) {
    entry.task = Task.immediate { @LoopActor [weak self, resolver] in
      do {
        let answer = try await resolver.lookUp(name, deadline: HostNames.deadline)
        if !Task.isCancelled { self?.record(answer.addresses, for: answer.lifetime, of: name, in: entry) }
      } catch {
        if !Task.isCancelled { self?.fail("\(error)", of: name, in: entry) }
      }
    }
  }

  private func record(_ addresses: [String], for lifetime: Duration?, of name: String, in entry: Name) {
    guard let first = addresses.first else { return fail("there is no such name", of: name, in: entry) }
    if entry.failures > 0 { logger.notice("host name resolved again", with: [.path: name, .attempt: entry.failures]) }
    entry.failures = 0
    // One server for each registration; among several addresses it does not move without need.
    let address = entry.address.flatMap { addresses.contains($0) ? $0 : nil } ?? first
    if entry.address != address { add(.success(address), of: name) }
    entry.address = address
    let bounds = HostNames.bounds
    schedule(
      name, in: entry, after: min(max(lifetime ?? HostNames.usualLifetime, bounds.lowerBound), bounds.upperBound))
  }

  private func fail(_ reason: String, of name: String, in entry: Name) {
    entry.failures += 1
    if entry.failures == 1, entry.address != nil {
      logger.warning("host name not resolved, last address kept", with: [.path: name, .reason: reason])
    }
    add(.failure(OperatorError(reason)), of: name)
    schedule(name, in: entry, after: HostNames.retry.delay(attempt: entry.failures - 1))
  }

  private func add(_ outcome: Result<String, OperatorError>, of name: String) {
    news[name] = outcome
    if delivery?.isPending == true { return }
    delivery = clock.schedule(after: HostNames.collecting) { [weak self] in
      guard let self, !news.isEmpty else { return }
      let outcomes = news
      news = [:]
      onNews?(outcomes)
      if areAllAnswered { answered?.happen() }
    }
  }
}
