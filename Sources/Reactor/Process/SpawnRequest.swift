internal import CEvent
internal import Glibc

/// `posix_spawn` with everything set: descriptors, signals, group, directory.
package struct SpawnRequest {
  package enum Source {
    case descriptor(Int32)
    case path(String, Int32)
  }

  let executable: String
  let arguments: [String]
  package var environment: [String: String]?
  package var workingDirectory: String?
  package var input = Source.path("/dev/null", O_RDONLY)
  package var output = Source.path("/dev/null", O_WRONLY)
  /// nil goes where ``output`` goes.
  var errorOutput: Source?

  package init(executable: String, arguments: [String]) {
    self.executable = executable
    self.arguments = arguments
  }

  /// Starts the program; its process id.
  func start() throws(FileError) -> Int32 {
    var actions = posix_spawn_file_actions_t()
    var attributes = posix_spawnattr_t()
    posix_spawn_file_actions_init(&actions)
    posix_spawnattr_init(&attributes)
    defer {
      posix_spawn_file_actions_destroy(&actions)
      posix_spawnattr_destroy(&attributes)
    }
    add(input, as: 0, to: &actions)
    add(output, as: 1, to: &actions)
    if let errorOutput {
      add(errorOutput, as: 2, to: &actions)
    } else {
      posix_spawn_file_actions_adddup2(&actions, 1, 2)
    }
    if let workingDirectory { posix_spawn_file_actions_addchdir_np(&actions, workingDirectory) }
    // Last: other libraries' sockets (libzookeeper's, say) are not close-on-exec.
    posix_spawn_file_actions_addclosefrom_np(&actions, 3)
    setAttributes(&attributes)
    var pid: pid_t = 0
    let code = withCStrings([executable] + arguments) { argv in
      guard let environment else { return posix_spawnp(&pid, executable, &actions, &attributes, argv, environ) }
      return withCStrings(environment.map { "\($0.key)=\($0.value)" }) { envp in
        posix_spawnp(&pid, executable, &actions, &attributes, argv, envp)
      }
    }
    guard code == 0 else { throw FileError("run", path: executable, code: code) }
    return pid
  }

  private func add(_ source: Source, as target: Int32, to actions: inout posix_spawn_file_actions_t) {
    switch source {
    case .descriptor(let descriptor): posix_spawn_file_actions_adddup2(&actions, descriptor, target)
    case .path(let path, let flags): posix_spawn_file_actions_addopen(&actions, target, path, flags, 0o644)
    }
  }

  /// A group of its own, no blocked and no ignored signals: we ignore SIGPIPE, and exec would pass that on.
  private func setAttributes(_ attributes: inout posix_spawnattr_t) {
    var all = sigset_t()
    var none = sigset_t()
    sigfillset(&all)
    sigemptyset(&none)
    posix_spawnattr_setsigdefault(&attributes, &all)
    posix_spawnattr_setsigmask(&attributes, &none)
    posix_spawnattr_setpgroup(&attributes, 0)
    let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK
    posix_spawnattr_setflags(&attributes, Int16(flags))
  }
}

/// Calls `body` with a null-terminated array of C strings, as exec takes them.
func withCStrings<Result>(
  _ strings: [String], run body: (UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>) -> Result
) -> Result {
  var pointers: [UnsafeMutablePointer<CChar>?] = strings.map { strdup($0) }
  pointers.append(nil)
  defer { for pointer in pointers { free(pointer) } }
  return pointers.withUnsafeMutableBufferPointer { buffer in
    guard let base = buffer.baseAddress else { preconditionFailure("never empty: it ends with a null pointer") }
    return body(base)
  }
}
