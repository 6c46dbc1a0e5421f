internal import YAMLConfig

/// What is wrong with one service, and what that means for it.
struct ServiceProblem: Error, Equatable, CustomStringConvertible {
  enum Consequence: String {
    /// There is nothing of it in the new file.
    case leftOut = "is left out"
    /// Its part of the file in force is taken over.
    case kept = "stays as it was"
    /// It is written, but not all that it asks for.
    case incomplete = "is written without what follows"
  }

  /// `service.namespace`, or the service when it is all of its namespaces.
  var service: String
  /// The service's directory.
  var directory: String
  var consequence: Consequence
  var error: ConfigError

  /// Whether the exit status tells of it.
  var isFailure: Bool { consequence != .incomplete }

  /// One line: the service, what happens to it, `file:line:column: path: problem`.
  var description: String { "\(service) \(consequence.rawValue): \(error)" }
}
