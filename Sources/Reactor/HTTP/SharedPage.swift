internal import CEvent

/// The bytes of a long answer, which any number of connections send without a copy of their own.
public final class SharedPage: Sendable {
  /// Written once, before anybody else has the page.
  private nonisolated(unsafe) let bytes: UnsafeMutableRawBufferPointer

  /// A page of this text.
  public init(_ text: String) {
    bytes = .allocate(byteCount: text.utf8.count, alignment: 1)
    bytes.copyBytes(from: text.utf8)
  }

  deinit { bytes.deallocate() }

  /// Its length in bytes.
  public var count: Int { bytes.count }

  /// Adds the bytes to an answer; the page lives until that is sent.
  func add(to buffer: OpaquePointer?) {
    let context = Unmanaged.passRetained(self).toOpaque()
    if evbuffer_add_reference(buffer, bytes.baseAddress, bytes.count, onSent, context) != 0 {
      Unmanaged<SharedPage>.fromOpaque(context).release()
    }
  }
}

private func onSent(_ data: UnsafeRawPointer?, _ length: Int, _ context: UnsafeMutableRawPointer?) {
  if let context { Unmanaged<SharedPage>.fromOpaque(context).release() }
}

/// Pages that are made for whoever asks: a long one is made once for all who ask within a moment.
@LoopActor public final class PageCache {
  /// Shorter ones are made each time, and show what is so now, as long as few ask.
  private static let longPage = 64 << 10
  /// How many askers get a page of their own within a moment.
  private static let few = 64
  private static let lifetime = Duration.milliseconds(250)
  private static let capacity = 16

  private var pages: [String: (page: SharedPage, madeAt: LoopClock.Instant, askers: Int)] = [:]

  /// Creates an empty cache.
  public nonisolated init() {}

  /// The page of this name.
  public func page(_ name: String, make: () -> String) -> SharedPage {
    if let known = known(name) { return known }
    return keep(SharedPage(make()), as: name)
  }

  /// The page of this name, a part of which has to be waited for.
  public func page(_ name: String, waitingFor make: () async -> String) async -> SharedPage {
    if let known = known(name) { return known }
    return keep(SharedPage(await make()), as: name)
  }

  private func known(_ name: String) -> SharedPage? {
    let now = LoopClock.system.now
    pages = pages.filter { now - $0.value.madeAt < PageCache.lifetime }
    guard let known = pages[name], known.page.count > PageCache.longPage || known.askers >= PageCache.few else {
      return nil
    }
    return known.page
  }

  private func keep(_ page: SharedPage, as name: String) -> SharedPage {
    // The first of those who ask within a moment says when that is over.
    if let before = pages[name], page.count <= PageCache.longPage {
      pages[name] = (page, before.madeAt, before.askers + 1)
    } else if pages.count < PageCache.capacity {
      pages[name] = (page, LoopClock.system.now, 1)
    }
    return page
  }
}
