import Glibc
import Logging
import Reactor

@testable import Registry

/// A logger that says nothing.
let silent = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

/// Counts what becomes of registrations.
@LoopActor final class Events {
  private(set) var all: [RegistrationEvent] = []

  nonisolated init() {}

  func add(_ event: RegistrationEvent) { all.append(event) }

  var registrations: Int { all.count { if case .registered = $0 { true } else { false } } }
  var refusals: Int { all.count { if case .refused = $0 { true } else { false } } }
}
