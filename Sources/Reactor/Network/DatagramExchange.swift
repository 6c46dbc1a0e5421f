internal import CEvent
internal import Glibc

/// One question by UDP and its answer, as DNS needs it.
@LoopActor public enum DatagramExchange {
  /// More than any datagram holds.
  private static let longest = 65_536

  /// Sends `question` once and returns the first datagram from that very address that `isAnswer` takes for one.
  ///
  /// Each question has a socket of its own, and so a source port that nobody can guess.
  /// - Parameters:
  ///   - endpoint: a numeric host and a port.
  ///   - deadline: for the answer.
  ///   - isAnswer: others (late answers to somebody else's question) are dropped.
  /// - Throws: ``StreamError``, or `CancellationError`.
  public static func ask(
    _ question: [UInt8], at endpoint: Endpoint, deadline: Duration,
    isAnswer: @escaping @LoopActor ([UInt8]) -> Bool
  ) async throws -> [UInt8] {
    guard let address = try AddressResolver.onlyAddress(of: endpoint) else {
      throw StreamError.refused(endpoint, reason: "it is not a numeric address")
    }
    let type = Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
    let descriptor = socket(address.family, type, 0)
    guard descriptor >= 0 else { throw StreamError.refused(endpoint, reason: errorText(errno)) }
    defer { close(descriptor) }
    let isConnected = address.withPointer { connect(descriptor, $0, $1) } == 0
    guard isConnected, send(descriptor, question, question.count, 0) == question.count else {
      throw StreamError.refused(endpoint, reason: errorText(errno))
    }
    let waiter = OneShotEvent<[UInt8]>()
    let timer = LoopClock.system.schedule(after: deadline) {
      waiter.fail(with: StreamError.timedOut(endpoint, after: deadline))
    }
    let event = DescriptorEvent(descriptor, for: .reading) {
      switch receive(descriptor) {
      case .success(let datagram): if isAnswer(datagram) { waiter.happen(with: datagram) }
      case .failure(let problem) where problem.code == EAGAIN || problem.code == EINTR: break
      case .failure(let problem):
        waiter.fail(with: StreamError.refused(endpoint, reason: errorText(problem.code)))
      }
    }
    defer {
      event.cancel()
      timer.cancel()
    }
    return try await waiter.wait()
  }

  private struct Problem: Error { let code: Int32 }

  private static func receive(_ descriptor: Int32) -> Result<[UInt8], Problem> {
    var code: Int32 = 0
    let bytes = [UInt8](unsafeUninitializedCapacity: longest) { buffer, count in
      let received = recv(descriptor, buffer.baseAddress, buffer.count, 0)
      code = received < 0 ? errno : 0
      count = max(0, received)
    }
    return code == 0 ? .success(bytes) : .failure(Problem(code: code))
  }
}
