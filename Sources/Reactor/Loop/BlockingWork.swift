internal import CEvent
internal import Glibc
internal import SmartStack

/// Runs what blocks (`zookeeper_close`, `fsync`) on a few threads beside the loop.
///
/// Threads start on demand up to ``maximumThreads`` and end after half a minute without work.
///
/// `@unchecked Sendable`: every field is reached with `mutex` held.
public final class BlockingWork: @unchecked Sendable {
  /// More work than this waits in line.
  public static let maximumThreads = 8

  private static let pool = BlockingWork()

  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var work: [@Sendable () -> Void] = []
  private var threads = 0
  private var idle = 0

  private init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  /// Runs `body` beside the loop and returns its result. There is no way to interrupt it: a cancelled task
  /// waits for it, too.
  /// - Throws: what `body` throws, or `OperatorError` when the system gives no thread.
  public static func run<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result {
    try await withCheckedThrowingContinuation { continuation in
      let code = pool.submit {
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
    work.append(body)
    pthread_cond_signal(condition)
    return 0
  }

  /// Called with the mutex held.
  private func startThread() -> Int32 {
    var thread = pthread_t()
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    defer { pthread_attr_destroy(&attributes) }
    // The pool is a process-wide constant; the thread may borrow it for good.
    let code = pthread_create(&thread, &attributes, runWorker, Unmanaged.passUnretained(self).toOpaque())
    if code == 0 { threads += 1 }
    return code
  }

  fileprivate func workUntilIdle() {
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
