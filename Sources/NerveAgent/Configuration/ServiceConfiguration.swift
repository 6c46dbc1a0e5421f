internal import Hacheck
internal import Registry

/// One service as the configuration describes it, checked and complete.
///
/// Equal values mean that a reload has nothing to do for the service.
struct ServiceConfiguration: Equatable, Sendable {
  /// The key in `services`, or the file's name in `service_conf_dir`.
  var key: String
  /// The key; with `load_test_concurrency` each copy has its number appended.
  var name: String
  var host: String
  /// The service's own port, 1...65535.
  var port: Int
  var registry: RegistrationTarget
  var checks: [CheckConfiguration]
  /// From one check to the next.
  var interval: Duration
  /// `check_mocked`: nothing is checked, the service counts as up.
  var isMocked: Bool
  var rateLimit: RateLimit?
}

/// `rate_limiting`: how often a service's state may be reported.
struct RateLimit: Hashable, Sendable {
  /// Reports per second; 0 means never, infinity always.
  var averageRate: Double
  /// Reports at once, at least 1.
  var maxBurst: Double
  /// Only say what would have been held back.
  var isShadow: Bool
}

/// One entry of `checks`.
struct CheckConfiguration: Equatable, Sendable {
  /// For logs and metrics.
  var name: String
  var settings: any ProbeSettings
  /// Successes in a row that bring a down check up; at least 1.
  var rise: Int
  /// Failures in a row that bring an up check down; at least 1.
  var fall: Int

  static func == (one: CheckConfiguration, other: CheckConfiguration) -> Bool {
    one.name == other.name && one.rise == other.rise && one.fall == other.fall
      && AnyHashable(one.settings) == AnyHashable(other.settings)
  }
}
