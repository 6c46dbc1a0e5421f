internal import Glibc

/// A value that several threads may touch, each under a lock.
///
/// Built on a pthread mutex because `Synchronization.Mutex` (a bare futex) makes ThreadSanitizer report
/// races that do not exist. Above this room only the mailbox of a C library's threads and the log's writer need it, because
/// agent state lives on ``LoopActor``.
///
/// `@unchecked Sendable`: `value` is only reached inside ``withLock(_:)``, which holds the mutex.
public final class Locked<Value>: @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private var value: Value

  /// A lock around `value`.
  public init(_ value: sending Value) {
    self.value = value
    let code = pthread_mutex_init(mutex, nil)
    precondition(code == 0, "pthread_mutex_init failed with \(code)")
  }

  deinit {
    pthread_mutex_destroy(mutex)
    mutex.deallocate()
  }

  /// Runs `body` with the value while no other thread can; `body` must not wait for anything.
  public func withLock<Result>(_ body: (inout Value) throws -> sending Result) rethrows -> sending Result {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(&value)
  }
}
