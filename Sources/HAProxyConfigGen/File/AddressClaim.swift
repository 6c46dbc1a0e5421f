internal import SmartStack

/// An address that a part of the configuration wants to listen on.
public struct AddressClaim: Hashable, Sendable {
  /// Who gets an address that two want; within a rank those that have it already come first, then the names decide.
  enum Rank: Int, Comparable {
    /// What cannot be skipped: the agent's own port, `stats socket`, the shared frontend.
    case fixed
    /// The operator's own sections.
    case section
    /// A service as its configuration says.
    case service
    /// A service as the registry says.
    case registry

    static func < (a: Rank, b: Rank) -> Bool { a.rawValue < b.rawValue }
  }

  /// The service or the section that is skipped when it cannot have the address.
  public var unit: LineOrigin
  /// Where the address is written.
  public var place: LineOrigin
  /// The address that is wanted.
  public var address: ListenAddress
  /// The first line of its section.
  var section: String
  var rank: Rank

  /// Who has to be skipped, with the reason, so that no two units listen on one address.
  ///
  /// Requests to a port that two listeners of HAProxy share are given to either at random.
  /// - Parameter active: the addresses of the sections as HAProxy has them: who has an address keeps it.
  static func conflicts(_ claims: [AddressClaim], active: [String: Set<ListenAddress>]) -> [LineOrigin: ConfigProblem] {
    var units: [LineOrigin: [AddressClaim]] = [:]
    for claim in claims { units[claim.unit, default: []].append(claim) }
    let order = units.values.map { claims in
      let isActive = claims.allSatisfy { active[$0.section]?.contains($0.address) == true }
      let rank = claims[0].rank
      // What the registry says never takes what the configuration gives to another.
      return (
        key: (rank == .fixed ? 0 : rank == .registry ? 3 : isActive ? 1 : 2, rank.rawValue, claims[0].section),
        claims: claims
      )
    }.sorted { $0.key < $1.key }
    var taken: [String: [AddressClaim]] = [:]
    var conflicts: [LineOrigin: ConfigProblem] = [:]
    for (_, claims) in order {
      let collision = claims.lazy.compactMap { claim in
        claim.address.meetingPlaces.lazy.flatMap { taken[$0] ?? [] }.first { claim.address.overlaps($0.address) }
          .map { (claim, $0) }
      }.first
      if let (claim, owner) = collision, claim.rank != .fixed {
        conflicts[claim.unit] = ConfigProblem(
          .badService, at: claim.place,
          message: "\(claim.address) is taken by \(owner.place) (\(owner.address)); it is skipped until one of the two "
            + "has another address or port")
        continue
      }
      for claim in claims { for place in claim.address.meetingPlaces { taken[place, default: []].append(claim) } }
    }
    return conflicts
  }
}

extension GeneratorSettings {
  /// Which of some services cannot have their addresses, and who has them.
  /// - Parameter active: where sections listen now, by their first lines.
  /// - Returns: one sentence for each service that has to be skipped, by its name.
  public func addressConflicts(
    of services: [ServiceSettings], active: [String: Set<ListenAddress>]
  ) -> [String: String] {
    let claims = claims + services.flatMap { $0.claims(defaultAddress: bindAddress) }
    let conflicts = AddressClaim.conflicts(claims, active: active)
    return Dictionary(
      uniqueKeysWithValues: conflicts.compactMap { unit, problem in
        unit.service.map { ($0, problem.message) }
      })
  }

  /// The addresses that belong to no service.
  var claims: [AddressClaim] {
    var claims = reservedAddresses.sorted { $0.key < $1.key }.flatMap { key, text in
      ListenAddress.all(inBind: text).map {
        AddressClaim(unit: .agent(key), place: .agent(key), address: $0, section: key, rank: .fixed)
      }
    }
    for (index, line) in global.enumerated() {
      let words = line.words
      guard words.count > 2, words[0] == "stats", words[1] == "socket" else { continue }
      claims += ListenAddress.all(inBind: words.dropFirst(2).joined(separator: " ")).map {
        AddressClaim(unit: .global(index), place: .global(index), address: $0, section: "global", rank: .fixed)
      }
    }
    claims += AddressClaim.all(
      in: sharedFrontend ?? [], unit: .sharedFrontend(nil), section: "frontend shared-frontend", rank: .fixed
    ) { .sharedFrontend($0) }
    for extra in extraSections {
      let title = extra.heading
      let unit = LineOrigin.extra(title: extra.title, nil)
      let section = title.words.prefix(2).joined(separator: " ")
      claims += ListenAddress.all(inBind: title.address ?? "").map {
        AddressClaim(unit: unit, place: unit, address: $0, section: section, rank: .section)
      }
      claims += AddressClaim.all(in: extra.lines, unit: unit, section: section, rank: .section) {
        .extra(title: extra.title, $0)
      }
    }
    return claims
  }
}

extension AddressClaim {
  /// Where the sections of HAProxy's file listen, by their first two words.
  public static func listening(in text: String) -> [String: Set<ListenAddress>] {
    var listening: [String: Set<ListenAddress>] = [:]
    var section = ""
    for line in text.split(separator: "\n") {
      // Nearly all lines are servers and options.
      let start = line.drop { $0 == "\t" || $0 == " " }
      guard start.hasPrefix("bind") || !start.hasPrefix("server ") else { continue }
      let words = String(start).words
      guard let first = words.first, first == "bind" || Directives.sectionStarters.contains(first) else { continue }
      if first == "bind" {
        listening[section, default: []].formUnion(
          ListenAddress.all(inBind: words.dropFirst().joined(separator: " ")))
      } else {
        section = words.prefix(2).joined(separator: " ")
      }
    }
    return listening
  }

  /// The addresses of the `bind` lines among some lines.
  static func all(
    in lines: [String], unit: LineOrigin, section: String, rank: Rank, place: (Int) -> LineOrigin
  ) -> [AddressClaim] {
    lines.enumerated().flatMap { index, line -> [AddressClaim] in
      let words = line.words
      guard words.first == "bind" else { return [] }
      return ListenAddress.all(inBind: words.dropFirst().joined(separator: " ")).map {
        AddressClaim(unit: unit, place: place(index), address: $0, section: section, rank: rank)
      }
    }
  }
}

extension ServiceSettings {
  /// What follows `bind` on the line that the generator writes; nil: the service has no frontend.
  func bind(defaultAddress: String) -> String? {
    var text = bindAddress ?? defaultAddress
    switch port {
    case .omitted: return nil
    case .none: break
    case .number(let port): text += ":" + port
    }
    if let options = bindOptions?.trimmedBlanks, !options.isEmpty { text += " " + options }
    return text
  }

  /// The addresses that the service listens on.
  func claims(defaultAddress: String) -> [AddressClaim] {
    guard !isDisabled, let bind = bind(defaultAddress: defaultAddress) else { return [] }
    let unit = LineOrigin.service(service, .section, nil)
    let (section, rank) = ("frontend \(service)", isFromRegistry ? AddressClaim.Rank.registry : .service)
    let main = ListenAddress.all(inBind: bind).map {
      AddressClaim(
        unit: unit, place: .service(service, .port, nil), address: $0, section: section, rank: rank)
    }
    return main
      + AddressClaim.all(in: frontend, unit: unit, section: section, rank: rank) { .service(service, .frontend, $0) }
      + AddressClaim.all(in: listen, unit: unit, section: section, rank: rank) {
        .service(service, .listenInFrontend, $0)
      }
  }
}
