import Reactor
import SmartStack
import TestSupport
import Testing

@Suite struct ManualPageTests {
  private static let root = "/" + #filePath.split(separator: "/").dropLast(3).joined(separator: "/")

  @Test(.enabled(if: Files.exists("/usr/bin/man"), "man is not installed")) func everyPageIsRendered() async throws {
    let output = TemporaryDirectory()
    let made = try await ChildProcess.run(
      "/usr/bin/python3",
      arguments: [
        "-B", ManualPageTests.root + "/packaging/manpages", Files.parent(of: BuiltProgram.path("nerve")), output.path,
      ], deadline: .seconds(300))
    #expect(made.status == .exited(0), "\(String(decoding: made.errorOutput, as: UTF8.self))")
    let pages = try Files.list(output.path)
    #expect(pages.contains("hadown.1") && pages.contains("nerve.8") && pages.contains("nerve.conf.json.5"))
    for page in pages {
      let shown = try await ChildProcess.run(
        "/usr/bin/env",
        arguments: [
          "LC_ALL=C.UTF-8", "MANWIDTH=200", "man", "--warnings", "-E", "UTF-8", "-l", "\(output.path)/\(page)",
        ], deadline: .seconds(60), outputLimit: 1 << 20)
      #expect(shown.errorOutput.isEmpty, "\(page): \(String(decoding: shown.errorOutput, as: UTF8.self))")
      let lines = Set(String(decoding: shown.output, as: UTF8.self).split(separator: "\n").map(\.trimmedBlanks))
      // What is pasted is what was written: each line of an example is a line of the page.
      let source =
        "\(ManualPageTests.root)/packaging/man/\(page.split(separator: ".").dropLast().joined(separator: ".")).md"
      let text = String(decoding: (try? Files.read(source, limit: 1 << 20)) ?? [], as: UTF8.self)
      for line in text.split(separator: "\n") where line.hasPrefix("    ") {
        #expect(lines.contains(line.trimmedBlanks), "\(page) has the line \(line)")
      }
    }
  }
}
