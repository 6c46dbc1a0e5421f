internal import Glibc

/// Times as people read them.
public enum TimeWords {
  /// A length of time by its two largest units: `42 s`, `12 min`, `3 h 20 min`, `5 d 2 h`; never less than `0 s`.
  public static func length(seconds: Double) -> String {
    // A century is as good as any longer time, and fits.
    let whole = Int(min(max(0, seconds.isNaN ? 0 : seconds), 4e9))
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min" }
    if whole < 86_400 { return pair(whole / 3600, "h", whole % 3600 / 60, "min") }
    return pair(whole / 86_400, "d", whole % 86_400 / 3600, "h")
  }

  private static func pair(_ large: Int, _ largeUnit: String, _ small: Int, _ smallUnit: String) -> String {
    small == 0 ? "\(large) \(largeUnit)" : "\(large) \(largeUnit) \(small) \(smallUnit)"
  }

  /// `2026-11-21 05:38:47 UTC`; nil for a time that no calendar of ours knows.
  static func date(_ unixTime: Double) -> String? {
    guard abs(unixTime) < 1e12 else { return nil }
    var (seconds, fields) = (time_t(unixTime), tm())
    guard gmtime_r(&seconds, &fields) != nil else { return nil }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      guard let base = buffer.baseAddress, strftime(base, buffer.count, "%Y-%m-%d %H:%M:%S UTC", &fields) > 0 else {
        return nil
      }
      return String(cString: base)
    }
  }
}
