internal import CEvent
internal import Glibc
internal import SmartStack

/// Runs what blocks (`zookeeper_close`, `fsync`) on a few threads beside the loop.
///
/// Work of one kind waits for no other kind: a disk that hangs holds up files, and no session. Threads start on demand up
/// to ``maximumThreads`` of each kind and end after half a minute without work.
///
/// `@unchecked Sendable`: every field is reached with `mutex` held.
public final class BlockingWork: @unchecked Sendable {
  /// More work of one kind than this waits in line.
  public static let maximumThreads = 8

  /// Everything that waits for disks.
  public static let files = BlockingWork("files")
  /// Calls of libzookeeper that may block.
  public static let sessions = BlockingWork("sessions")
  /// Computations that would hold up the loop.
  public static let plans = BlockingWork("plans")
  /// The system's own look-ups of names.
  public static let names = BlockingWork("names")
  /// All kinds of work there are.
  public static let kinds = [files, sessions, plans, names]

  /// The name of the kind, for metrics.
  public let name: String
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var work: [@Sendable () -> Void] = []
  private var threads = 0
  private var idle = 0
  /// When the work that is not done yet came in, by its number.
  private var pending: [UInt64: ContinuousClock.Instant] = [:]
  private var lastNumber: UInt64 = 0

  /// The kind has to live as long as the process does: its threads borrow it.
  init(_ name: String) {
    self.name = name
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  /// Number of pieces of work that wait or run, and the age of the oldest.
  public var backlog: (count: Int, age: Duration) {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return (pending.count, pending.values.min().map { .now - $0 } ?? .zero)
  }

  /// Does work with files, see the method of an instance.
  public static func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await files.run(body)
  }

  /// Handing fewer items than this to another thread would take longer than computing them.
  public static let itemsOnTheSpot = 500

  /// Computes beside the loop; on the spot what is little, and when the system gives no thread.
  /// - Parameter items: how much there is to compute, in servers, commands or the like.
  public static func compute<Result: Sendable>(
    items: Int = .max, _ body: @escaping @Sendable () -> Result
  ) async -> Result {
    if items <= itemsOnTheSpot { return body() }
    do { return try await plans.run(body) } catch { return body() }
  }

  /// Runs `body` beside the loop and returns its result. There is no way to interrupt it: a cancelled task
  /// waits for it, too.
  /// - Throws: what `body` throws, or `OperatorError` when the system gives no thread.
  public func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      let code = submit {
        let result = Swift.Result { try body() }
        // Resumed on this thread, the task would take the detour over Swift's global pool.
        Task { @LoopActor in continuation.resume(with: result) }
      }
      if code != 0 { continuation.resume(throwing: OperatorError("cannot start a thread: \(errorText(code))")) }
    }
  }

  /// 0, or the error number when there is no thread at all to run `body`, which is then forgotten.
  private func submit(_ body: @escaping @Sendable () -> Void) -> Int32 {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    if idle <= work.count, threads < BlockingWork.maximumThreads {
      let code = startThread()
      if threads == 0 { return code }
    }
    lastNumber += 1
    let number = lastNumber
    pending[number] = .now
    work.append { [self] in
      body()
      done(number)
    }
    pthread_cond_signal(condition)
    return 0
  }

  private func done(_ number: UInt64) {
    pthread_mutex_lock(mutex)
    pending[number] = nil
    pthread_mutex_unlock(mutex)
  }

  /// Called with the mutex held.
  private func startThread() -> Int32 {
    var thread = pthread_t()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    defer { pthread_attr_destroy(&attributes) }
    // A kind lives as long as the process; the thread may borrow it for good.
    let code = pthread_create(&thread, &attributes, runWorker, Unmanaged.passUnretained(self).toOpaque())
    if code == 0 { threads += 1 }
    return code
  }

  fileprivate func workUntilIdle() {
    smartstack_name_thread(name)
    pthread_mutex_lock(mutex)
    while let body = takeWork() {
      pthread_mutex_unlock(mutex)
      body()
      pthread_mutex_lock(mutex)
    }
    threads -= 1
    pthread_mutex_unlock(mutex)
  }

  /// Called with the mutex held; nil after half a minute without work.
  private func takeWork() -> (@Sendable () -> Void)? {
    var limit = timespec()
    clock_gettime(CLOCK_REALTIME, &limit)
    limit.tv_sec += 30
    idle += 1
    defer { idle -= 1 }
    while work.isEmpty {
      if pthread_cond_timedwait(condition, mutex, &limit) == ETIMEDOUT { break }
    }
    return work.isEmpty ? nil : work.removeFirst()
  }
}

private func runWorker(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  smartstack_name_thread("blocking-work")
  guard let context else { return nil }
  Unmanaged<BlockingWork>.fromOpaque(context).takeUnretainedValue().workUntilIdle()
  return nil
}
