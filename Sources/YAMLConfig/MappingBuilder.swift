/// Builds mappings: the last of equal keys counts, merged keys give way to those written out.
struct MappingBuilder {
  /// Of keys given twice, at the later place.
  private(set) var repeatedKeys: [ConfigError] = []

  private mutating func warn(_ warning: ConfigError) {
    // A file made of nothing but repetitions must not become a log of that size.
    if repeatedKeys.count < 100 { repeatedKeys.append(warning) }
  }

  mutating func build(_ explicit: [YAMLEntry], merged: [YAMLEntry] = []) -> [YAMLEntry] {
    var entries: [YAMLEntry] = []
    var places: [String: Int] = [:]
    entries.reserveCapacity(explicit.count + merged.count)
    for entry in merged {
      if let place = places.updateValue(entries.count, forKey: entry.name) {
        entries[place] = entry
        places[entry.name] = place
      } else {
        entries.append(entry)
      }
    }
    let mergedCount = entries.count
    var isOverridden = Set<Int>()
    for entry in explicit {
      guard let place = places[entry.name] else {
        places[entry.name] = entries.count
        entries.append(entry)
        continue
      }
      if place >= mergedCount || !isOverridden.insert(place).inserted {
        let first = entries[place].key.line
        warn(entry.value.error("the key is already given in line \(first); take one of the two out").at(entry.key))
      }
      entries[place] = entry
    }
    return entries
  }
}
