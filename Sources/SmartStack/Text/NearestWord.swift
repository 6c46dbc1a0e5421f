extension String {
  /// Finds the word that this one was probably meant to be: at most two slips away, fewer in short words.
  public func nearest(in words: some Sequence<String>) -> String? {
    let limit = utf8.count < 4 ? 0 : utf8.count < 6 ? 1 : 2
    let near = words.map { (slips: editDistance(from: $0, to: self), word: $0) }.filter { $0.slips <= limit }
    return near.min { $0 < $1 }?.word
  }
}

/// Letters that are missing, added or others, and neighbours that have changed places.
private func editDistance(from first: String, to second: String) -> Int {
  let (first, second) = (Array(first.utf8.prefix(64)), Array(second.utf8.prefix(64)))
  // The rows of the letter before the last one, the last one, and this one.
  var (older, old, row) = ([Int](), [Int](), Array(0...second.count))
  for (i, a) in first.enumerated() {
    (older, old) = (old, row)
    row[0] = i + 1
    for (j, b) in second.enumerated() {
      row[j + 1] = min(row[j] + 1, old[j + 1] + 1, old[j] + (a == b ? 0 : 1))
      if i > 0, j > 0, a == second[j - 1], b == first[i - 1] { row[j + 1] = min(row[j + 1], older[j - 1] + 1) }
    }
  }
  return row[second.count]
}
