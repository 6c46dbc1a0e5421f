extension String {
  /// Finds the word that this one was probably meant to be: at most two slips away, fewer in short words.
  public func nearest(in words: some Sequence<String>) -> String? {
    let limit = utf8.count < 4 ? 0 : utf8.count < 6 ? 1 : 2
    let near = words.map { (slips: editDistance(from: $0, to: self), word: $0) }.filter { $0.slips <= limit }
    return near.min { $0 < $1 }?.word
  }
}

private func editDistance(from first: String, to second: String) -> Int {
  let (first, second) = (Array(first.utf8.prefix(64)), Array(second.utf8.prefix(64)))
  var row = Array(0...second.count)
  for (i, a) in first.enumerated() {
    var diagonal = row[0]
    row[0] = i + 1
    for (j, b) in second.enumerated() {
      let next = min(row[j] + 1, row[j + 1] + 1, diagonal + (a == b ? 0 : 1))
      diagonal = row[j + 1]
      row[j + 1] = next
    }
  }
  return row[second.count]
}
