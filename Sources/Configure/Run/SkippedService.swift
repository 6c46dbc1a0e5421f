/// A service of this host that is not as its files say, and what that means for it.
struct SkippedService: Hashable, Sendable {
  /// What becomes of the service.
  enum Consequence: String, Sendable {
    /// The new file has nothing of it.
    case skipped = "is skipped"
    /// Its part of the current file stays.
    case kept = "stays as it was"
    /// It is written but for a value that is wrong.
    case valueDropped = "is written without a value"
    /// It is written, but something that it asks for is not there.
    case incomplete = "is written without what follows"
    /// It stays registered with the labels it has.
    case labelsKept = "gets no new labels"
    /// It is written in full.
    case noted = "has a mistake that another program does not accept"
  }

  /// `service.namespace`, or the service when it is all of its namespaces; nil if not even that is known.
  var name: String?
  /// The directory of the service's files, where that is not the name up to its dot.
  var directory: String?
  var port: Int?
  /// Whether it may be registered under another service's name: then the port alone says which registrations are its.
  var isUnderAnyName = false
  var consequence = Consequence.skipped
  /// Each with its file and place, or the source.
  var problems: [String]

  /// Whether the exit status tells of it.
  var isFailure: Bool {
    switch consequence {
    case .skipped, .kept, .valueDropped, .labelsKept: true
    case .incomplete, .noted: false
    }
  }

  /// One line for each problem.
  var lines: [String] {
    problems.map { problem in
      guard let name else { return problem }
      return "\(consequence == .noted ? "warning: " : "")\(name) \(consequence.rawValue): \(problem)"
    }
  }
}

extension SkippedService {
  /// What a program makes of a namespace's mistakes.
  /// - Returns: whether the namespace is skipped, and what is to be said.
  static func judge(
    _ namespace: SmartStackNamespace, for user: SmartStackUser, port: Int? = nil
  ) -> (isSkipped: Bool, remarks: [SkippedService]) {
    let (skipping, dropped, unrelated) = namespace.judged(by: user)
    var remarks: [SkippedService] = []
    func add(_ errors: [String], as consequence: Consequence) {
      guard !errors.isEmpty else { return }
      remarks.append(SkippedService(name: namespace.name, port: port, consequence: consequence, problems: errors))
    }
    if !skipping.isEmpty {
      // All at once, so that the file is mended at once.
      add(namespace.mistakes.map { "\($0.error)" }, as: .skipped)
      return (true, remarks)
    }
    add(dropped.map { "\($0)" }, as: .valueDropped)
    add(unrelated.map { "\($0)" }, as: .noted)
    return (false, remarks)
  }
}
