internal import CEvent
internal import Glibc

/// This process: its program and the replacement by another one (same process id, same descriptors), its limits.
@LoopActor public enum ThisProcess {
  /// The executable's absolute path as it was when this was first asked, which should be early: after an upgrade
  /// the kernel names a deleted file, while the path leads to the new one. Links stay links, so that a link of a version
  /// that is moved leads to the new version.
  public nonisolated static let path: String? = {
    let own = "/proc/self/exe"
    let name = CommandLine.arguments.first ?? ""
    let folders = getenv("PATH").map { String(cString: $0).split(separator: ":").map(String.init) } ?? []
    let candidates = name.contains("/") ? [absolute(name)] : folders.map { "\($0)/\(name)" }
    return candidates.first { $0.hasPrefix("/") && Files.isSame($0, as: own) } ?? linkedPath
  }()

  /// The executable's absolute path behind all links, as the kernel tells it: where the files are that it came with.
  public nonisolated static let linkedPath = Files.target(ofLink: "/proc/self/exe")

  private nonisolated static func absolute(_ path: String) -> String {
    guard !path.hasPrefix("/"), let folder = getcwd(nil, 0) else { return path }
    defer { free(folder) }
    return String(cString: folder) + "/" + path
  }

  /// Runs another program in this process's place.
  ///
  /// The agents' signals are blocked across the change, so that none of them meets a program that does not listen yet;
  /// the new program calls ``acceptSignals(_:)`` when it does. Every other thread ends where it stands.
  /// - Parameters:
  ///   - executable: its path.
  ///   - arguments: with the name it is called by.
  ///   - environment: `NAME=value` each.
  ///   - keeping: the descriptors it inherits besides 0, 1 and 2.
  /// - Throws: ``FileError`` when it cannot be run; this process then goes on.
  public static func replace(
    by executable: String, arguments: [String], environment: [String], keeping: [Int32]
  ) throws(FileError) -> Never {
    // Not all descriptors are ours: libzookeeper's sockets, for one, are not close-on-exec.
    _ = close_range(3, UInt32.max, closeOnExec)
    for descriptor in keeping { _ = fcntl(descriptor, F_SETFD, 0) }
    var before = sigset_t()
    pthread_sigmask(SIG_BLOCK, nil, &before)
    holdSignals([SIGHUP, SIGUSR2, SIGTERM, SIGINT])
    let code = withCStrings(arguments) { argv in
      withCStrings(environment) { envp in
        execve(executable, argv, envp)
        return errno
      }
    }
    pthread_sigmask(SIG_SETMASK, &before, nil)
    throw FileError("run", path: executable, code: code)
  }

  /// The flag CLOSE_RANGE_CLOEXEC of linux/close_range.h.
  private static let closeOnExec: Int32 = 1 << 2

  /// A nameless file in memory that a program run by ``replace(by:arguments:environment:keeping:)`` can read.
  /// - Throws: ``FileError``.
  public static func memory(holding bytes: [UInt8]) throws(FileError) -> Int32 {
    let descriptor = memfd_create("handover", 0)
    guard descriptor >= 0 else { throw FileError("make", path: "memory file", code: errno) }
    let code = Files.put(bytes, into: descriptor)
    guard code == 0 else { throw FileError("write", path: "memory file", code: code) }
    return descriptor
  }

  /// What a descriptor of ``memory(holding:)`` holds, from its beginning; closes it.
  public static func read(memory descriptor: Int32) -> [UInt8]? {
    defer { close(descriptor) }
    var status = stat()
    guard fstat(descriptor, &status) == 0 else { return nil }
    var bytes = [UInt8](repeating: 0, count: Int(status.st_size))
    var filled = 0
    while filled < bytes.count {
      let count = bytes[filled...].withUnsafeMutableBytes { pread(descriptor, $0.baseAddress, $0.count, off_t(filled)) }
      guard count > 0 else { return nil }
      filled += count
    }
    return bytes
  }

  /// Lets these signals through to the loop's thread, where ``replace(by:arguments:environment:keeping:)`` or
  /// ``holdSignals(_:)`` left them blocked.
  public static func acceptSignals(_ numbers: [Int32]) { mask(numbers, how: SIG_UNBLOCK) }

  /// Keeps these signals from this thread and those that it starts, until ``acceptSignals(_:)``.
  public nonisolated static func holdSignals(_ numbers: [Int32]) { mask(numbers, how: SIG_BLOCK) }

  private nonisolated static func mask(_ numbers: [Int32], how: Int32) {
    var set = sigset_t()
    sigemptyset(&set)
    for number in numbers { sigaddset(&set, number) }
    pthread_sigmask(how, &set, nil)
  }

  // MARK: Limits

  /// Raises the soft limit of open descriptors to `count`, or as far as the hard limit lets it; never lowers it.
  ///
  /// The usual soft limit of 1,024 is there for programs that use `select`; those that do not are to raise it.
  /// - Returns: the soft limit now; 0 if the system does not tell.
  @discardableResult public nonisolated static func raiseDescriptorLimit(to count: Int) -> Int {
    let resource = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    var limit = rlimit()
    guard getrlimit(resource, &limit) == 0 else { return 0 }
    let wanted = min(rlim_t(max(0, count)), limit.rlim_max)
    if wanted > limit.rlim_cur {
      let before = limit.rlim_cur
      limit.rlim_cur = wanted
      if setrlimit(resource, &limit) != 0 { limit.rlim_cur = before }
    }
    return Int(clamping: limit.rlim_cur)
  }

  /// Gives free pages of the heap back to the system. To start hundreds of checks at once takes more memory than to
  /// have them run, and malloc would hold on to it. Takes a few milliseconds: for moments after rare, big work.
  public nonisolated static func trimHeap() { malloc_trim(0) }
}
