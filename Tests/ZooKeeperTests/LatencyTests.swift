import Reactor
import TestSupport
import Testing

@testable import ZooKeeper

/// Prints what a change costs from one client to another through a real server; judges nothing.
@Suite(.serialized, .timeLimit(.minutes(3 * patience))) struct LatencyTests {
  @Test @LoopActor func fromTheWishToTheWatcher() async throws {
    try await withServer { world, _ in
      let writer = try await world.client()
      let reader = try await world.client()
      try await writer.create("/d")
      var names: Set<String> = []
      var waiting: (Bool, OneShotEvent<Void>)?
      let token = reader.watchDirectory("/d") { event in
        if case .children(let list) = event { names = Set(list) }
        if let (isThere, change) = waiting, names.isEmpty != isThere {
          waiting = nil
          change.happen()
        }
      }
      var appeared: [Duration] = []
      var went: [Duration] = []
      for _ in 0..<200 {
        var start = ContinuousClock.now
        let node = writer.want(Registration(directory: "/d", name: "host1_", data: "{}".bytes))
        let appearance = OneShotEvent<Void>()
        waiting = (true, appearance)
        try await appearance.wait()
        appeared.append(ContinuousClock.now - start)
        start = ContinuousClock.now
        Task.immediate { await node.withdraw() }
        let disappearance = OneShotEvent<Void>()
        waiting = (false, disappearance)
        try await disappearance.wait()
        went.append(ContinuousClock.now - start)
      }
      print("measured: want → watcher's list \(percentiles(appeared)), withdraw → watcher's list \(percentiles(went))")
      token.cancel()
    }
  }

  @Test @LoopActor func aThousandRegistrationsAtOnce() async throws {
    try await withServer { world, server in
      let client = try await world.client()
      try await client.create("/many")
      var start = ContinuousClock.now
      let nodes = (0..<1000).map { client.want(Registration(directory: "/many", name: "n\($0)_", data: "{}".bytes)) }
      for node in nodes { _ = try await registered(node) }
      let made = ContinuousClock.now - start
      try await eventually("watched") { await server.count("zk_watch_count") == 1000 }
      start = ContinuousClock.now
      await withDiscardingTaskGroup { group in
        for node in nodes { group.addTask { await node.withdraw() } }
      }
      print("measured: 1000 registrations made in \(made), withdrawn in \(ContinuousClock.now - start)")
    }
  }

  private func percentiles(_ durations: [Duration]) -> String {
    let sorted = durations.sorted()
    return "p50 \(sorted[sorted.count / 2]) p99 \(sorted[sorted.count * 99 / 100])"
  }
}
