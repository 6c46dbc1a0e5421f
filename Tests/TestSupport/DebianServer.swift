import Glibc
public import Reactor

/// A server from a Debian package, in the foreground, on a free port of 127.0.0.1, with its files in a directory of
/// its own. It dies with the tests, however they end.
@LoopActor public final class DebianServer {
  /// Where it listens.
  public let port: Int
  /// A second port, for those that have two faces.
  public let secondPort: Int
  private let directory: TemporaryDirectory
  private var child: ChildProcess?

  /// The directory; what a test puts there goes with it.
  public nonisolated var path: String { directory.path }

  private init() throws {
    (port, secondPort) = (try freePort(), try freePort())
    directory = TemporaryDirectory()
  }

  isolated deinit { child?.kill() }

  /// Kills it, as a crash would, and waits for its end.
  public func kill() async {
    child?.kill()
    _ = try? await child?.wait()
  }

  /// Stands still with its connections open; the kernel goes on accepting for it.
  public func pause() { child?.signal(SIGSTOP) }

  // MARK: The servers

  /// nginx: `/ok` is 200 `fine`, `/bad` 500, `/away` a redirect, on ``port`` plain and on ``secondPort`` with TLS
  /// and a certificate that nobody has signed.
  public static func nginx() async throws -> DebianServer {
    let server = try DebianServer()
    let path = server.path
    try await run(
      "/usr/bin/openssl",
      [
        "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
        "/CN=nobody.test", "-keyout", "\(path)/key.pem", "-out", "\(path)/certificate.pem",
      ])
    try server.write(
      """
      daemon off; master_process off; pid \(path)/pid; error_log \(path)/error.log;
      events { worker_connections 4096; }
      http {
        access_log off; client_body_temp_path \(path)/body; proxy_temp_path \(path)/proxy;
        fastcgi_temp_path \(path)/fastcgi; uwsgi_temp_path \(path)/uwsgi; scgi_temp_path \(path)/scgi;
        server {
          listen 127.0.0.1:\(server.port); listen 127.0.0.1:\(server.secondPort) ssl;
          ssl_certificate \(path)/certificate.pem; ssl_certificate_key \(path)/key.pem;
          location = /ok { return 200 "fine"; }
          location = /bad { return 500 "broken"; }
          location = /away { return 302 http://127.0.0.2/; }
        }
      }
      """, to: "nginx.conf")
    return try await server.start("/usr/sbin/nginx", ["-c", "\(path)/nginx.conf", "-p", path])
  }

  /// Redis without persistence.
  /// - Parameter password: of its default user; nil lets everyone in.
  public static func redis(password: String? = nil) async throws -> DebianServer {
    let server = try DebianServer()
    var arguments = ["--port", "\(server.port)", "--bind", "127.0.0.1", "--dir", server.path, "--save", ""]
    if let password { arguments += ["--requirepass", password] }
    return try await server.start("/usr/bin/redis-server", arguments)
  }

  /// MariaDB with the accounts and databases that `statements` make; `root` has no password.
  public static func mariadb(_ statements: String) async throws -> DebianServer {
    let server = try DebianServer()
    let data = "--datadir=\(server.path)/data"
    try await run(
      "/usr/bin/mariadb-install-db",
      [
        "--no-defaults", data, "--auth-root-authentication-method=normal", "--skip-test-db",
        "--innodb-log-file-size=4M",
      ])
    try server.write(statements, to: "init.sql")
    return try await server.start(
      "/usr/sbin/mariadbd",
      [
        "--no-defaults", data, "--bind-address=127.0.0.1", "--port=\(server.port)", "--user=root",
        "--socket=\(server.path)/socket", "--pid-file=\(server.path)/pid", "--init-file=\(server.path)/init.sql",
        "--innodb-log-file-size=4M", "--performance-schema=OFF", "--skip-name-resolve",
      ])
  }

  /// OpenSMTPD, which takes mail for nobody. It has fixed places for its socket and its queue: it gets a mount
  /// namespace of its own.
  public static func openSMTPD() async throws -> DebianServer {
    let server = try DebianServer()
    try server.write(
      """
      listen on 127.0.0.1 port \(server.port) hostname mail.test
      action "drop" mbox
      match from local for local action "drop"

      """, to: "smtpd.conf")
    let command = """
      mount -t tmpfs none /run && mount -t tmpfs none /var/spool && mkdir -m 711 /var/spool/smtpd \
      && exec smtpd -d -f \(server.path)/smtpd.conf
      """
    return try await server.start("/usr/bin/unshare", ["--mount", "sh", "-c", command])
  }

  // MARK: Starting

  private func write(_ text: String, to name: String) throws {
    try Files.write(Array(text.utf8), to: "\(path)/\(name)", mode: 0o600, sync: false)
  }

  private func start(_ executable: String, _ arguments: [String]) async throws -> DebianServer {
    let running = try ChildProcess.start(
      "/usr/bin/setpriv", arguments: ["--pdeathsig", "KILL", executable] + arguments, workingDirectory: path,
      log: "\(path)/out")
    child = running
    try await eventually("\(executable) listens on port \(port)", within: .seconds(120)) {
      if let status = running.status {
        let said = (try? Files.read("\(self.path)/out", limit: 1 << 20)).map { String(decoding: $0, as: UTF8.self) }
        throw ServerTrouble(description: "\(executable) ended at once (\(status)); is it installed? \(said ?? "")")
      }
      return (try? await ByteStream.connect(to: .tcp(host: "127.0.0.1", port: self.port), deadline: .seconds(5))) != nil
    }
    return self
  }

  private static func run(_ executable: String, _ arguments: [String]) async throws {
    let result = try await ChildProcess.run(executable, arguments: arguments, deadline: .seconds(120))
    guard result.status == .exited(0) else {
      let said = String(decoding: result.output + result.errorOutput, as: UTF8.self)
      throw ServerTrouble(description: "\(executable) failed (\(result.status)): \(said)")
    }
  }
}
