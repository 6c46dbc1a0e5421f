internal import Reactor
internal import SmartStack

extension ToolOptions {
  /// Where the Lua scripts that plugins load are, unless `lua_dir` says. Beside the program, behind all links to it:
  /// `share/smartstack/lua_scripts` of the first directory above it that has one, which is `/usr/share` for an installed
  /// one and the source tree for a built one; without any, where packages put it.
  static func defaultLuaDirectory() -> String {
    let place = "share/smartstack/lua_scripts"
    var directory = ThisProcess.linkedPath.map(Files.parent(of:)) ?? "/"
    while true {
      let candidate = path(of: place, in: directory)
      if Files.isDirectory(candidate) { return candidate }
      if directory == "/" || directory == "." { return "/usr/" + place }
      directory = Files.parent(of: directory)
    }
  }

  func load(_ name: String) -> String { "lua-load \(ProxyText.word(script(name)))" }

  func script(_ name: String) -> String { ToolOptions.path(of: name, in: luaDirectory) }

  /// A name in a directory that may end in a slash.
  static func path(of name: String, in directory: String) -> String {
    directory.isEmpty || directory.hasSuffix("/") ? directory + name : directory + "/" + name
  }

  // MARK: The address that services listen on

  /// What the package sets, and has a unit for.
  private static let packagedAddress = "169.254.255.254"

  /// A sentence with the command that helps when an address is on no interface, because HAProxy refuses to start then; nil
  /// if there is nothing to say.
  static func bindProblem(_ address: String) -> String? {
    guard let parsed = IPAddress(address), !["0.0.0.0", "::"].contains(address), !address.hasPrefix("127."),
      let here = HostInfo.addresses, !here.contains(parsed)
    else { return nil }
    let length = address.contains(":") ? 128 : 32
    let unit = address == packagedAddress ? " (with the package: systemctl start smartstack-yocalhost)" : ""
    return "bind_addr \(address) is on no interface of this host, so HAProxy cannot listen there; "
      + "give it to the loopback interface: ip address add \(address)/\(length) dev lo\(unit)"
  }
}
