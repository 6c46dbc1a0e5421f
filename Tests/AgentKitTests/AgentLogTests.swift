import Glibc
import Logging
import Reactor
import TestSupport
import Testing

@testable import AgentKit

@Suite struct AgentLogTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let metadata: Logger.Metadata
    let text: String
    let json: String
  }

  static let cases = [
    Case(
      testDescription: "plain words stand bare, sorted by key",
      metadata: ["service": "web.main", "check": "http"],
      text: "service is up check=http service=web.main",
      json: #""message":"service is up","check":"http","service":"web.main"}"#),
    Case(
      testDescription: "blanks and quotes are quoted",
      metadata: ["reason": #"said "no" twice"#],
      text: #"service is up reason="said \"no\" twice""#,
      json: #""message":"service is up","reason":"said \"no\" twice"}"#),
    Case(
      testDescription: "a line break cannot forge a line",
      metadata: ["reason": "a\nb\u{1B}[31m"],
      text: #"service is up reason="a\nb\u001b[31m""#,
      json: #""message":"service is up","reason":"a\nb\u001b[31m"}"#),
    Case(
      testDescription: "an empty value is visible", metadata: ["reason": ""],
      text: #"service is up reason="""#, json: #""message":"service is up","reason":""}"#),
  ]

  @Test(arguments: cases) func aLine(_ c: Case) {
    let line = written(.text, c.metadata)
    #expect(line == "2026-11-21T02:11:00.007Z notice nerve: \(c.text)\n")
    let json = written(.json, c.metadata)
    #expect(json == #"{"time":"2026-11-21T02:11:00.007Z","level":"notice","agent":"nerve","# + c.json + "\n")
  }

  @Test func theJournalHasTheTimeAndIsToldThePriority() {
    #expect(written(.text, ["service": "web"], isForJournal: true) == "<5>notice nerve: service is up service=web\n")
    #expect(
      written(.json, [:], isForJournal: true).hasPrefix(#"<5>{"time":"2026-11-21T02:11:00.007Z","level":"notice""#))
    let dropped = String(
      decoding: LineLogHandler.dropped(3, agent: "nerve", format: .text, isForJournal: true), as: UTF8.self)
    #expect(dropped.hasPrefix("<4>warning nerve: log lines were dropped"))
  }

  @Test func theJournalIsKnownByItsDeviceAndInode() throws {
    let directory = TemporaryDirectory()
    let path = directory.path + "/stream"
    let descriptor = open(path, O_CREAT | O_WRONLY, 0o600)
    defer { close(descriptor) }
    var status = stat()
    #expect(fstat(descriptor, &status) == 0)
    let stream = "\(status.st_dev):\(status.st_ino)"
    #expect(AgentLog.isJournal(descriptor, environment: ["JOURNAL_STREAM": stream]))
    #expect(!AgentLog.isJournal(descriptor, environment: ["JOURNAL_STREAM": stream + "0"]))
    #expect(!AgentLog.isJournal(descriptor, environment: [:]))
  }

  private func written(_ format: LogFormat, _ metadata: Logger.Metadata, isForJournal: Bool = false) -> String {
    let lines = Locked<[UInt8]>([])
    var handler = LineLogHandler(agent: "nerve", format: format, level: .info) { line in
      lines.withLock { $0 += line }
    }
    handler.isForJournal = isForJournal
    handler.now = { timespec(tv_sec: 1_795_227_060, tv_nsec: 7_900_000) }
    var logger = Logger(label: "test", factory: { _ in handler })
    logger.logLevel = .info
    logger.notice("service is up", metadata: metadata)
    return String(decoding: lines.withLock { $0 }, as: UTF8.self)
  }
}
