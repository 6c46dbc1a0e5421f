extension Int {
  /// The number and what it counts: `1 service`, `2 services`.
  func of(_ noun: String) -> String { "\(self) \(noun)\(self == 1 ? "" : "s")" }
}
