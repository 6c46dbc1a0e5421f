internal import Glibc
internal import Reactor

/// Where the Lua scripts that plugins load are.
enum ScriptFiles {
  /// Beside the program: `share/smartstack/lua_scripts` of the first directory above it that has one, which is
  /// `/usr/share` for an installed one and the source tree for a built one; without any, where packages put it.
  static func defaultDirectory() -> String {
    let place = "share/smartstack/lua_scripts"
    var directory = programPath().map(Files.parent(of:)) ?? "/"
    while true {
      let candidate = path(in: directory, place)
      if Files.kind(candidate) == .directory { return candidate }
      if directory == "/" || directory == "." { return "/usr/" + place }
      directory = Files.parent(of: directory)
    }
  }

  /// The line that loads a script.
  static func load(_ name: String, options: ToolOptions) -> String {
    "lua-load \(ProxyText.word(path(in: options.luaDirectory, name)))"
  }

  /// A name in a directory that may end in a slash.
  static func path(in directory: String, _ name: String) -> String {
    directory.isEmpty || directory.hasSuffix("/") ? directory + name : directory + "/" + name
  }

  private static func programPath() -> String? {
    var buffer = [UInt8](repeating: 0, count: 4096)
    let count = buffer.withUnsafeMutableBytes { bytes in
      bytes.bindMemory(to: CChar.self).baseAddress.map { readlink("/proc/self/exe", $0, bytes.count) } ?? -1
    }
    return count > 0 ? String(decoding: buffer[..<count], as: UTF8.self) : nil
  }
}
