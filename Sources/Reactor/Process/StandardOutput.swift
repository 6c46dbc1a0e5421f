internal import Glibc
internal import SmartStack

/// What a command prints.
public enum StandardOutput {
  /// Writes all of `text` to the standard output.
  public static func show(_ text: String) { write(text, to: STDOUT_FILENO) }

  /// Writes all of `text` to the standard error, for a person: what controls a terminal in it is shown, not done.
  public static func say(_ text: String) { write(text.withoutControls, to: STDERR_FILENO) }

  /// Writes all of `text`, whatever stdio would keep back at an exit.
  public static func write(_ text: String, to descriptor: Int32) {
    var rest = Array(text.utf8)[...]
    while !rest.isEmpty {
      let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
      // The reader has closed its end.
      if count < 0, errno != EINTR { return }
      rest = rest.dropFirst(max(0, count))
    }
  }
}
