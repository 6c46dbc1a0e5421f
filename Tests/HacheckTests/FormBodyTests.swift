import Testing

@testable import Hacheck

@Suite struct FormBodyTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var query = ""
    var type: String? = "application/x-www-form-urlencoded"
    var body = ""
    let order: String
    var testDescription: String { "\(query) \(body)" }
  }

  static let multipart = [
    "--B\r\nContent-Disposition: form-data; name=\"status\"\r\n\r\ndown\r\n",
    "--B\r\nContent-Disposition: form-data; name=\"reason\"\r\n\r\nmp\r\n",
    "--B\r\ncontent-disposition: form-data; NAME=creation\r\n\r\n5\r\n--B--\r\n",
  ].joined()

  static let cases = [
    Case(body: "status=up", order: "up"),
    Case(body: "status=up&expiration=bad&reason=x", order: "up"),
    Case(body: "status=down&reason=because", order: "down 'because' nil nil"),
    Case(body: "status=down&reason=", order: "down '' nil nil"),
    Case(body: "status=down&reason=+two+words+", order: "down 'two words' nil nil"),
    Case(body: "status=down&reason=a%00b%0Ac", order: "down 'a b\nc' nil nil"),
    Case(body: "status=down&reason=%E2%82%AC%zz%", order: "down '€%zz%' nil nil"),
    Case(body: "status=down&reason=x&expiration=4102444800&creation=1000.5", order: "down 'x' 4102444800.0 1000.5"),
    Case(body: "status=down&reason=x&expiration=1e3", order: "down 'x' 1000.0 nil"),
    Case(body: "status=down&status=up&reason=b", order: "up"),
    Case(query: "status=up&reason=q", body: "status=down&reason=b&creation=5", order: "down 'b' nil 5.0"),
    Case(query: "status=up", body: "", order: "up"),
    Case(type: "application/x-www-form-urlencoded; charset=utf-8", body: "status=up", order: "up"),
    Case(type: "multipart/form-data; boundary=B", body: multipart, order: "down 'mp' nil 5.0"),
    Case(type: "multipart/form-data; boundary=\"B\"", body: multipart, order: "down 'mp' nil 5.0"),
    Case(body: "status=DOWN&reason=x", order: "status must be up or down"),
    Case(body: "status=down", order: "`reason` is missing; it may be empty"),
    Case(body: "reason=x", order: "`status` is missing: a form with status=up, or status=down and reason, is expected"),
    Case(
      type: nil, body: "status=down&reason=x",
      order: "`status` is missing: a form with status=up, or status=down and reason, is expected"),
    Case(body: "status=down&reason=%ff", order: "`reason` is not UTF-8"),
    Case(
      body: "status=down&reason=x&expiration=soon", order: "`expiration` is `soon`; seconds since 1970 are expected"),
    Case(body: "status=down&reason=x&expiration=nan", order: "`expiration` is `nan`; seconds since 1970 are expected"),
    Case(body: "status=down&reason=x&expiration=inf", order: "`expiration` is `inf`; seconds since 1970 are expected"),
    Case(
      body: "status=down&reason=x&expiration=0x10", order: "`expiration` is `0x10`; seconds since 1970 are expected"),
    Case(
      body: "status=down&reason=x&expiration=1e999", order: "`expiration` is `1e999`; seconds since 1970 are expected"),
    Case(body: "status=down&reason=x&creation=", order: "`creation` is ``; seconds since 1970 are expected"),
  ]

  @Test(arguments: cases) func readsOrders(_ c: Case) {
    let form = FormBody(query: c.query, contentType: c.type, body: Array(c.body.utf8))
    do {
      switch try SpoolRequest(form) {
      case .up: #expect(c.order == "up")
      case .down(let reason, let expiration, let creation, _):
        func shown(_ time: Double?) -> String { time.map { "\($0)" } ?? "nil" }
        #expect("down '\(reason)' \(shown(expiration)) \(shown(creation))" == c.order)
      }
    } catch {
      #expect(error.sentence == c.order)
    }
  }
}
