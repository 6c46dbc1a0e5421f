import Reactor
import TestSupport
import Testing
import YAMLConfig
import ZooKeeper

@testable import Registry

@Suite("zk_tls") struct ZooKeeperTLSTests {
  private let directory = TemporaryDirectory()

  private func read(_ text: String) throws -> (entries: [ZooKeeperTLS], unknown: [String]) {
    for name in ["ca", "key"] { writeFile("\(directory.path)/\(name)", "") }
    let text = "zk_tls: " + text.replacing("DIRECTORY", with: directory.path)
    let section = try ConfigSection(YAMLDocument(Array(text.utf8), file: "conf").root)
    return (try section.zooKeeperTLS(), section.unknownKeys().map(\.description))
  }

  @Test func oneMappingForAllAndAListBySomeServer() throws {
    #expect(try read("null").entries.isEmpty)
    let one = try read("{}").entries
    #expect(one.map(\.servers) == [nil] && one[0].options.verify && one[0].options.authorityFile == nil)
    let list = try read(
      "[{ca: DIRECTORY/ca, certificate: DIRECTORY/ca, key: DIRECTORY/key, server_name: zk, hosts: ['a:1', b]}, {cax: 1}]"
    )
    #expect(list.entries.map(\.servers) == [try ServerList(["a:1", "b"]), nil])
    #expect(list.entries[0].options.serverName == "zk")
    #expect(list.entries[0].options.keyFile == directory.path + "/key")
    #expect(list.unknown.count == 1 && list.unknown[0].contains("cax"))
  }

  @Test(arguments: [
    ("{ca: DIRECTORY/none}", "zk_tls.ca: "), ("{key: DIRECTORY/key}", "zk_tls.key: there is no certificate"),
    ("[{hosts: ['tcp://a']}]", "zk_tls[0].hosts: "), ("true", "zk_tls: "),
  ])
  func aMistakeIsNamedWithItsPlace(_ text: String, _ words: String) {
    do {
      _ = try read(text)
      Issue.record("\(text) was taken")
    } catch {
      #expect("\(error)".contains("conf:1:") && "\(error)".contains(words), "\(error)")
    }
  }
}
