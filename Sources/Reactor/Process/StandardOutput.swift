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
    // An error is a reader that has closed its end.
    _ = Files.put(Array(text.utf8), into: descriptor)
  }
}
