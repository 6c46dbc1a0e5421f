/// A dictionary of bounded size: past its capacity, or past its budget of cost, the least recently used
/// value goes.
///
/// - Complexity: O(1) per operation; no allocation for a value that is found.
struct LRUTable<Key: Hashable, Value> {
  private struct Slot {
    var key: Key
    var value: Value
    var cost: Int
    /// Towards the more recently used; -1 at the head.
    var newer: Int
    /// Towards the less recently used; -1 at the tail.
    var older: Int
  }

  private let capacity: Int
  private let budget: Int
  private var index: [Key: Int] = [:]
  private var slots: [Slot?] = []
  private var free: [Int] = []
  private var newest = -1
  private var oldest = -1

  /// The sum of all values' costs.
  private(set) var cost = 0

  /// - Parameters:
  ///   - capacity: values kept at most; less than 1 counts as 1.
  ///   - budget: cost kept at most; a value that costs more by itself is not kept.
  init(capacity: Int, budget: Int = .max) {
    self.capacity = max(1, capacity)
    self.budget = budget
  }

  /// How many values there are.
  var count: Int { index.count }

  /// The value, which becomes the most recently used one.
  mutating func use(_ key: Key) -> Value? {
    guard let position = index[key] else { return nil }
    if position != newest {
      unlink(position)
      link(position)
    }
    return slots[position]?.value
  }

  /// The value, without a claim that it is in use.
  func peek(_ key: Key) -> Value? { index[key].flatMap { slots[$0]?.value } }

  /// Sets a value, the most recently used one from now on; drops others to make room.
  mutating func set(_ key: Key, to value: Value, cost: Int = 0) {
    remove(key)
    guard cost <= budget else { return }
    while index.count >= capacity || self.cost > budget - cost, let last = slots.indices.contains(oldest) ? oldest : nil
    {
      removeSlot(last)
    }
    let slot = Slot(key: key, value: value, cost: cost, newer: -1, older: -1)
    let position = free.popLast() ?? slots.count
    if position == slots.count { slots.append(slot) } else { slots[position] = slot }
    index[key] = position
    self.cost += cost
    link(position)
  }

  /// Forgets a value; harmless if there is none.
  mutating func remove(_ key: Key) {
    if let position = index[key] { removeSlot(position) }
  }

  /// Forgets every value that `isStale` says yes to.
  mutating func removeAll(where isStale: (Value) -> Bool) {
    for position in slots.indices {
      if let slot = slots[position], isStale(slot.value) { removeSlot(position) }
    }
  }

  /// Forgets the least recently used values as long as `isStale` says yes to them.
  mutating func removeOldest(while isStale: (Value) -> Bool) {
    while oldest >= 0, let slot = slots[oldest], isStale(slot.value) { removeSlot(oldest) }
  }

  /// Everything, in no particular order.
  var entries: [(key: Key, value: Value)] { slots.compactMap { $0.map { ($0.key, $0.value) } } }

  private mutating func removeSlot(_ position: Int) {
    guard let slot = slots[position] else { return }
    unlink(position)
    index[slot.key] = nil
    cost -= slot.cost
    slots[position] = nil
    free.append(position)
  }

  private mutating func link(_ position: Int) {
    slots[position]?.older = newest
    slots[position]?.newer = -1
    if newest >= 0 { slots[newest]?.newer = position } else { oldest = position }
    newest = position
  }

  private mutating func unlink(_ position: Int) {
    guard let slot = slots[position] else { return }
    if slot.newer >= 0 { slots[slot.newer]?.older = slot.older } else { newest = slot.older }
    if slot.older >= 0 { slots[slot.older]?.newer = slot.newer } else { oldest = slot.newer }
  }
}
