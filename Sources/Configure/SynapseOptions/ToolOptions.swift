internal import SmartStack
internal import YAMLConfig

/// The options of `synapse-tools.conf.json`.
struct ToolOptions: Equatable, Sendable {
  /// What `logging` and `path_based_routing` set for all services.
  struct Logging: Sendable, Equatable {
    var isEnabled = false
    var sampleRate: String?
  }

  struct ErrorFile: Sendable, Equatable {
    var status: String
    var path: String
  }

  struct CapturedHeader: Sendable, Equatable {
    var name: String
    var length: String
  }

  var output = ""
  var bindAddress = ""
  var listensWithHAProxy = true
  var listensWithNginx = false
  var respectsPathRouting = false
  var checkInterval = ""
  var socketPath = ""
  var capturedHeaders: [CapturedHeader] = []
  var haproxyConfigPath = ""
  var stateFilePath: String?
  var restartInterval = JSONValue.null
  var fileOutputPath = ""
  var maximumConnections = 0
  var maximumPerServer = 0
  var maximumQueuePerServer = 0
  var zookeeperTopology = ""
  var hacheckPort = 0
  var statsPort = 0
  var luaDirectory = ""
  var mapDirectory = ""
  var mapRefreshInterval = 0
  /// nil: the map is not shown.
  var mapDebugPort: Int?
  var logging = Logging()
  var errorFiles: [ErrorFile] = []
  var reloadCommand = ""
  /// The socket of HAProxy's master; nil: HAProxy is reloaded with ``reloadCommand``.
  var masterSocketPath: String?
  var nginx: NginxOptions?
  var socketFormat = FormatText()
  var proxySocketFormat = FormatText()
  /// How synapse is made to read a new file; nil: the way that fits this host.
  var restart: RestartCommand?
  /// Keys that no option is called by.
  var warnings: [ConfigError] = []
}

/// What makes synapse read its new file, as the tool's options name it.
enum RestartCommand: Equatable, Sendable {
  /// `synapse_restart_command`: a program and its arguments.
  case once([String])
  /// `synapse_command`: the same, with `stop` and then `start` behind.
  case stopAndStart([String])
}

/// The options that only a host with `listen_with_nginx` needs.
struct NginxOptions: Sendable, Equatable {
  var configPath = ""
  var pidFile = ""
  var checkCommand = ""
  var reloadCommand = ""
  var startCommand = ""
  var restartInterval = JSONValue.null
  var errorTarget = ""
  var errorLevel = ""
  var sendsProxyProtocol = false
}
