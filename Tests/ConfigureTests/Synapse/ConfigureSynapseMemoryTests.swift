import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Configure

/// What a run remembers saves time and changes nothing: whatever happens to the files, its output is that of a run
/// that knows nothing.
@Suite("configure_synapse: what is remembered") struct ConfigureSynapseMemoryTests {
  static let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
  static let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 200

  /// Texts of a smartstack.yaml; `PORT` is replaced.
  private static let texts = [
    "main: {proxy_port: PORT}\n", "main: {proxy_port: PORT, retries: 3}\nother: {proxy_port: null}\n",
    "main: {proxy_port: PORT, advertise: [region, habitat], discover: habitat, endpoint_timeouts: {/slow: 20000}}\n",
    "main: {proxy_port: PORT, chaos: {ecosystem: {prod: {fail: drop}}}}\n",
    "main: {proxy_port: PORT, chaos: {region: {west-2: {delay: 5ms}}}}\n",
    "main: {proxy_port: PORT, proxied_through: s1.main}\n", "main: {proxy_port: PORT, is_proxy: true}\n",
    "main: {proxy_port: PORT, plugins: {logging: {enabled: true, sample_rate: 0.5}}}\n",
    "main: {proxy_port: PORT, plugins: {path_based_routing: {enabled: true}}}\n",
    "main: {proxy_port: PORT, discover: rack}\n", "main: {proxy_po", "- 1\n", "",
  ]

  /// One thing that happens to a host; those that come first come more often.
  private static func change(_ world: HostFiles, _ generator: inout SeededGenerator) throws {
    let service = "soa/s\(Int.random(in: 0..<12, using: &generator))"
    let file = "\(world.path)/\(service)/smartstack.yaml"
    let text = try #require(texts.randomElement(using: &generator))
      .replacing("PORT", with: "\(20_000 + Int.random(in: 0..<1000, using: &generator))")
    switch Int.random(in: 0..<24, using: &generator) {
    case 0..<10: try world.put("\(service)/smartstack.yaml", text)
    case 10..<13: try rewrite(file)
    case 13: unlink(file)
    case 14: try world.put("\(service)/service.yaml", "smartstack:\n  main: {proxy_port: 19999}\n")
    case 15: unlink("\(world.path)/\(service)/service.yaml")
    case 16: try relink(file, to: "../../shared.yaml")
    case 17: try world.put("shared.yaml", text)
    case 18: try relink(file, to: "smartstack.yaml")
    case 19:
      rename("\(world.path)/\(service)", "\(world.path)/aside")
      rename("\(world.path)/soa/s0", "\(world.path)/\(service)")
      rename("\(world.path)/aside", "\(world.path)/soa/s0")
    case 20: try world.put("nail/region", Bool.random(using: &generator) ? "west-1\n" : "west-2\n")
    case 21:
      let last = Bool.random(using: &generator) ? "habitat" : "rack"
      try world.put("nail/services/location_types.json", #"["ecosystem", "superregion", "region", "\#(last)"]"#)
    case 22: try world.putOptions(["maxconn_per_server": .int(Int.random(in: 1..<4, using: &generator))])
    default: try world.put("zookeeper.yaml", "[[10.0.0.\(Int.random(in: 1..<4, using: &generator)), 2181]]\n")
    }
  }

  /// Other bytes of the same number in the same file, and the old date: nothing but its change time tells.
  private static func rewrite(_ path: String) throws {
    guard let bytes = try? Files.read(path, limit: 1 << 16) else { return }
    var status = stat()
    #expect(stat(path, &status) == 0)
    let other = bytes.map { (0x30...0x38).contains($0) ? $0 + 1 : $0 }
    let descriptor = open(path, O_WRONLY)
    #expect(write(descriptor, other, other.count) == other.count)
    #expect(futimens(descriptor, [status.st_atim, status.st_mtim]) == 0)
    close(descriptor)
  }

  private static func relink(_ path: String, to target: String) throws {
    try Files.makeDirectory(Files.parent(of: path), mode: 0o755)
    unlink(path)
    #expect(symlink(target, path) == 0)
  }

  private static func world() throws -> HostFiles {
    let world = try HostFiles(["s0/smartstack.yaml": "main: {proxy_port: 20000}\n"])
    for index in 1..<12 { try world.put("soa/s\(index)/smartstack.yaml", "main: {proxy_port: \(20_000 + index)}\n") }
    try world.put("nail/rack", "r1")
    return world
  }

  @Test @LoopActor func everyRunIsLikeAFirstOne() async throws {
    var generator = SeededGenerator(seed: ConfigureSynapseMemoryTests.seed)
    let world = try ConfigureSynapseMemoryTests.world()
    var options = ConfigureSynapseOptions()
    options.reload = .none
    var memory = ConfigureMemory()
    // Ticks of the clock that dates files are at most 10 ms.
    memory.settling = .milliseconds(40)
    var knownCount = 0
    for round in 0..<ConfigureSynapseMemoryTests.rounds {
      try ConfigureSynapseMemoryTests.change(world, &generator)
      let fresh = Result { try world.make() }
      let said = Said()
      let configurator = said.configurator(world, options, memory: memory)
      await configurator.run()
      memory = try #require(configurator.memory)
      knownCount += memory.knownCount
      switch fresh {
      case .success(let made):
        #expect(world.read("synapse.conf.json") == made.text, "round \(round)")
        for line in made.problems.flatMap(\.lines) { #expect(said.contains(world.plain(line)), "round \(round)") }
      case .failure(let error): #expect(said.contains(world.plain("\(error)")), "round \(round)")
      }
    }
    #expect(knownCount > ConfigureSynapseMemoryTests.rounds * 3)
  }

  @Test @LoopActor func theWatchEndsWithWhatAFirstRunMakes() async throws {
    var generator = SeededGenerator(seed: ConfigureSynapseMemoryTests.seed &+ 7)
    let world = try ConfigureSynapseMemoryTests.world()
    var memory = ConfigureMemory()
    memory.settling = .milliseconds(40)
    var options = ConfigureSynapseOptions()
    options.reload = .none
    let loop = Said().configurator(world, options, memory: memory).resident()
    let running = Task { @LoopActor in await loop.run() }
    defer { loop.stop() }
    try await eventually("the first file") { world.read("synapse.conf.json").contains("s11.main") }
    for round in 0..<30 {
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        try ConfigureSynapseMemoryTests.change(world, &generator)
      }
      try await eventually("the output of round \(round)") {
        guard let fresh = try? world.make() else { return false }
        return world.read("synapse.conf.json") == fresh.text
      }
    }
    loop.stop()
    await running.value
  }
}
