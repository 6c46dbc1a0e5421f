internal import CEvent
internal import Glibc

/// One thread, one libevent base, and a Swift executor on both.
///
/// All agent state is isolated to ``LoopActor``, whose executor this is; libevent callbacks and Swift
/// jobs therefore never run at the same time, and agent state needs no lock.
///
/// There is one loop per process (``shared``). Its thread starts with the first use and never ends.
///
/// `@unchecked Sendable`: `base` and `ready` are touched by the loop's own thread only; what other
/// threads hand in goes through `inbox`.
public final class EventLoop: SerialExecutor, @unchecked Sendable {
  /// The one loop of the process.
  public static let shared = EventLoop()

  /// How many jobs run before sockets and timers get their turn, so that a chatty task starves nothing.
  private static let jobsPerPass = 512

  let base: OpaquePointer
  private let inbox = Locked((jobs: [UnownedJob](), isSignalled: false))
  private let wakeDescriptor: Int32
  private var ready: [UnownedJob] = []
  private var next = 0
  /// The number of the pass that the loop is in; read on its thread.
  private(set) var pass = 0
  private var thread = pthread_t()
  /// Whether Swift's runtime has offered a task that goes on after a wait; read on the loop's thread.
  public private(set) var resumesTasks = false

  private init() {
    // A closed peer is an error code of write(2), not a signal that ends the agent.
    signal(SIGPIPE, SIG_IGN)
    // A starter that ignores it passes that on, and the kernel then forgets how children end.
    signal(SIGCHLD, SIG_DFL)
    base = EventLoop.makeBase()
    wakeDescriptor = eventfd(0, Int32(EFD_NONBLOCK | EFD_CLOEXEC))
    precondition(wakeDescriptor >= 0, "eventfd failed with errno \(errno)")
    let wake = event_new(base, wakeDescriptor, Int16(EV_READ | EV_PERSIST), onWake, nil)
    precondition(wake != nil && event_add(wake, nil) == 0, "libevent refused the wake-up event")
    let code = pthread_create(&thread, nil, runLoop, Unmanaged.passUnretained(self).toOpaque())
    precondition(code == 0, "pthread_create failed with \(code)")
  }

  private static func makeBase() -> OpaquePointer {
    let config = event_config_new()
    defer { event_config_free(config) }
    // No locks: one thread only. Precise timers: the coarse clock rounds to 4 ms. No cached time: a timer set by
    // a callback would count from the moment the loop woke up, and be early by as long as the callbacks took.
    // Change list: what is added and taken back within one pass, as evhttp does twice per request, costs no
    // system call. It asks that no polled descriptor has a duplicate: none here has one.
    let flags = [
      EVENT_BASE_FLAG_NOLOCK, EVENT_BASE_FLAG_PRECISE_TIMER, EVENT_BASE_FLAG_NO_CACHE_TIME,
      EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST,
    ]
    for flag in flags { event_config_set_flag(config, Int32(flag.rawValue)) }
    guard let base = event_base_new_with_config(config) else { preconditionFailure("libevent has no usable back-end") }
    return base
  }

  /// Whether the caller is on the loop's thread.
  public var isCurrent: Bool { pthread_equal(pthread_self(), thread) != 0 }

  // MARK: SerialExecutor

  /// Queues `job`; from another thread also wakes the loop.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    if isCurrent {
      ready.append(job)
      return
    }
    let mustWake = inbox.withLock { inbox in
      inbox.jobs.append(job)
      defer { inbox.isSignalled = true }
      return !inbox.isSignalled
    }
    if mustWake { eventfd_write(wakeDescriptor, 1) }
  }

  /// The executor as Swift's runtime keeps it.
  public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }

  /// Traps, with a sentence, off the loop's thread. A libevent callback is not an executor job, so the
  /// runtime asks this instead of looking at the current executor.
  public func checkIsolated() {
    precondition(isCurrent, "this code belongs on the event loop's thread")
  }

  /// Returns whether the caller runs on the loop's thread.
  public func isIsolatingCurrentContext() -> Bool? { isCurrent }

  /// Takes a job meant for Swift's global pool if it arose on the loop's thread: most often a task that was
  /// suspended here and is to go on here. Away and back it would cost more than most jobs do.
  fileprivate func take(_ job: UnownedJob) -> Bool {
    guard isCurrent else { return false }
    resumesTasks = true
    ready.append(job)
    return true
  }

  // MARK: Running

  fileprivate func runForever() -> Never {
    while true {
      pass &+= 1
      let flags = runJobs() ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE
      let code = event_base_loop(base, flags)
      precondition(code >= 0, "event_base_loop failed")
    }
  }

  /// Runs what is ready, up to the budget; whether something is left.
  private func runJobs() -> Bool {
    let executor = asUnownedSerialExecutor()
    collect()
    for _ in 0..<EventLoop.jobsPerPass {
      if next == ready.count {
        collect()
        if ready.isEmpty { return false }
      }
      let job = ready[next]
      next += 1
      job.runSynchronously(on: executor)
    }
    // Jobs that always leave another one never empty the queue: what has run must go nevertheless.
    if next > ready.count / 2 {
      ready.removeSubrange(..<next)
      next = 0
    }
    return next < ready.count
  }

  /// Takes over what other threads handed in: at the start of every pass, so that they wait for no more than one.
  private func collect() {
    if next == ready.count {
      ready.removeAll(keepingCapacity: ready.capacity < 4096)
      next = 0
    }
    inbox.withLock { inbox in
      inbox.isSignalled = false
      if ready.isEmpty {
        swap(&ready, &inbox.jobs)
      } else {
        ready += inbox.jobs
        inbox.jobs.removeAll(keepingCapacity: true)
      }
    }
  }
}

// File scope on purpose: a closure literal would inherit an isolation and trap.
private func onWake(_ descriptor: Int32, _ what: Int16, _ context: UnsafeMutableRawPointer?) {
  var count: eventfd_t = 0
  eventfd_read(descriptor, &count)
}

/// The runtime's hook asks this on whatever thread a job for the global pool arises.
@c(smartstack_loop_takes) func loopTakes(_ job: UnsafeMutableRawPointer?) -> Bool {
  guard let job else { return false }
  // A job's reference is one pointer; the runtime has no other way to make one of it.
  return EventLoop.shared.take(unsafeBitCast(job, to: UnownedJob.self))
}

private func runLoop(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
  smartstack_name_thread("reactor")
  smartstack_ask_loop_first()
  guard let context else { preconditionFailure("the loop's thread was started without its loop") }
  Unmanaged<EventLoop>.fromOpaque(context).takeUnretainedValue().runForever()
}

/// The isolation of everything that lives on the event loop.
@globalActor public actor LoopActor {
  /// The actor behind the attribute.
  public static let shared = LoopActor()

  /// The executor of the shared loop.
  public nonisolated var unownedExecutor: UnownedSerialExecutor { EventLoop.shared.asUnownedSerialExecutor() }

  /// Runs `body` at once, from code that is on the loop's thread without the compiler knowing it: a
  /// callback from C. Traps on any other thread.
  public static func assumeIsolated<Result>(_ body: @escaping @LoopActor () -> Result) -> Result {
    EventLoop.shared.checkIsolated()
    // The same cast as MainActor.assumeIsolated: only the isolation goes, the representation stays. That one's
    // withoutActuallyEscaping leaves the length of this file's path in the program: another package in another folder.
    return unsafeBitCast(body, to: (() -> Result).self)()
  }
}
