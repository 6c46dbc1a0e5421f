import Glibc
import Testing

@testable import Reactor

@Suite struct DescriptorLimitTests {
  @Test func theLimitIsRaisedAsHighAsAllowedAndNeverLowered() {
    var limit = rlimit()
    #expect(getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0)
    let before = Int(clamping: limit.rlim_cur)
    #expect(ThisProcess.raiseDescriptorLimit(to: 1) >= before)
    #expect(ThisProcess.raiseDescriptorLimit(to: -1) >= before)
    let raised = ThisProcess.raiseDescriptorLimit(to: before + 1)
    #expect(raised >= min(before + 1, Int(clamping: limit.rlim_max)))
    #expect(ThisProcess.raiseDescriptorLimit(to: 0) >= raised)
  }
}
