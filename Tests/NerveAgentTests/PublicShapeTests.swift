import TestSupport
import Testing
import ZooKeeper

@testable import NerveAgent
@testable import Registry

/// Files in the shapes that container images, cookbooks and tutorials of nerve have.
@Suite("public configurations of nerve") struct PublicShapeTests {
  struct Shape: Sendable, CustomTestStringConvertible {
    var testDescription: String
    var file: String
    /// What is in the directory of `service_conf_dir`, by the file's name.
    var directory: [String: String] = [:]
    /// What each service checks and where it registers, as `NAME HOST:PORT CHECK… -> REGISTRY`.
    var services: [String]
    /// What is refused or warned of, in the order of the file.
    var problems: [String] = []
  }

  private static func app(_ keys: String) -> String {
    #""app": {"host": "172.17.0.3", "zk_path": "/services/app", \#(keys)}"#
  }
  private static let tcp = #""checks": [{"type": "tcp", "timeout": 0.2, "rise": 2, "fall": 3}]"#

  private static let shapes = [
    Shape(
      testDescription: "an ensemble as one text",
      file:
        #"{"instance_id": "h", "services": {\#(app(#""port": 8001, "zk_hosts": ["a:2181,b:2181,c:2181"], \#(tcp)"#))}}"#,
      services: ["app 172.17.0.3:8001 app tcp-172.17.0.3:8001 -> a:2181,b:2181,c:2181 /services/app"]),
    Shape(
      testDescription: "the variables of a linked container",
      file:
        #"{"instance_id": "h", "services": {\#(app(#""port": "8001", "zk_hosts": ["tcp://172.17.0.2:2181"], \#(tcp)"#))}}"#,
      services: [], problems: ["services.app.zk_hosts"]),
    Shape(
      testDescription: "an image that writes a file for each service, every value in quotes",
      file: #"{"instance_id": "h", "service_conf_dir": "DIRECTORY"}"#,
      directory: [
        "h_app.json": #"""
        {"host": "10.0.0.7", "port": 8001, "reporter_type": "zookeeper", "zk_hosts": ["zk:2181"],
         "zk_path": "/solution/services/app/app", "check_interval": 5,
         "checks": [{"type": "http", "uri": "health", "port": "8002", "timeout": 1, "rise": 2, "fall": 10}]}
        """#
      ], services: ["h_app 10.0.0.7:8001 http-10.0.0.7:8002/health -> zk:2181 /solution/services/app/app"]),
    Shape(
      testDescription: "a tutorial: no directory, a path for a check that has none",
      file: #"""
        {"instance_id": "nginx", "service_conf_dir": "", "services": {"one": {"host": "10.0.0.7", "port": 80,
         "reporter_type": "zookeeper", "zk_hosts": ["10.0.0.8:2181"], "zk_path": "/nerve/services/one/services",
         "check_interval": 2, "weight": 2,
         "checks": [{"type": "tcp", "uri": "/index.html", "timeout": 0.2, "rise": 3, "fall": 2}]}}}
        """#,
      services: ["one 10.0.0.7:80 one tcp-10.0.0.7:80 -> 10.0.0.8:2181 /nerve/services/one/services"],
      problems: ["services.one.checks[0].uri"]),
    Shape(
      testDescription: "upstream's example with all its kinds, one of them gone",
      file: #"""
        {"instance_id": "mymachine", "service_conf_dir": "DIRECTORY", "max_repeated_report_failures": 10,
         "statsd": {"host": "localhost", "port": 8125}, "services": {
          "queue": {"host": "1.2.3.4", "port": 5672, "reporter_type": "zookeeper", "zk_hosts": ["localhost:2181"],
           "zk_path": "/nerve/services/queue/services", "check_interval": 2,
           "checks": [{"type": "rabbitmq", "username": "guest", "password": "guest"}]}}}
        """#,
      directory: [
        "etcd.json": #"""
        {"host": "1.2.3.4", "port": 3000, "reporter_type": "etcd", "etcd_host": "localhost", "etcd_port": 4001,
         "etcd_path": "/nerve/services/etcd/services", "check_interval": 2,
         "checks": [{"type": "http", "uri": "/health", "timeout": 0.2, "rise": 3, "fall": 2}]}
        """#,
        "serf.json": #"""
        {"host": "1.2.3.4", "port": 3000, "reporter_type": "serf", "check_interval": 2, "zk_hosts": ["localhost:2181"],
         "zk_path": "/nerve/services/serf/services", "weight": 2,
         "checks": [{"type": "http", "uri": "/health", "timeout": 0.2, "rise": 3, "fall": 2}]}
        """#,
      ],
      services: [
        "etcd 1.2.3.4:3000 http-1.2.3.4:3000/health -> etcd auto 30 localhost:4001 /nerve/services/etcd/services/mymachine/etcd",
        "queue 1.2.3.4:5672 queue rabbitmq-1.2.3.4:5672 -> localhost:2181 /nerve/services/queue/services",
      ], problems: ["reporter_type"]),
    Shape(
      testDescription: "a cookbook that has no service yet, with a port of an old release",
      file: #"{"instance_id": "h", "listen_port": 1025, "services": {}}"#, services: [], problems: ["listen_port"]),
    Shape(
      testDescription: "the keys of the first releases",
      file: #"""
        {"instance_id": "h", "service_checks": {"app": {"host": "127.0.0.1", "port": 4321, "zk_root": "/nerve/app",
         "zk_connstring": "127.0.0.1:2181,127.0.0.1:3181", "check_interval": 3, \#(tcp)}}}
        """#, services: [], problems: ["service_checks"]),
  ]

  @Test(arguments: shapes) func isReadAsItIsMeant(_ shape: Shape) throws {
    let directory = TemporaryDirectory()
    for (name, text) in shape.directory { writeFile("\(directory.path)/\(name)", text) }
    let configuration = try load(shape.file.replacing("DIRECTORY", with: directory.path))
    let services = configuration.services.map { service in
      let checks = service.checks.map(\.name).joined(separator: " ")
      let place =
        switch service.registry {
        case .zooKeeper(let target): "\(target.ensemble) \(target.registration.directory)"
        case .etcd(let target): "\(target.cluster.name) \(target.key)"
        case .file(let target): target.path
        }
      return "\(service.name) \(service.host):\(service.port) \(checks) -> \(place)"
    }
    #expect(services.sorted() == shape.services)
    let problems = (configuration.problems + configuration.warnings).map { "\($0)" }
    #expect(problems.count == shape.problems.count, "\(problems)")
    for (problem, words) in zip(problems, shape.problems) { #expect(problem.contains(words)) }
  }
}
