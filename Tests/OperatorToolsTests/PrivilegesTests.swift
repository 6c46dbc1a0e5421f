import SmartStack
import Testing

@testable import OperatorTools

@Suite struct PrivilegesTests {
  @Test(
    arguments: [
      (nil, "nogroup", "`group` is set, but `user` is not"),
      ("no-such-user", nil, "user: there is no account `no-such-user`"),
      ("root", "no-such-group", "group: there is no group `no-such-group`"),
    ] as [(String?, String?, String)]) func wrongAccountsAreNamed(_ user: String?, _ group: String?, _ sentence: String)
  {
    let error = #expect(throws: OperatorError.self) { try Privileges(user: user, group: group) }
    #expect(error?.description == sentence)
  }

  @Test func accountsAreLookedUp() throws {
    #expect(try Privileges(user: nil, group: nil) == nil)
    let root = try #require(try Privileges(user: "root", group: nil))
    #expect(root.user == 0 && root.group == 0 && root.userName == "root")
  }
}
