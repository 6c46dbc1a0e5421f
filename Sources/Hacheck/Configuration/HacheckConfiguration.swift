internal import Reactor

/// Everything that can be set about hacheck: the keys of its YAML file, and where it listens.
public struct HacheckConfiguration: Sendable, Equatable {
  /// Where to listen; several ports answer alike. 0 picks a free one. Yelp's machines use 6666.
  public var ports: [Int] = [3333]
  /// The address to listen on.
  public var bindAddress = "0.0.0.0"
  /// The folder with the operators' downtimes. Made with mode 0750 when missing.
  public var spoolRoot = "/var/spool/hacheck"

  /// `cache_time`: for how long an answer of a live check is given again, counted from the start of the
  /// check. Longer spares the services, shorter notices a failure sooner. Zero keeps nothing.
  public var cacheTime: Duration = .seconds(10)
  /// `healthcheck_timeout`: from the question to the answer of one live check, waiting included.
  var healthcheckTimeout: Duration = .seconds(10)
  /// `max_clients`: live checks under way at one host and port; further ones wait.
  var checksPerTarget = 10
  /// `max_checks`: live checks under way in all. Each costs a socket, so it must fit `rlimit_nofile`.
  var checksInAll = 4096
  /// `reuse_connection`: whether a check over HTTP leaves its connection to the next check of that port. It spares the
  /// service and this host a connection for each, and hides a listener that accepts no more.
  var reusesConnections = false
  /// `service_name_header`: the request header that tells the service its name; nil for none.
  var serviceNameHeader: String?
  /// `http_headers_to_copy`: request headers that are passed on to the service.
  var headersToCopy = ["Host"]
  /// `mysql_username`, for checks of MySQL.
  var mysqlUsername: String?
  /// `mysql_password`, for checks of MySQL.
  var mysqlPassword: String?
  /// `mysql_server_public_key`: the key under which the password goes to a server of `caching_sha2_password`
  /// that has not seen it lately.
  var mysqlServerKey = MySQLProbe.ServerKey.unknown
  /// `redis_username`, for checks of Redis; nil for the server's default user.
  var redisUsername: String?
  /// `redis_password`, for checks of Redis; nil does not log in.
  var redisPassword: String?
  /// `mysql_servers`: where checks of MySQL log in, and nowhere else: whoever else listens on a port would get the
  /// account. This machine is 127.0.0.1.
  var mysqlServers: Set<Endpoint> = [.tcp(host: "127.0.0.1", port: 3306)]
  /// `redis_servers`: where checks of Redis log in; the password goes over the wire as it is.
  var redisServers: Set<Endpoint> = [.tcp(host: "127.0.0.1", port: 6379)]
  /// `smtp_hello`: the name that checks of SMTP introduce themselves with (`EHLO`); nil says nothing.
  var smtpHello: String?

  /// `allow_remote_spool_changes`: whether `POST /spool/…` is answered at all.
  var allowsSpoolChanges = false
  /// `spool_change_networks`: who may change the spool over HTTP; nil is everyone. Clients of the Unix socket always
  /// may: the mode of its file says who they are.
  var spoolChangeNetworks: [AddressRange]?
  /// `this-machine` among `spool_change_networks`: so may loopback and the addresses that this machine's interfaces
  /// have at the time.
  var allowsOwnSpoolChanges = false
  /// `page_hosts`: names of this machine, besides its own name and its addresses, under which browsers are answered.
  var pageHosts: [String] = []
  /// `check_networks`: besides this machine's own addresses and loopback, the addresses that a header may
  /// make hacheck probe.
  var checkNetworks: [AddressRange] = []

  /// `cache_size`: answers kept; the least recently used go first. About 300 bytes each, and the bodies.
  var cacheSize = 10_000
  /// `seen_services_size`: service names kept for `/recent` and `/status/count`; the least recently
  /// asked for go first.
  var seenServicesSize = 10_000
  /// `seen_services_time`: services that nobody has asked for in so long are forgotten.
  var seenServicesTime: Duration = .seconds(86_400)
  /// `max_body_bytes`: what is kept and passed on of a service's answer; the rest is cut.
  public var bodyLimit = 65_536

  /// `unix_socket`: a path to listen at, too; nil for none.
  public var unixSocket: String?
  /// `unix_socket_mode`: the permissions of that file.
  var unixSocketMode: UInt32 = 0o660
  /// `max_connections`: open at the same time, at most half of the process's descriptors. At the limit those that have
  /// been quiet longest go.
  public var maxConnections = 4096
  /// `request_timeout`: from a request's first byte to its last.
  public var requestTimeout: Duration = .seconds(30)

  /// `log_path`: `stderr`, `stdout` or a file; used by the `hacheck` program only.
  public var logPath = "stderr"
  /// `rlimit_nofile`: used by the `hacheck` program only; nil leaves the limit alone, `Int.max` is the hard limit.
  public var descriptorLimit: Int?
  /// `user` and `group`: what the `hacheck` program becomes once it listens; nil stays as it is.
  public var user: String?
  /// See ``user``; nil is the user's own group.
  public var group: String?

  /// This machine's own address: `NAME:PORT` downtimes hold for it, and it is probed as 127.0.0.1. Nil is the
  /// address that the host's name resolves to, looked up at the start.
  public var hostAddress: String?

  /// Creates a configuration with upstream's defaults.
  public init() {}
}
