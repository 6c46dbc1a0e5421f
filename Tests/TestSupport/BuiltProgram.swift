internal import Glibc
internal import Reactor

/// The executables that were built along with the tests.
public enum BuiltProgram {
  /// The path of `nerve`, `synapse`…, beside the test bundle whatever folder that was built in.
  public static func path(_ name: String) -> String { folder + "/" + name }

  /// Where the test bundle is. Some toolchains run the bundle itself; in others its code is mapped into what runs.
  private static let folder: String = {
    if let program = realpath("/proc/self/exe", nil) {
      defer { free(program) }
      let path = String(cString: program)
      if path.hasSuffix(".xctest") { return Files.parent(of: path) }
    }
    let maps = (try? Files.read("/proc/self/maps", limit: 64 << 20)) ?? []
    for line in maps.split(separator: UInt8(ascii: "\n")) {
      let text = String(decoding: line, as: UTF8.self)
      guard let start = text.firstIndex(of: "/"), text.hasSuffix(".xctest") else { continue }
      return Files.parent(of: String(text[start...]))
    }
    preconditionFailure("no test bundle is mapped into this process")
  }()
}
