/// A change of the spool: what a `POST` wants done with one scope.
enum SpoolRequest: Equatable {
  case up
  /// Times are seconds since 1970; without an `expiration` the downtime has no end, without a `creation` it begins now,
  /// or when a downtime of the same reason began. The `setter` is the address that asked.
  case down(reason: String, expiration: Double? = nil, creation: Double? = nil, setter: String? = nil)
}
