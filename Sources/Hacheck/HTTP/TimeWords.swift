internal import Glibc

/// Times as people read them.
public enum TimeWords {
  /// A length of time by its two largest units: `42 s`, `12 min`, `3 h 20 min`, `5 d 2 h`; never less than `0 s`.
  public static func length(seconds: Double) -> String {
    // A century is as good as any longer time, and fits.
    let whole = Int(min(max(0, seconds.isNaN ? 0 : seconds), 4e9))
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min" }
    if whole < 86_400 { return "\(whole / 3600) h\(rest(whole % 3600 / 60, unit: "min"))" }
    return "\(whole / 86_400) d\(rest(whole % 86_400 / 3600, unit: "h"))"
  }

  private static func rest(_ count: Int, unit: String) -> String { count == 0 ? "" : " \(count) \(unit)" }

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
