internal import Glibc

extension Double {
  /// A number of seconds as an age: `3d4h`, `2h5m`, `7m10s`, `12s`.
  public var shortAge: String {
    let all = Int(Swift.min(Swift.max(0, isNaN ? 0 : self), 1e12))
    switch all {
    case 86_400...: return "\(all / 86_400)d\(all % 86_400 / 3600)h"
    case 3600...: return "\(all / 3600)h\(all % 3600 / 60)m"
    case 60...: return "\(all / 60)m\(all % 60)s"
    default: return "\(all)s"
    }
  }

  /// These seconds by their two largest units: `42 s`, `12 min`, `3 h 20 min`, `5 d 2 h`; never less than `0 s`.
  public var lengthInWords: String {
    let rest = { (count: Int, unit: String) in count == 0 ? "" : " \(count) \(unit)" }
    // A century is as good as any longer time, and fits.
    let whole = Int(Swift.min(Swift.max(0, isNaN ? 0 : self), 4e9))
    if whole < 60 { return "\(whole) s" }
    if whole < 3600 { return "\(whole / 60) min" }
    if whole < 86_400 { return "\(whole / 3600) h\(rest(whole % 3600 / 60, "min"))" }
    return "\(whole / 86_400) d\(rest(whole % 86_400 / 3600, "h"))"
  }

  /// This Unix time as `2026-11-21 05:38:47 UTC`; nil for a time that no calendar of ours knows.
  public var dateInWords: String? { date("%Y-%m-%d %H:%M:%S UTC") }

  /// This Unix time in UTC as `strftime` writes it; nil for a time that no calendar of ours knows.
  public func date(_ format: String) -> String? {
    guard abs(self) < 1e12 else { return nil }
    var (seconds, fields) = (time_t(self), tm())
    guard gmtime_r(&seconds, &fields) != nil else { return nil }
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { buffer in
      guard let base = buffer.baseAddress, strftime(base, buffer.count, format, &fields) > 0 else {
        return nil
      }
      return String(cString: base)
    }
  }
}
