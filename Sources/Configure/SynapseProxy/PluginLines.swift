/// What plugins add to a namespace's frontend and default backend, and to the sections shared by all.
struct PluginLines {
  private(set) var global: [String] = []
  private(set) var defaults: [String] = []
  private(set) var frontend: [String] = []
  private(set) var backend: [String] = []
  /// Stand before all others in the backend.
  private(set) var backendFirst: [String] = []

  /// - Parameters:
  ///   - proxy: the backend that requests go through first; nil for none.
  ///   - canRouteByPath: whether the script is where it would be loaded from.
  init(_ settings: SmartStackNamespace, options: ToolOptions, proxy: String?, canRouteByPath: Bool) {
    addFaultInjection(settings)
    addProxying(settings, through: proxy)
    addLogging(settings, options: options)
    if canRouteByPath, settings.plugins.routesByPath || options.respectsPathRouting { addPathRouting(options) }
    if settings.plugins.requiresSource { addSource(options) }
  }

  /// Requests whose header X-Ctx-Tarpit names the service get their error only after a minute.
  private mutating func addFaultInjection(_ settings: SmartStackNamespace) {
    defaults.append("timeout tarpit 60s")
    backend += [
      "acl to_be_tarpitted hdr_sub(X-Ctx-Tarpit) -i \(settings.name)", "http-request tarpit if to_be_tarpitted",
    ]
  }

  /// Requests go to a proxy service first, which sends them back marked with its own name; without a free slot there
  /// they go straight to the service.
  private mutating func addProxying(_ settings: SmartStackNamespace, through proxy: String?) {
    let isStatus = "acl is_status_request path \(settings.health.uri)"
    if let target = proxy {
      let condition = "!is_status_request !request_from_proxy proxied_through_backend_has_connslots"
      frontend += [
        isStatus,
        "acl request_from_proxy hdr_beg(X-Smartstack-Source) -i \(target)",
        "acl proxied_through_backend_has_connslots connslots(\(target)) gt 0",
        "http-request set-header X-Smartstack-Destination \(settings.name) if \(condition)",
        "use_backend \(target) if \(condition)",
      ]
    }
    if settings.isProxy, !settings.isTCP {
      backend += [isStatus, "http-request set-header X-Smartstack-Source \(settings.name) if !is_status_request"]
    }
  }

  /// The service's own settings count, or the tool's.
  private mutating func addLogging(_ settings: SmartStackNamespace, options: ToolOptions) {
    guard settings.plugins.logs || options.logsRequests else { return }
    global.append(options.load("log_requests.lua"))
    if let rate = settings.plugins.logs ? settings.plugins.sampleRate : options.logSampleRate {
      global.append("setenv sample_rate \(rate)")
    }
    backend += ["http-request lua.init_logging", "http-request lua.log_provenance"]
  }

  private mutating func addPathRouting(_ options: ToolOptions) {
    global.append(options.load("path_based_routing.lua"))
    frontend += [
      "http-request set-var(txn.backend_name) lua.get_backend", "use_backend %[var(txn.backend_name)]",
    ]
  }

  private mutating func addSource(_ options: ToolOptions) {
    global.append(options.load("add_source_header.lua"))
    backendFirst.append("http-request lua.add_source_header")
  }
}
