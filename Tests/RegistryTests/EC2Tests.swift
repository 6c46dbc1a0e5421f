import Glibc
import Reactor
import SmartStack
import TestSupport
import Testing

@testable import Registry

@Suite("ec2tag discovery", .timeLimit(.minutes(2 * patience))) struct EC2Tests {
  private static func item(_ id: String, _ address: String?, state: String = "running") -> String {
    """
    <item><reservationId>r-1</reservationId><instancesSet><item><instanceId>\(id)</instanceId>
    <instanceState><code>16</code><name>\(state)</name></instanceState>
    <privateDnsName>ip-\(id).internal</privateDnsName>\(address.map { "<privateIpAddress>\($0)</privateIpAddress>" } ?? "")
    <networkInterfaceSet><item><privateIpAddress>9.9.9.9</privateIpAddress></item></networkInterfaceSet>
    <tagSet/></item></instancesSet></item>
    """
  }

  private static func page(_ items: [String], next: String = "") -> String {
    """
    <?xml version="1.0" encoding="UTF-8"?>
    <DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>x</requestId>
    <reservationSet>\(items.joined())</reservationSet>\(next)</DescribeInstancesResponse>
    """
  }

  /// The example of Amazon's own description.
  @Test func signaturesAreThoseOfAmazonsExample() {
    let signature = RequestSignature(
      credentials: AWSCredentials(keyID: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"),
      region: "us-east-1", service: "iam")
    let headers = signature.headers(
      method: "GET", query: "Action=ListUsers&Version=2010-05-08",
      headers: [
        "content-type": "application/x-www-form-urlencoded; charset=utf-8", "host": "iam.amazonaws.com",
      ], body: [], unixTime: 1_440_938_160)
    #expect(
      headers.last?.value == "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, "
        + "SignedHeaders=content-type;host;x-amz-date, "
        + "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7")
    let object = RequestSignature(
      credentials: AWSCredentials(keyID: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
      region: "us-east-1", service: "s3")
    #expect(
      object.headers(
        method: "GET", path: "/test.txt", headers: ["host": "examplebucket.s3.amazonaws.com", "range": "bytes=0-9"],
        body: [], unixTime: 1_369_353_600
      ).last?.value.hasSuffix("=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41") == true)
    #expect(RequestSignature.moment(1_709_164_799) == "20240228T235959Z")
    #expect(RequestSignature.moment(1_709_164_800) == "20240229T000000Z")
    #expect(RequestSignature.moment(1_735_689_599) == "20241231T235959Z")
    #expect(RequestSignature.moment(0) == "19700101T000000Z")
    #expect("a b/ü~".percentEncoded() == "a%20b%2F%C3%BC~")
  }

  @Test func aPageHoldsItsRunningInstances() throws {
    let text = EC2Tests.page(
      [
        EC2Tests.item("i-1", "10.0.0.1"), EC2Tests.item("i-2", "10.0.0.2", state: "stopped"), EC2Tests.item("i-3", nil),
      ],
      next: "<nextToken>a&amp;b&#x3d;</nextToken>")
    let page = try EC2Page(Array(text.utf8))
    #expect(page.instances.map(\.id) == ["i-1", "i-3"])
    #expect(page.instances.map(\.address) == ["10.0.0.1", ""])
    #expect(page.nextToken == "a&b=")
    #expect(try EC2Page(Array("<!-- x --><DescribeInstancesResponse/>\n".utf8)).instances.isEmpty)
    for bad in [
      "", "x", "<a/>", "<DescribeInstancesResponse>", "<DescribeInstancesResponse/><b/>", "<a></b>", "<!--",
      String(text.dropLast(20)), String(repeating: "<a>", count: 100),
    ] {
      #expect(throws: RegistryError.self) { try EC2Page(Array(bad.utf8)) }
    }
  }

  @Test func spoiledPagesHoldOneInstanceAtMost() {
    let seed = getenv("SMARTSTACK_FUZZ_SEED").flatMap { UInt64(String(cString: $0)) } ?? 1
    let rounds = getenv("SMARTSTACK_FUZZ_ROUNDS").flatMap { Int(String(cString: $0)) } ?? 2_000
    let sample = Array(EC2Tests.page([EC2Tests.item("i-1", "10.0.0.1")], next: "<nextToken>&#1;</nextToken>").utf8)
    var generator = SeededGenerator(seed: seed)
    for round in 0..<rounds {
      var bytes = sample
      for _ in 0..<Int.random(in: 1...4, using: &generator) {
        let place = Int.random(in: 0..<bytes.count, using: &generator)
        if Bool.random(using: &generator) {
          bytes[place] = "<>/&;!?-\"\0".utf8.randomElement(using: &generator) ?? 0
        } else {
          bytes.removeSubrange(place..<min(bytes.count, place + Int.random(in: 1...30, using: &generator)))
        }
        if bytes.isEmpty { break }
      }
      guard let page = try? EC2Page(bytes) else { continue }
      #expect(page.instances.count <= 1, "seed \(seed), round \(round)")
    }
  }
}
