import Glibc
import Hacheck
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import NerveAgent
@testable import Registry
@testable import ZooKeeper

/// nerve against a real ZooKeeper, with an observer who has a session of his own.
@Suite(.serialized, .timeLimit(.minutes(3 * patience))) @LoopActor struct IntegrationTests {
  @Test func aServiceIsRegisteredWhileItIsHealthy() async throws {
    try await withWorld { world in
      let target = try world.target()
      world.configure(world.service("web", check: world.http(target), more: #", "weight": 7"#))
      let observer = try await world.observe("/nerve/web")
      let agent = try world.agent()
      let name = try #require(try await observer.sees(1, "registered").first)
      #expect(name == "host1_0000000000")
      #expect(try await observer.data(name) == #"{"host":"10.0.0.5","port":3000,"name":"host1","weight":7}"#)
      target.status = 503
      try await observer.sees(0, "an unhealthy service is gone")
      target.status = 302
      try await observer.sees(1, "a healthy one is back")
      await agent.stop()
      try await observer.sees(0, "a stopped agent has taken everything back")
      #expect(observer.most == 1)
    }
  }

  @Test func allNodeTypesAreRegisteredAndTakenBack() async throws {
    try await withWorld { world in
      let types = ["ephemeral", "ephemeral_sequential", "persistent", "persistent_sequential"]
      for type in types {
        world.configure(world.service(type, path: "/nerve/\(type)", more: #", "node_type": "\#(type)""#))
        let observer = try await world.observe("/nerve/\(type)")
        let agent = try world.agent()
        let name = try #require(try await observer.sees(1, "registered as \(type)").first)
        #expect(name == (type.hasSuffix("sequential") ? "host1_0000000000" : "host1_"))
        await agent.stop()
        try await observer.sees(0, "\(type) taken back")
      }
    }
  }

  @Test func severalEnsemblesEachHaveASession() async throws {
    let other = try ZooKeeperServer()
    try await other.start()
    try await withWorld { world in
      let elsewhere = world.service("b").replacing(world.server.connection, with: other.connection)
      world.configure(world.service("a"), elsewhere)
      let here = try await world.observe("/nerve/a")
      let there = try Observer(other.connection, "/nerve/b")
      let agent = try world.agent()
      try await here.sees(1, "registered in the first ensemble")
      try await there.sees(1, "registered in the second ensemble")
      await other.kill()
      world.configure(world.service("a"), elsewhere, world.service("c"))
      await agent.reload()
      let third = try await world.observe("/nerve/c")
      try await third.sees(1, "one ensemble's outage is not the other's")
      #expect(here.now?.count == 1)
      try await other.start()
      await there.close()
    }
    await other.kill()
  }

  // MARK: Drains

  @Test func aDrainByPostWithdrawsAndAnUndrainBringsBack() async throws {
    try await withWorld { world in
      let target = try world.target()
      // A check every hour: what happens here happens by events.
      world.configure(world.service("web", check: world.throughHacheck(target), interval: 3600))
      let observer = try await world.observe("/nerve/web")
      _ = try world.agent()
      try await observer.sees(1, "registered")
      #expect(
        try await world.post("web.main/\(target.port)", "status=down&reason=Drained&expiration=9999999999") == 200)
      try await observer.sees(0, "drained")
      #expect(try await world.ask("/http/web.main/\(target.port)/status") == 503)
      #expect(try await world.post("web.main/\(target.port)", "status=up") == 200)
      try await observer.sees(1, "undrained")
      #expect(try await world.ask("/http/web.main/\(target.port)/status") == 200)
    }
  }

  @Test(arguments: ["all", "web.main", "web.main:PORT"])
  func aFileInTheSpoolDrainsToo(_ scope: String) async throws {
    try await withWorld { world in
      let (target, neighbour) = (try world.target(), try world.target())
      world.configure(
        world.service("web", check: world.throughHacheck(target)),
        world.service("geo", check: world.throughHacheck(neighbour, service: "geo.main")))
      let (web, geo) = (try await world.observe("/nerve/web"), try await world.observe("/nerve/geo"))
      _ = try world.agent()
      try await web.sees(1, "registered")
      try await geo.sees(1, "registered")
      let file = world.spoolPath + "/" + scope.replacing("PORT", with: "\(target.port)")
      writeFile(file, #"{"reason": "by hand", "expiration": null, "creation": 1}"#)
      try await web.sees(0, "drained by \(scope)")
      try await geo.sees(scope == "all" ? 0 : 1, "the neighbour")
      unlink(file)
      try await web.sees(1, "undrained")
      try await geo.sees(1, "the neighbour")
    }
  }

  @Test func aServiceThatIsDrainedAtTheStartIsNotRegistered() async throws {
    try await withWorld { world in
      let (target, other) = (try world.target(), try world.target())
      world.configure(
        world.service("web", check: world.throughHacheck(target)),
        world.service("geo", check: world.throughHacheck(other, service: "geo.main")))
      mkdir(world.spoolPath, 0o750)
      writeFile(world.spoolPath + "/web.main", #"{"reason": "maintenance", "expiration": null, "creation": 1}"#)
      let (web, geo) = (try await world.observe("/nerve/web"), try await world.observe("/nerve/geo"))
      let agent = try world.agent()
      try await geo.sees(1, "the other one is registered")
      #expect(web.most == 0)
      #expect(agent.runner("web")?.isDrained == true)
    }
  }

  @Test func whileAnOlderHacheckHoldsThePortItIsAskedAndThenReplaced() async throws {
    try await withWorld { world in
      let target = try world.target()
      var configuration = HacheckConfiguration()
      configuration.ports = [world.hacheckPort]
      configuration.bindAddress = "127.0.0.1"
      configuration.spoolRoot = world.spoolPath
      configuration.cacheTime = .zero
      let older = HacheckService(configuration: configuration, logger: silent, metrics: Metrics())
      try older.open()
      try older.listen()
      world.configure(world.service("web", check: world.throughHacheck(target)))
      let observer = try await world.observe("/nerve/web")
      let agent = try world.agent()
      try await observer.sees(1, "registered through the older hacheck")
      #expect(agent.isHacheckListening == false)
      writeFile(world.spoolPath + "/web.main", "by hand")
      try await observer.sees(0, "a mark is an event all the same")
      unlink(world.spoolPath + "/web.main")
      try await observer.sees(1, "and so is its end")
      older.stop()
      try await eventually("the port is taken over") { agent.isHacheckListening == true }
      #expect(try await world.ask("/status") == 200)
      #expect(observer.now?.count == 1)
      // Nobody saw the port change hands.
      #expect(observer.history.suffix(2) == [[], ["host1_0000000001"]])
    }
  }

  // MARK: Reload

  @Test func aReloadDoesTheDifference() async throws {
    try await withWorld { world in
      world.configure(world.service("same"), world.service("gone"), world.service("heavier"))
      let same = try await world.observe("/nerve/same")
      let gone = try await world.observe("/nerve/gone")
      let heavier = try await world.observe("/nerve/heavier")
      let new = try await world.observe("/nerve/new")
      let agent = try world.agent()
      for observer in [same, gone, heavier] { try await observer.sees(1, "registered") }
      for observer in [same, heavier] { observer.mark() }
      world.configure(
        world.service("same"), world.service("new"), world.service("heavier", more: #", "weight": 9"#))
      await agent.reload()
      try await gone.sees(0, "the removed one is gone")
      try await new.sees(1, "the new one is there")
      try await eventually("the old registration was replaced: \(heavier.history)") {
        heavier.now == ["host1_0000000001"]
      }
      // The replacement came before the old one went.
      #expect(heavier.history.allSatisfy { !$0.isEmpty })
      #expect(try await heavier.data("host1_0000000001").contains(#""weight":9"#))
      #expect(same.history == [["host1_0000000000"]])
    }
  }

  @Test(arguments: ["ephemeral", "persistent"]) func aNodeOfAFixedNameIsRewrittenInPlace(_ type: String) async throws {
    try await withWorld { world in
      let more = #", "node_type": "\#(type)", "weight": "#
      world.configure(world.service("web", more: more + "1"))
      let observer = try await world.observe("/nerve/web")
      let agent = try world.agent()
      try await observer.sees(1, "registered")
      observer.mark()
      world.configure(world.service("web", more: more + "2"))
      await agent.reload()
      try await eventually("rewritten") { try await observer.data("host1_").contains(#""weight":2"#) }
      #expect(observer.history == [["host1_"]])
    }
  }

  @Test func aBrokenFileChangesNothingAndABadServiceStays() async throws {
    try await withWorld { world in
      world.configure(world.service("web"), world.service("other"))
      let (web, other) = (try await world.observe("/nerve/web"), try await world.observe("/nerve/other"))
      let agent = try world.agent()
      for observer in [web, other] {
        try await observer.sees(1, "registered")
        observer.mark()
      }
      writeFile(world.configurationPath, "{\"instance_id\": ")
      await agent.reload()
      #expect(agent.runner("web") != nil)
      world.configure(world.service("web", more: #", "weight": "heavy""#))
      await agent.reload()
      try await other.sees(0, "what is no longer in the file goes")
      #expect(web.history == [["host1_0000000000"]])
    }
  }

  // MARK: Access

  @Test func registrationsMayBeProtected() async throws {
    try await withWorld { world in
      writeFile(world.directory.path + "/secret", "nerve:secret\n")
      world.configure(world.service("web"), more: #", "zk_auth_file": "\#(world.directory.path)/secret""#)
      let observer = try await world.observe("/nerve/web")
      _ = try world.agent()
      let names = try await observer.sees(1, "registered")
      let path = "/nerve/web/" + names[0]
      let stranger = ZooKeeperClient(
        ensemble: try ServerList([world.server.connection]), sessionTimeout: .seconds(30), logger: silent)
      stranger.start()
      try await eventually("connected") { (try? await stranger.read(path)) != nil }
      await #expect(throws: ZooKeeperError(code: .noAuth, operation: "set", path: path)) {
        try await stranger.set(path, to: [])
      }
      await stranger.close()
    }
  }

  // MARK: Outages

  @Test func aPauseAndARestartOfTheServerChangeNothing() async throws {
    try await withWorld { world in
      let target = try world.target()
      world.configure(world.service("web", check: world.http(target)))
      let observer = try await world.observe("/nerve/web")
      let agent = try world.agent()
      let before = try await observer.sees(1, "registered")
      observer.mark()
      world.server.pause()
      try await eventually("the pause is noticed") { agent.isConnected == false }
      world.server.resume()
      try await eventually("connected again") { agent.isConnected == true }
      try await world.server.restart()
      try await eventually("connected after the restart") { agent.isConnected == true }
      #expect(try await observer.sees(1, "still registered") == before)
      #expect(observer.most == 1)
    }
  }

  @Test func whatHappensDuringAnOutageIsSaidAfterIt() async throws {
    try await withWorld { world in
      let (web, geo) = (try world.target(), try world.target())
      geo.status = 503
      world.configure(world.service("web", check: world.http(web)), world.service("geo", check: world.http(geo)))
      let (webNodes, geoNodes) = (try await world.observe("/nerve/web"), try await world.observe("/nerve/geo"))
      let agent = try world.agent(sessionTimeout: .seconds(30))
      try await webNodes.sees(1, "registered")
      @LoopActor func place() -> String? {
        agent.statusReport()["services"]?.array?.first { $0["name"]?.string == "web" }?["place"]?.string
      }
      try await eventually("its node is shown") { place() == "/nerve/web/host1_0000000000" }
      await world.server.kill()
      try await eventually("no node is shown that may be gone") { place() == nil }
      web.status = 503
      geo.status = 200
      try await eventually("the checks went on") {
        agent.runner("web")?.reported == .down && agent.runner("geo")?.reported == .up
      }
      try await world.server.start()
      try await webNodes.sees(0, "gone")
      try await geoNodes.sees(1, "registered")
      #expect(webNodes.most == 1 && geoNodes.most == 1)
    }
  }

  @Test func anExpiredSessionIsFollowedByOneNewRegistration() async throws {
    try await withWorld { world in
      world.configure(world.service("web"))
      let observer = try await world.observe("/nerve/web")
      let agent = try world.agent()
      try await observer.sees(1, "registered")
      for round in 1...3 {
        let session = try #require(agent.session)
        observer.mark()
        try await world.server.expireSession(session.id, password: session.password)
        try await eventually("registered again: \(observer.history)") {
          observer.now == ["host1_000000000\(round)"]
        }
        #expect(observer.most == 1)
      }
    }
  }

  // MARK: Successors

  @Test func aSuccessorCarriesTheSessionOn() async throws {
    try await withWorld { world in
      let (web, geo) = (try world.target(), try world.target())
      world.configure(world.service("web", check: world.http(web)), world.service("geo", check: world.http(geo)))
      let (webNodes, geoNodes) = (try await world.observe("/nerve/web"), try await world.observe("/nerve/geo"))
      let first = try world.agent(sessionTimeout: .seconds(30))
      try await webNodes.sees(1, "registered")
      try await geoNodes.sees(1, "registered")
      let session = try #require(first.session)
      await first.abandon()
      for observer in [webNodes, geoNodes] { observer.mark() }
      // One of them died with the agent: its registration must not outlive the successor's first look.
      geo.status = 503
      let second = try world.agent(sessionTimeout: .seconds(30))
      try await geoNodes.sees(0, "the dead one is gone")
      try await eventually("the living one is taken over") { second.runner("web")?.registrar.state.isSettled == true }
      #expect(second.session?.id == session.id)
      #expect(webNodes.history == [["host1_0000000000"]])
    }
  }

  @Test func theSavedSessionIsForTheOwnerOnlyAndGoesWithAnOrderlyEnd() async throws {
    try await withWorld { world in
      world.configure(world.service("web"))
      let observer = try await world.observe("/nerve/web")
      let agent = try world.agent()
      try await observer.sees(1, "registered")
      func files() throws -> [String] {
        try Files.list(world.directory.path + "/state").filter { $0.hasPrefix("session-") }
      }
      let file = try #require(try files().first)
      var status = stat()
      stat(world.directory.path + "/state/" + file, &status)
      #expect(status.st_mode & 0o777 == 0o600)
      await agent.stop()
      #expect(try files().isEmpty)
    }
  }

  @Test func aSecondNerveOfTheSameInstanceRefusesToStart() async throws {
    try await withWorld { world in
      world.configure(world.service("web"))
      _ = try world.agent()
      let error = try #require(throws: OperatorError.self) { _ = try world.agent() }
      #expect(error.description.contains("another agent of this instance runs as pid \(getpid())"))
    }
  }
}
