internal import Glibc

/// How many descriptors this process may have open.
public enum DescriptorLimit {
  /// Raises the soft limit to `count`, or as far as the hard limit lets it; never lowers it.
  ///
  /// The usual soft limit of 1,024 is there for programs that use `select`; those that do not are to raise it.
  /// - Returns: the soft limit now; 0 if the system does not tell.
  @discardableResult public static func raise(to count: Int) -> Int {
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
}
