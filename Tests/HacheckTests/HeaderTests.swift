import SmartStack
import Testing

@testable import Hacheck

@Suite struct ServerStateTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let header: String
    let address: String?
    let port: Int?
    var testDescription: String { header }

    init(_ header: String, _ address: String?, _ port: Int?) {
      self.header = header
      self.address = address
      self.port = port
    }
  }

  static let cases = [
    Case(
      "UP 2/3; address=127.0.0.1; port=8080; name=svc.main/10.1.2.3:8080; node=lb1; weight=1/2; scur=13/22; qcur=0",
      "127.0.0.1", 8080),
    Case("DOWN 1/2; address=10.0.0.5; port=31000", "10.0.0.5", 31000),
    Case("UP; address=::1; port=80", "::1", 80),
    Case("UP; address=fe80:0::1", "fe80::1", nil),
    Case("UP; address=::ffff:10.0.0.1", "10.0.0.1", nil),
    Case("NOLB", nil, nil), Case("", nil, nil), Case(";;;", nil, nil), Case("=", nil, nil),
    Case("UP; port=", nil, nil), Case("UP; address=", nil, nil),
    Case("UP; port= 8080 ", nil, 8080),
    Case("UP; port =8080", nil, nil), Case("UP; PORT=8080", nil, nil),
    Case("UP; port=1; port=2", nil, 2), Case("UP; port=1; port=", nil, nil),
    Case("UP; port=1=2", nil, nil),
    Case("UP; port=0", nil, 0), Case("port=65535", nil, 65535),
  ]

  @Test(arguments: cases) func readsWhatHAProxySends(_ c: Case) throws {
    let state = try ServerState(haproxy: c.header)
    #expect(state.address?.description == c.address)
    #expect(state.port == c.port)
  }

  @Test(arguments: [
    "UP; address=srv2", "UP; address=10.0.0.256", "UP; address=10.1", "UP; address=[::1]", "UP; address=../x",
    "UP; address=user:pw@127.0.0.1", "UP; port=-5", "UP; port=65536", "UP; port=http", "UP; port=8 0", "UP; port=٣",
    "UP; port=99999999999999999999",
  ]) func refusesWhatIsNoAddressOrPort(_ header: String) {
    #expect(throws: Refusal.self) { try ServerState(haproxy: header) }
  }

  @Test func readsNervesHeader() throws {
    #expect(try ServerState(nerve: "10.0.0.5").address?.description == "10.0.0.5")
    #expect(try ServerState(nerve: " 10.0.0.5 ").address?.description == "10.0.0.5")
    #expect(try ServerState(nerve: "").address == nil)
    let refusal = #expect(throws: Refusal.self) { try ServerState(nerve: "no such\u{7}host") }
    #expect(refusal?.sentence == "X-Nerve-Check-IP names `no such\\u{7}host`, which is not an IP address")
  }
}

@Suite struct AddressRangeTests {
  struct Case: Sendable, CustomTestStringConvertible {
    let range: String
    let inside: [String]
    let outside: [String]
    var testDescription: String { range }
  }

  static let cases = [
    Case(
      range: "10.0.0.0/8", inside: ["10.0.0.0", "10.255.255.255"], outside: ["9.255.255.255", "11.0.0.0", "::10.0.0.1"]),
    Case(range: "10.1.2.3", inside: ["10.1.2.3", "::ffff:10.1.2.3"], outside: ["10.1.2.4"]),
    Case(range: "10.1.2.3/31", inside: ["10.1.2.2", "10.1.2.3"], outside: ["10.1.2.1", "10.1.2.4"]),
    Case(range: "0.0.0.0/0", inside: ["1.2.3.4"], outside: ["::1"]),
    Case(range: "fd00::/8", inside: ["fd12::1"], outside: ["fe00::1", "10.0.0.1"]),
    Case(range: "2001:db8::/65", inside: ["2001:db8::1"], outside: ["2001:db8:0:0:8000::1", "2001:db9::1"]),
    Case(range: "::1/128", inside: ["::1"], outside: ["::2"]),
    Case(range: "::/0", inside: ["::1", "ffff::"], outside: ["1.2.3.4"]),
  ]

  @Test(arguments: cases) func knowsWhatIsInside(_ c: Case) throws {
    let range = try #require(AddressRange(c.range))
    for address in c.inside { #expect(range.contains(try #require(IPAddress(address))), "\(address)") }
    for address in c.outside { #expect(!range.contains(try #require(IPAddress(address))), "\(address)") }
  }

  @Test(arguments: ["", "/8", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/", "10.0.0/8", "::/129", "host", "10.0.0.0/8/8"])
  func refusesWhatIsNoNetwork(_ text: String) {
    #expect(AddressRange(text) == nil)
  }

  @Test func loopbackIsLoopback() throws {
    for address in ["127.0.0.1", "127.255.0.9", "::1", "::ffff:127.0.0.1"] {
      #expect(try #require(IPAddress(address)).unmapped.isLoopback)
    }
    for address in ["128.0.0.1", "::2", "10.0.0.127"] { #expect(try !#require(IPAddress(address)).isLoopback) }
  }
}
