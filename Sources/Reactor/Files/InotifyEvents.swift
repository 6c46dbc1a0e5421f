internal import CEvent
internal import Glibc

/// Hands over what an inotify descriptor tells, until there is nothing more for now; the name is empty for the watched
/// path itself.
func readInotifyEvents(from descriptor: Int32, _ body: (_ event: inotify_event, _ name: String) -> Void) {
  let headSize = MemoryLayout<inotify_event>.size
  withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: MemoryLayout<inotify_event>.alignment) { buffer in
    while true {
      let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
      guard count > 0 else { return }
      var offset = 0
      while offset + headSize <= count {
        let event = buffer.loadUnaligned(fromByteOffset: offset, as: inotify_event.self)
        let end = offset + headSize + Int(event.len)
        body(event, String(decoding: buffer[(offset + headSize)..<end].prefix { $0 != 0 }, as: UTF8.self))
        offset = end
      }
    }
  }
}
