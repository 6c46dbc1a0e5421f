/// What all programs of the project say of themselves.
public enum Release {
  /// The version, as the package's. `make check` holds `packaging/debian/changelog` to it.
  public static let version = "1.0.0"
}
