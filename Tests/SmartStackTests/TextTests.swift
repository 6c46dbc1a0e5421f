import SmartStack
import Testing

@Suite struct TextTests {
  @Test(arguments: [
    ("plain", "plain"), ("a\nb\r\tc", "a\\nb\\r\\tc"), ("\u{1b}[2J", "\\u{1b}[2J"), ("nel\u{85}", "nel\\u{85}"),
    ("ls\u{2028}ps\u{2029}", "ls\\u{2028}ps\\u{2029}"), ("bidi\u{202e}\u{2066}", "bidi\\u{202e}\\u{2066}"),
    ("größe €", "größe €"), ("0123456789", "0123456789"), ("0123456789a", "0123456789…"),
  ]) func oneLineShowsWhatWouldBreakIt(_ text: String, _ line: String) {
    #expect(text.oneLine(limit: 10) == line)
    #expect(!text.oneLine().unicodeScalars.contains { $0.breaksLine })
  }

  @Test(
    arguments: [
      ("wbe.main", "web.main"), ("timeot", "timeout"), ("retiers", "retries"), ("wbe", nil), ("else", nil),
    ] as [(String, String?)]) func aSlipIsRecognized(_ word: String, _ meant: String?)
  {
    #expect(word.nearest(in: ["web.main", "timeout", "retries", "web"]) == meant)
  }

  @Test func quotedTextStandsInBackquotesAndIsCut() {
    #expect("a\nb".quoted == "`a\\nb`")
    #expect(String(repeating: "x", count: 121).quoted == "`\(String(repeating: "x", count: 120))…`")
  }

  @Test(arguments: [
    ("a", true), ("a\tb", true), ("größe €", true), ("a\nb", false), ("a\r", false), ("\u{85}", false),
    ("\u{2028}", false),
    ("\u{2029}", false), ("\u{202e}x", false), ("\u{2066}", false), ("\u{7f}", false), ("\u{0}", false),
  ]) func oneLineIsWhatNothingBreaks(_ text: String, _ isOneLine: Bool) { #expect(text.isOneLine == isOneLine) }

  @Test func aTerminalIsShownControls() {
    #expect("a\tb\nc\u{1b}[2J\u{2028}\r\n".withoutControls == "a\tb\nc\\u{1b}[2J\\u{2028}\n")
    #expect("plain\n".withoutControls == "plain\n")
    #expect("a\u{202e}b\u{7}".htmlEscaped == "a\u{FFFD}b\u{FFFD}")
  }

  @Test func onlyLineFeedsEndALine() {
    #expect("a\u{2028}b\u{85}c\rd\r\ne\n\n".lines == ["a\u{2028}b\u{85}c\rd", "e", "", ""])
    #expect("".lines == [""])
  }

  @Test func theFirstLineIsTheFirstThatIsNotBlank() {
    #expect("\n  \r\n  one\u{7} \ntwo".firstLine() == "one\\u{7}")
    #expect(" \n\t\u{0}\n".firstLine() == nil)
  }

  @Test(arguments: [("", ""), (" \t\r\n", ""), (" a b\n", "a b"), ("\u{a0}x\u{a0}", "\u{a0}x\u{a0}")])
  func onlyASCIIWhiteSpaceIsTrimmed(_ text: String, _ trimmed: String) { #expect(text.trimmedBlanks == trimmed) }
}

@Suite struct DigestTests {
  @Test func stableHashIsFNV1a() {
    #expect(StableHash().value == 0xcbf2_9ce4_8422_2325)
    #expect(StableHash("a").hexadecimal == "af63dc4c8601ec8c")
    #expect(StableHash("foobar").hexadecimal == "85944171f73967e8")
  }

  @Test func sharesAreSpreadEvenly() {
    let shares = (0..<10_000).map { StableHash("host\($0)").share }
    #expect(shares.allSatisfy { (0..<1).contains($0) })
    for tenth in 0..<10 { #expect((800...1200).contains(shares.count { Int($0 * 10) == tenth })) }
  }

  @Test func digestsAreThoseOfTheStandards() {
    let text = Array("abc".utf8)
    #expect(MessageDigest.sha1.hash(text).hexadecimal == "a9993e364706816aba3e25717850c26c9cd0d89d")
    #expect(MessageDigest.md5.hash(text).hexadecimal == "900150983cd24fb0d6963f7d28e17f72")
    #expect(
      MessageDigest.sha256.hash(text).hexadecimal
        == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    // RFC 4231, test case 2.
    let code = MessageDigest.sha256.authenticate(Array("what do ya want for nothing?".utf8), key: Array("Jefe".utf8))
    #expect(code.hexadecimal == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
  }

  @Test func aKeyThatIsNotRSAEncryptsNothing() {
    #expect([1, 2, 3].encryptedRSA(forKey: Array("no key".utf8)) == nil)
  }
}

@Suite struct IPAddressTests {
  @Test(arguments: [
    ("10.0.0.1", "10.0.0.1"), ("2001:DB8:0:0::1", "2001:db8::1"), ("::", "::"), ("::ffff:a00:1", "::ffff:10.0.0.1"),
  ]) func addressesHaveOneText(_ text: String, _ canonical: String) throws {
    let address = try #require(IPAddress(text))
    #expect(address.description == canonical)
    #expect(IPAddress(canonical) == address)
  }

  @Test(arguments: [
    "", "10.1", "010.0.0.1", "10.0.0.256", " 10.0.0.1", "fe80::1%lo", "[::1]", "1::2::3", "10.0.0.1\0", "web",
  ]) func otherTextIsNotAnAddress(_ text: String) { #expect(IPAddress(text) == nil) }

  @Test func mappedAddressesAreIPv4Addresses() throws {
    #expect(IPAddress("::ffff:10.0.0.1") != IPAddress("10.0.0.1"))
    #expect(IPAddress("::ffff:10.0.0.1")?.unmapped == IPAddress("10.0.0.1"))
    #expect(IPAddress("::1")?.unmapped == IPAddress("::1"))
  }

  @Test func bytesAndTextGiveTheSameAddress() {
    #expect(IPAddress(bytes: [10, 0, 0, 1]) == IPAddress("10.0.0.1"))
    #expect(IPAddress(bytes: [0x20, 1] + Array(repeating: 0, count: 13) + [7]) == IPAddress("2001::7"))
    #expect(IPAddress(bytes: [1, 2, 3]) == nil)
  }

  @Test(arguments: [
    ("10.1.2.3", "10.1.3.3", 23, true), ("10.1.2.3", "10.1.3.3", 24, false), ("1.2.3.4", "4.3.2.1", 0, true),
    ("2001:db8::1", "2001:db8::2", 126, true), ("2001:db8::1", "2001:db8::2", 127, false), ("::1", "0.0.0.1", 0, false),
  ]) func prefixesAreCountedInBits(_ one: String, _ other: String, _ bits: Int, _ shares: Bool) throws {
    #expect(try #require(IPAddress(one)).shares(prefix: bits, with: try #require(IPAddress(other))) == shares)
  }
}
