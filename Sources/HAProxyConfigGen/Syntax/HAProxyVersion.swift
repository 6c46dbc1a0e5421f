/// HAProxy's version, as `show info` reports it.
public struct HAProxyVersion: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The 2 of 2.6.12.
  public var major: Int
  /// The 6 of 2.6.12.
  public var minor: Int
  /// The 12 of 2.6.12; 0 for development versions.
  public var patch: Int

  /// A version from its numbers, as in `HAProxyVersion(2, 6, 12)`; missing ones are 0.
  public init(_ numbers: Int...) { self.init(numbers: numbers) }

  private init(numbers: [Int]) {
    major = numbers.first ?? 0
    minor = numbers.count > 1 ? numbers[1] : 0
    patch = numbers.count > 2 ? numbers[2] : 0
  }

  /// Reads `2.6.12-1+deb12u4`, `3.0-dev5` and their like.
  public init?(_ text: String) {
    let numbers = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }.split(separator: ".").map { Int($0) ?? 0 }
    guard numbers.count >= 2 else { return nil }
    self.init(numbers: numbers)
  }

  /// Orders older releases before newer ones.
  public static func < (a: HAProxyVersion, b: HAProxyVersion) -> Bool {
    (a.major, a.minor, a.patch) < (b.major, b.minor, b.patch)
  }

  /// All three numbers, `2.6.12`.
  public var description: String { "\(major).\(minor).\(patch)" }

  /// `add server` without experimental mode.
  var addsServers: Bool { (major, minor) >= (2, 6) }

  /// `del server` without the crashes of the first releases that had it.
  var deletesServers: Bool {
    major == 2 && minor == 6 ? patch >= 13 : (major, minor) >= (2, 8)
  }

  /// The branch, `2.6` of 2.6.12.
  var branch: String { "\(major).\(minor)" }
}
