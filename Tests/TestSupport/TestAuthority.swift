public import Reactor

/// A certificate authority of one test.
@LoopActor public final class TestAuthority {
  private let directory = TemporaryDirectory()
  /// The PEM file of the authority's certificate.
  public var file: String { directory.path + "/authority.pem" }
  private static let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

  /// Makes its key and certificate.
  /// - Parameter days: how long it is valid from now; negative: it has expired.
  public init(days: Int = 2) async throws {
    let base = directory.path + "/authority"
    try await openssl([
      "req", "-subj", "/CN=authority \(directory.path.filter { $0 != "/" })", "-addext",
      "basicConstraints=critical,CA:TRUE",
      "-keyout", base + ".key", "-out", base + ".csr",
    ])
    let signed = try await ChildProcess.run(
      "openssl",
      arguments: [
        "x509", "-req", "-in", base + ".csr", "-signkey", base + ".key", "-days", "\(days)", "-copy_extensions", "copy",
      ], deadline: .seconds(60))
    try Files.write(signed.output, to: file, mode: 0o600, sync: false)
  }

  /// A PEM file with a certificate of the authority, and its key.
  /// - Parameter names: as in a `subjectAltName`.
  public func certificate(_ names: String = "DNS:localhost,IP:127.0.0.1") async throws -> String {
    let base = "\(directory.path)/\(names.filter(\.isLetter))"
    try await openssl([
      "req", "-subj", "/CN=test", "-addext", "subjectAltName=\(names)", "-keyout", base + ".key", "-out", base + ".csr",
    ])
    let signed = try await ChildProcess.run(
      "openssl",
      arguments: [
        "x509", "-req", "-in", base + ".csr", "-CA", file, "-CAkey", directory.path + "/authority.key", "-days", "2",
        "-copy_extensions", "copy",
      ], deadline: .seconds(60))
    let path = base + ".pem"
    try Files.write(signed.output + Files.read(base + ".key", limit: 1 << 16), to: path, mode: 0o600, sync: false)
    return path
  }

  private func openssl(_ arguments: [String]) async throws {
    let result = try await ChildProcess.run(
      "openssl", arguments: arguments.prefix(1) + TestAuthority.key + arguments.dropFirst(), deadline: .seconds(60))
    guard result.status == .exited(0) else {
      throw ServerTrouble(description: String(decoding: result.errorOutput, as: UTF8.self))
    }
  }
}
