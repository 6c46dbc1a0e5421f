internal import Glibc
internal import Hacheck
internal import SmartStack

/// When a downtime ends, as operators write it.
extension DowntimeCommand {
  /// Reads `--for` and `-e`.
  /// - Returns: the end in seconds since 1970; nil: there is none.
  static func end(of options: CommandLineOptions, now: Double) throws(CommandUsage) -> Double? {
    let length = options["for"]
    guard let text = options["expiration"] else {
      return try length.map { text throws(CommandUsage) in
        guard let seconds = seconds(text), seconds > 0 else {
          throw .wrong("option --for: \(text.quoted) is not a length of time: write 90s, 15m, 2h, 1d or 1h30m")
        }
        return now + seconds
      }
    }
    if length != nil { throw .wrong("give one of --for and -e") }
    if let end = Double(decimal: text) ?? timeOfDay(text, after: now) ?? date(text) { return end }
    // Upstream's sentence, then what else may be written.
    throw .wrong(
      "option \(options.shown("expiration")): invalid floating-point value: '\(text)'; HH:MM and ISO 8601 are read, too"
    )
  }

  /// `2h`, `1h30m`, `45` (seconds).
  static func seconds(_ text: String) -> Double? {
    if let seconds = Double(decimal: text) { return seconds }
    let units: [Character: Double] = ["s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800]
    var (sum, number) = (0.0, "")
    for character in text {
      if character.isASCII, character.isNumber {
        number.append(character)
      } else if let unit = units[character], let count = Double(number) {
        sum += count * unit
        number = ""
      } else {
        return nil
      }
    }
    return number.isEmpty && !text.isEmpty ? sum : nil
  }

  /// The next moment at which this host's clocks show `HH:MM` or `HH:MM:SS`.
  private static func timeOfDay(_ text: String, after now: Double) -> Double? {
    guard let clock = clock(text[...]) else { return nil }
    var (seconds, fields) = (time_t(now), tm())
    localtime_r(&seconds, &fields)
    func moment(dayOffset: Int32) -> Double {
      var wanted = fields
      (wanted.tm_hour, wanted.tm_min, wanted.tm_sec, wanted.tm_isdst) = (clock[0], clock[1], clock[2], -1)
      wanted.tm_mday += dayOffset
      return Double(mktime(&wanted))
    }
    let today = moment(dayOffset: 0)
    return today > now ? today : moment(dayOffset: 1)
  }

  /// `2026-11-28T18:00`, with seconds and a zone (`Z`, `+01:00`) or without; a blank may stand for the `T`. Without a zone
  /// it is this host's time.
  private static func date(_ text: String) -> Double? {
    let parts = text.split(maxSplits: 1, whereSeparator: { $0 == "T" || $0 == " " })
    let days = (parts.first ?? "").split(separator: "-", omittingEmptySubsequences: false).map { digits($0) }
    guard days.count == 3, let year = days[0], let month = days[1], let day = days[2], (1...12).contains(month),
      (1...31).contains(day), year > 1969, year < 10_000
    else { return nil }
    var fields = tm()
    (fields.tm_year, fields.tm_mon, fields.tm_mday, fields.tm_isdst) = (year - 1900, month - 1, day, -1)
    guard parts.count == 2 else { return parts.count == 1 ? Double(mktime(&fields)) : nil }
    var time = parts[1]
    var zone: Int?
    if time.hasSuffix("Z") {
      (time, zone) = (time.dropLast(), 0)
    } else if let sign = time.lastIndex(where: { $0 == "+" || $0 == "-" }) {
      let text = time[time.index(after: sign)...]
      guard let offset = clock(text.contains(":") ? text : text.prefix(2) + ":" + text.dropFirst(2)) else { return nil }
      zone = (time[sign] == "-" ? -1 : 1) * Int(offset[0] * 3600 + offset[1] * 60)
      time = time[..<sign]
    }
    guard let clock = clock(time) else { return nil }
    (fields.tm_hour, fields.tm_min, fields.tm_sec) = (clock[0], clock[1], clock[2])
    return zone.map { Double(timegm(&fields) - $0) } ?? Double(mktime(&fields))
  }

  /// Hours, minutes and seconds of `HH:MM` or `HH:MM:SS`.
  private static func clock(_ text: Substring) -> [Int32]? {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map { digits($0) }
    guard (2...3).contains(parts.count), let hours = parts[0], let minutes = parts[1], (0...23).contains(hours),
      (0...59).contains(minutes), let seconds = parts.count == 3 ? parts[2] : 0, (0...59).contains(seconds)
    else { return nil }
    return [hours, minutes, seconds]
  }

  private static func digits(_ text: Substring) -> Int32? {
    guard (1...4).contains(text.count), text.utf8.allSatisfy({ $0.isDigit }) else { return nil }
    return Int32(text)
  }
}
