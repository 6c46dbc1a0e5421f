import SmartStack
import TestSupport
import Testing

/// What came of a registration: the backend's facts in one line, or the problem's sentence.
private func decoded(_ payload: String, name: String = "n_0000000007") -> String {
  do throws(OperatorError) {
    return shown(try RegistrationCodec.decode(payload: Array(payload.utf8), name: name))
  } catch {
    return error.description
  }
}

private func shown(_ decoded: DecodedBackend) -> String {
  let backend = decoded.backend
  var text = "\(backend.serverName) #\(backend.id.map(String.init) ?? "-")"
  if let weight = backend.weight { text += " weight \(weight)" }
  if let options = backend.haproxyServerOptions { text += " options [\(options)]" }
  if let labels = backend.labels { text += " labels \(labels.json)" }
  for sentence in decoded.ignored { text += "; \(sentence)" }
  return text
}

@Suite struct RegistrationCodecTests {
  static let payloads = [
    (#"{"host": "10.0.0.1", "port": 8001, "name": "i-1"}"#, "i-1_10.0.0.1:8001 #7"),
    (#"{"host":"::1","port":80,"name":"six"}"#, "six_::1:80 #7"),
    (#"{"host":"2001:db8::5","port":8080}"#, "2001:db8::5:8080 #7"),
    (#"{"host":"web-1.example.com.","port":1,"name":null}"#, "web-1.example.com.:1 #7"),
    (#"{"host":"h","port":65535,"name":""}"#, "h:65535 #7"),
    (#"{"port":"8080","host":"10.0.0.61","name":"pstr","extra":{"x":[1,{"y":null}]}}"#, "pstr_10.0.0.61:8080 #7"),
    (#"{"host":"h","port":1,"host":"i"}"#, "i:1 #7"),
    ("{\"host\":\"h\",\"port\":1}\n", "h:1 #7"),
    // labels: order and JSON types stay
    (
      #"{"host":"h","port":1,"labels":{"b":"2","a":1,"n":null,"d":{"x":[1,null]}}}"#,
      #"h:1 #7 labels {"b":"2","a":1,"n":null,"d":{"x":[1,null]}}"#
    ),
    (#"{"host":"h","port":1,"labels":null}"#, "h:1 #7"),
    (
      #"{"host":"h","port":1,"labels":{"städt":"zürich / \"q\" \\ \u2028"}}"#,
      "h:1 #7 labels {\"städt\":\"zürich / \\\"q\\\" \\\\ \u{2028}\"}"
    ),
    // weight: a bad one costs only itself
    (#"{"host":"h","port":1,"weight":0}"#, "h:1 #7 weight 0"),
    (#"{"host":"h","port":1,"weight":-1}"#, "h:1 #7; weight -1 is not a non-negative integer"),
    (#"{"host":"h","port":1,"weight":"9"}"#, "h:1 #7; weight \"9\" is not a non-negative integer"),
    (#"{"host":"h","port":1,"weight":2.5}"#, "h:1 #7; weight 2.5 is not a non-negative integer"),
    (
      #"{"host":"h","port":1,"weight":99999999999999999999}"#,
      "h:1 #7; weight 99999999999999999999 is not a non-negative integer"
    ),
    (#"{"host":"h","port":1,"weight":null}"#, "h:1 #7"),
    // options: text is checked, anything else costs only itself
    (
      #"{"host":"h","port":1,"haproxy_server_options":"backup weight 50  maxconn 9"}"#,
      "h:1 #7 options [backup weight 50  maxconn 9]"
    ),
    (
      #"{"host":"h","port":1,"haproxy_server_options":"check port %{port} addr %{host} %% %{name}"}"#,
      "h:1 #7 options [check port %{port} addr %{host} %% %{name}]"
    ),
    (
      #"{"host":"h","port":1,"haproxy_server_options":["backup"]}"#,
      "h:1 #7; haproxy_server_options [\"backup\"] is not text"
    ),
    (#"{"host":"h","port":1,"haproxy_server_options":null}"#, "h:1 #7"),
  ]

  @Test(arguments: payloads) func registrationsAreRead(_ payload: String, _ expected: String) {
    #expect(decoded(payload) == expected)
  }

  static let refusals = [
    (#"{"host": "10.0.0.66", "#, "the data (22 bytes) is not JSON"),
    ("", "the data (0 bytes) is not JSON"),
    ("hello", "the data (5 bytes) is not JSON"),
    ("{}x", "the data (3 bytes) is not JSON"),
    ("[1,2", "the data (4 bytes) is not JSON"),
    ("[1,2]", "the JSON is not an object"),
    ("17", "the JSON is not an object"),
    ("null", "the JSON is not an object"),
    ("{}", "it has no host"),
    (#"{"port":1}"#, "it has no host"),
    (#"{"host":"h"}"#, "it has no port"),
    (#"{"host":null,"port":1}"#, "its host is null, and an address or a DNS name is needed"),
    (#"{"host":12,"port":1}"#, "its host is 12, and an address or a DNS name is needed"),
    (#"{"host":{"a":1},"port":1}"#, "its host is {\"a\":1}, and an address or a DNS name is needed"),
    (#"{"host":"","port":1}"#, "its host is \"\", and an address or a DNS name is needed"),
    (#"{"host":"a b","port":1}"#, "its host is \"a b\", and an address or a DNS name is needed"),
    (#"{"host":"a\nb","port":1}"#, "its host is \"a\\nb\", and an address or a DNS name is needed"),
    (#"{"host":"h","port":null}"#, "its port is null, and a number from 1 to 65535 is needed"),
    (#"{"host":"h","port":-1}"#, "its port is -1, and a number from 1 to 65535 is needed"),
    (#"{"host":"h","port":0}"#, "its port is 0, and a number from 1 to 65535 is needed"),
    (#"{"host":"h","port":99999}"#, "its port is 99999, and a number from 1 to 65535 is needed"),
    (#"{"host":"h","port":"http"}"#, "its port is \"http\", and a number from 1 to 65535 is needed"),
    (#"{"host":"h","port":80.5}"#, "its port is 80.5, and a number from 1 to 65535 is needed"),
    (#"{"host":"h","port":"+80"}"#, "its port is \"+80\", and a number from 1 to 65535 is needed"),
    (#"{"host":"h","port":"８０"}"#, "its port is \"８０\", and a number from 1 to 65535 is needed"),
    (#"{"host":"h","port":""}"#, "its port is \"\", and a number from 1 to 65535 is needed"),
    (
      #"{"host":"h","port":1,"name":7}"#,
      "its name is 7, and only letters, digits and _.:- can stand in a server's name"
    ),
    (
      #"{"host":"h","port":1,"name":"a b\nc"}"#,
      "its name is \"a b\\nc\", and only letters, digits and _.:- can stand in a server's name"
    ),
    (
      #"{"host":"h","port":1,"name":"bücher-ñ"}"#,
      "its name is \"bücher-ñ\", and only letters, digits and _.:- can stand in a server's name"
    ),
    (#"{"host":"h","port":1,"labels":"az"}"#, "its labels is \"az\", and an object is needed"),
    (#"{"host":"h","port":1,"labels":["az"]}"#, "its labels is [\"az\"], and an object is needed"),
    (
      #"{"host":"h","port":1,"haproxy_server_options":"%{nope}"}"#,
      "its haproxy_server_options is \"%{nope}\", and %{host}, %{port} and %{name} are the only templates"
    ),
    (
      #"{"host":"h","port":1,"haproxy_server_options":"50% off"}"#,
      "its haproxy_server_options is \"50% off\", and %{host}, %{port} and %{name} are the only templates"
    ),
  ]

  @Test(arguments: refusals) func otherPayloadsAreRefusedWithTheReason(_ payload: String, _ sentence: String) {
    #expect(decoded(payload) == sentence)
  }

  @Test(arguments: [
    "\n", "\r", "\0", "\t", "\"", "'", "\\", "#", ";", "$", "<", ">", "`", "\u{7F}", "\u{85}", "\u{2028}", "ü",
  ])
  func noCharacterGetsThroughThatWouldEndAWordALineOrACommand(_ character: String) {
    #expect(ServerText.troubleWithOptions("backup" + character) != nil)
    #expect(!ServerText.isHost("h" + character))
    #expect(!ServerText.isName("n" + character))
    #expect(ServerText.isName("n") && ServerText.isHost("h") && ServerText.troubleWithOptions("backup") == nil)
  }

  @Test func optionsBeyond1024CharactersAreRefused() {
    #expect(ServerText.troubleWithOptions(String(repeating: "a", count: 1025)) != nil)
    #expect(!ServerText.isName(String(repeating: "a", count: 256)) && !ServerText.isName(""))
  }

  @Test(arguments: [
    ("10.0.0.1", true), ("255.255.255.255", true), ("::", true), ("fe80::1", true), ("::ffff:10.0.0.1", true),
    ("h", true),
    ("a_b.c-d.e1", true), ("localhost.", true), ("1a", true), ("xn--bcher-kva.example", true),
    ("256.0.0.1", false), ("10.0.0", false), ("12", false), ("a.1", false), ("fe80::1%eth0", false), ("[::1]", false),
    ("-a", false), ("a-", false), ("a..b", false), (".", false), ("a b", false), ("a:b", false), ("1:2:3", false),
    ("bücher", false), (String(repeating: "a", count: 64), false),
    (String(repeating: "abcdefgh.", count: 28) + "a", true), (String(repeating: "abcdefgh.", count: 28) + "ab", false),
  ])
  func addressesAndDNSNamesAreHosts(_ text: String, _ isHost: Bool) {
    #expect(ServerText.isHost(text) == isHost)
  }

  @Test(arguments: [
    ("10.0.0.9 ", "10.0.0.9"), ("\tweb\n", "web"), ("[::1]", "::1"), (" [fe80::1] ", "fe80::1"), ("::1", "::1"),
    ("[10.0.0.1]", nil), ("[::1", nil), ("10.0.0.9 x", nil), ("a\nb", nil), (" ", nil), ("[]", nil),
  ])
  func blanksAndBracketsAroundAHostAreDropped(_ text: String, _ host: String?) throws {
    #expect(ServerText.host(text) == host)
    let payload = Array("{\"host\": \(JSONText.quoted(text)), \"port\": 1}".utf8)
    #expect((try? RegistrationCodec.decode(payload: payload, name: "a_1"))?.backend.host == host)
  }

  // MARK: Names

  static let names: [(String, String?)] = [
    ("base64_24_eyJuYW1lIjoibm9ob3N0In0=_0000000001", "it has no host"),
    ("base64_8_WzEsMl0=_0000000002", "the JSON is not an object"),
    ("base64_40_!!!notbase64!!!_0000000001", nil),
    ("base64_xx_0000000002", nil),
    ("base64_12_bm90IGpzb24=_0000000003", nil),
    ("base64_", nil),
    ("base64_0__1", nil),
    ("base64_-1_x_1", nil),
    ("base64_99999999999999999999_x_1", nil),
    ("plain_0000000009", nil),
    (
      "base64_68_eyJob3N0IjogIjEwLjAuMC44IiwgInBvcnQiOiA4MDA4LCAibmFtZSI6ICJvdGhlciJ9_0000000008",
      "other_10.0.0.8:8008 #8"
    ),
    ("base64_68_eyJob3N0IjoiMTAuMC4wLjUiLCJwb3J0IjozMDAwLCJuYW1lIjoibXltYWNoaW5lIn0=_", "mymachine_10.0.0.5:3000 #-"),
    (
      "base64_108_eyJob3N0IjoiMTAuMC4wLjUiLCJwb3J0IjozMDAwLCJuYW1lIjoibXltYWNoaW5lIiwibGFiZWxzIjp7ImsiOiLDv8O-Pz8_Pj4-fn5-In19_0000000000",
      "mymachine_10.0.0.5:3000 #0 labels {\"k\":\"ÿþ???>>>~~~\"}"
    ),
  ]

  @Test(arguments: names) func namesCarryTheirData(_ name: String, _ expected: String?) {
    var seen: String?
    do throws(OperatorError) {
      seen = try RegistrationCodec.decode(name: name).map(shown)
    } catch {
      seen = error.description
    }
    #expect(seen == expected)
  }

  @Test(
    arguments: [
      ("i-1_0000000012", 12), ("a_5_", 5), ("base64_", nil), ("member_x1", nil), ("", nil), ("_", nil), ("7", 7),
      ("a_-2147483648", nil), ("a_99999999999999999999", nil),
    ] as [(String, Int?)])
  func theSequenceNumberEndsTheName(_ name: String, _ number: Int?) {
    #expect(RegistrationCodec.sequenceNumber(ofName: name) == number)
  }

  // MARK: Writing

  @Test func payloadsAreWrittenAsNerveWritesThem() {
    let full = Backend(
      name: "mymachine", host: "10.0.0.5", port: 3000, weight: 7, haproxyServerOptions: "backup",
      labels: ["b": "2", "a": .json("1")])
    #expect(
      String(decoding: RegistrationCodec.payload(full), as: UTF8.self)
        == #"{"host":"10.0.0.5","port":3000,"name":"mymachine","weight":7,"haproxy_server_options":"backup","labels":{"b":"2","a":1}}"#
    )
    let least = Backend(name: "mymachine", host: "10.0.0.5", port: 3000)
    let payload = RegistrationCodec.payload(least)
    #expect(String(decoding: payload, as: UTF8.self) == #"{"host":"10.0.0.5","port":3000,"name":"mymachine"}"#)
    #expect(
      RegistrationCodec.pathEncodedName(payload: payload)
        == "base64_68_eyJob3N0IjoiMTAuMC4wLjUiLCJwb3J0IjozMDAwLCJuYW1lIjoibXltYWNoaW5lIn0=_")
  }

  // MARK: Server sets

  static let member = #"""
    {"serviceEndpoint": {"host": "10.0.0.1", "port": 31943}, "additionalEndpoints":
    {"http": {"host": "10.0.0.1", "port": 31944}, "odd": 5, "bad": {"host": "a b", "port": 1}}, "status": "ALIVE", "shard": 0}
    """#

  @Test(
    arguments: [
      (nil, "0_10.0.0.1:31943 #1"), ("http", "0_10.0.0.1:31944 #1"), ("none", "it has no endpoint \"none\""),
      ("odd", "it has no endpoint \"odd\""), ("bad", "its host is \"a b\", and an address or a DNS name is needed"),
    ] as [(String?, String)])
  func serverSetsGiveTheChosenEndpoint(_ endpoint: String?, _ expected: String) {
    #expect(RegistrationCodecTests.serverset(RegistrationCodecTests.member, endpoint) == expected)
  }

  @Test(arguments: [
    (#"{"serviceEndpoint":{"host":"h","port":1}}"#, "h:1 #1"),
    (#"{"serviceEndpoint":{"host":"h","port":1},"shard":"s-1"}"#, "s-1_h:1 #1"),
    (
      #"{"serviceEndpoint":{"host":"h","port":1},"shard":"s 1"}"#,
      "its name is \"s 1\", and only letters, digits and _.:- can stand in a server's name"
    ),
    (#"{"serviceEndpoint":null}"#, "it has no serviceEndpoint"), ("{}", "it has no serviceEndpoint"),
    ("[]", "the JSON is not an object"),
    ("x", "the data (1 byte) is not JSON"), (#"{"serviceEndpoint":{"host":"h"#, "the data (29 bytes) is not JSON"),
  ])
  func serverSetsWithoutTheEndpointAreRefused(_ payload: String, _ expected: String) {
    #expect(RegistrationCodecTests.serverset(payload, nil) == expected)
  }

  static func serverset(_ payload: String, _ endpoint: String?) -> String {
    do throws(OperatorError) {
      return shown(
        try RegistrationCodec.decodeServerset(
          payload: Array(payload.utf8), name: "member_0000000001", endpoint: endpoint))
    } catch {
      return error.description
    }
  }
}
