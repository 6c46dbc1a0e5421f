internal import AgentKit
internal import Configure
internal import Glibc
internal import HAProxyConfigGen
public import Reactor
internal import SmartStack
internal import SynapseAgent
internal import YAMLConfig

/// Reports on configurations: `synapse validate`, `render`. Each function returns the exit status.
@LoopActor public enum SynapseInspection {
  /// Prints why synapse would reject a configuration, if it would.
  static func checkReload(_ paths: [String]) async -> Int32 {
    for path in paths {
      do { _ = try await SynapseProgram.load(path) } catch {
        return complain("\(error); the configuration stays as it is")
      }
    }
    return 0
  }

  /// Reads a configuration, makes HAProxy's file of it as the agent would with one server for each service, and prints
  /// the problems to the standard error, with HAProxy's words where it is installed.
  /// - Parameter isStrict: whether a line that is skipped counts.
  /// - Returns: 0 if every service and section of it is run.
  public static func check(_ path: String, isStrict: Bool = false) async -> Int32 {
    guard let configuration = await load(path) else { return 1 }
    for warning in configuration.warnings { note("warning: \(warning)") }
    for skipped in configuration.skipped { note(skipped.description) }
    let socketProblems = configuration.haproxy?.socketProblems ?? []
    for problem in socketProblems { note("\(path): \(problem)") }
    var isGood = configuration.skipped.isEmpty && socketProblems.isEmpty
    if let rendering = Rendering(configuration) {
      let samples = configuration.services.filter { $0.rules.defaultServers.isEmpty }
      let sample = Backend(name: "sample", host: "192.0.2.1", port: 1)
      let servers = Dictionary(samples.map { ($0.name, [sample]) }, uniquingKeysWith: { first, _ in first })
      let outcome = await rendered(rendering, with: servers)
      for problem in outcome.problems { note(problem) }
      isGood = isGood && outcome.isAccepted != false && (isStrict ? outcome.hasAllLines : outcome.isComplete)
    }
    if isGood { note("\(path) is valid: \(configuration.services.count) services") }
    return isGood ? 0 : 1
  }

  /// Checks configurations one after the other.
  static func validate(_ paths: [String]) async -> Int32 {
    var status: Int32 = 0
    for path in paths { status = max(status, await check(path, isStrict: true)) }
    return status
  }

  /// Prints HAProxy's file as the agent would write it.
  /// - Parameters:
  ///   - snapshot: a JSON file, service → list of servers with `host`, `port` and so on; nil: the registry, now.
  ///   - isDifference: prints only the differences from the file that HAProxy has, as `diff -u` does.
  /// - Returns: with `isDifference`, 1 if there is a difference, as `diff` does.
  static func render(_ path: String, snapshot: String?, isDifference: Bool) async -> Int32 {
    guard let configuration = await load(path) else { return 1 }
    guard let rendering = Rendering(configuration) else { return complain("\(path) has no section 'haproxy'") }
    let servers: [String: [Backend]]
    if let snapshot {
      guard let read = self.snapshot(snapshot, of: configuration) else { return 1 }
      servers = read
    } else {
      let (live, silent) = await configuration.liveServices()
      if !silent.isEmpty {
        let names = silent.sorted().prefix(10).joined(separator: ", ")
        return complain("no data within \(configuration.firstDataDeadline): \(names); does the registry run?")
      }
      servers = live
    }
    let outcome = await rendered(rendering, with: servers)
    for problem in outcome.problems { complain(problem) }
    guard isDifference else {
      StandardOutput.show(outcome.text)
      return outcome.isAccepted == false ? 1 : 0
    }
    return difference(from: rendering.section.filePath, to: outcome.text)
  }

  // MARK: Parts

  private static func load(_ path: String) async -> SynapseConfiguration? {
    do { return try await SynapseProgram.load(path) } catch {
      complain("\(error)")
      return nil
    }
  }

  private static func snapshot(_ path: String, of configuration: SynapseConfiguration) -> [String: [Backend]]? {
    let top: JSONObject
    do throws(FileError) {
      guard let value = JSONValue(try Files.read(path, limit: 1 << 28))?.object else {
        complain("\(path) is not a JSON object of services")
        return nil
      }
      top = value
    } catch {
      complain("\(error)")
      return nil
    }
    let known = Set(configuration.services.map(\.name))
    var result: [String: [Backend]] = [:]
    for (service, servers) in top.members {
      guard known.contains(service) else {
        complain("\(path): there is no service '\(service)' in \(configuration.file)")
        continue
      }
      result[service] = (servers.array ?? []).compactMap { server in
        // The same rules as for what comes from the registry.
        do throws(OperatorError) {
          return try RegistrationCodec.decode(payload: Array(server.text().utf8), name: "").backend
        } catch {
          complain("\(path): \(service): a server is skipped: \(error)")
          return nil
        }
      }
    }
    return result
  }

  private static func rendered(_ rendering: Rendering, with servers: [String: [Backend]]) async -> Rendering.Outcome {
    let candidate = "/tmp/synapse-candidate-\(getpid())"
    let outcome = await rendering.file(of: servers, candidate: candidate)
    _ = try? Files.remove(candidate)
    return outcome
  }

  private static func difference(from path: String, to text: String) -> Int32 {
    let old = (try? Files.read(path, limit: 1 << 30)).map { String(decoding: $0, as: UTF8.self) }
    let difference = TextDiff.unified(from: old, to: text, names: (path, "new"))
    StandardOutput.show(difference)
    return difference.isEmpty ? 0 : 1
  }

  private nonisolated static func note(_ line: String) { StandardOutput.say("synapse: \(line)\n") }

  @discardableResult
  private static func complain(_ line: String) -> Int32 {
    note(line)
    return 1
  }
}
