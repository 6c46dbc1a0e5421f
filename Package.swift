// swift-tools-version: 6.2
import PackageDescription

/// One setting list for every room: Swift 6 mode, warnings are errors.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
  .enableUpcomingFeature("InferIsolatedConformances"),
  .treatAllWarnings(as: .error),
]

/// A room of docs/architecture.md: `scripts/check-layers` holds the imports to that table.
func room(_ name: String, _ dependencies: [Target.Dependency], embedding files: [String] = []) -> Target {
  .target(
    name: name, dependencies: dependencies, resources: files.map { .embedInCode($0) }, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(
    name: "\(name)Tests", dependencies: [.byName(name: name), "TestSupport"] + dependencies,
    swiftSettings: strict)
}

let logging = Target.Dependency.product(name: "Logging", package: "swift-log")
let arguments = Target.Dependency.product(name: "ArgumentParser", package: "swift-argument-parser")

let package = Package(
  name: "smartstack",
  products: [
    // The same executable twice: it is the agent whose name it is called by. The package has it once, with two names.
    .executable(name: "nerve", targets: ["programs"]),
    .executable(name: "synapse", targets: ["programs"]),
    .library(name: "HAProxyConfigGen", targets: ["HAProxyConfigGen"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
  ],
  targets: [
    .systemLibrary(name: "CEvent", pkgConfig: "libevent_openssl", providers: [.apt(["libevent-dev", "libssl-dev"])]),
    .systemLibrary(name: "CAres", pkgConfig: "libcares", providers: [.apt(["libc-ares-dev"])]),
    .systemLibrary(name: "CCrypto", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
    .systemLibrary(name: "CYAML", pkgConfig: "yaml-0.1", providers: [.apt(["libyaml-dev"])]),
    .systemLibrary(name: "CZooKeeper", providers: [.apt(["libzookeeper-mt-dev"])]),

    room("Reactor", ["CAres", "CEvent", "SmartStack"]),
    room("YAMLConfig", ["CYAML", "SmartStack"]),
    room("SmartStack", ["CCrypto", logging]),

    room("ZooKeeper", ["CZooKeeper", "Reactor", "SmartStack", logging]),
    room("Registry", ["ZooKeeper", "Reactor", "SmartStack", "YAMLConfig", logging]),
    room("HAProxyConfigGen", ["SmartStack"]),
    room("HAProxyRuntime", ["HAProxyConfigGen", "Reactor", "SmartStack", logging]),

    room(
      "AgentKit", ["Reactor", "SmartStack", "YAMLConfig", logging],
      embedding: ["Status/page.css", "Status/page.js"]),
    room("Hacheck", ["AgentKit", "Reactor", "SmartStack", "YAMLConfig", logging]),

    room(
      "NerveAgent",
      ["AgentKit", "Hacheck", "Registry", "ZooKeeper", "Reactor", "SmartStack", "YAMLConfig", logging]),
    room(
      "SynapseAgent",
      [
        "AgentKit", "HAProxyConfigGen", "HAProxyRuntime", "Registry", "ZooKeeper", "Reactor", "SmartStack",
        "YAMLConfig", logging,
      ]),

    room(
      "Configure",
      [
        "NerveAgent", "SynapseAgent", "AgentKit", "HAProxyConfigGen", "Reactor", "SmartStack", "YAMLConfig", arguments,
      ]),

    room(
      "OperatorTools",
      [
        "Configure", "NerveAgent", "SynapseAgent", "Hacheck", "AgentKit", "Registry", "HAProxyConfigGen",
        "HAProxyRuntime", "ZooKeeper", "Reactor", "SmartStack", "YAMLConfig", logging, arguments,
      ]),

    .executableTarget(
      name: "programs",
      dependencies: [
        "OperatorTools", "Configure", "NerveAgent", "SynapseAgent", "AgentKit", "Reactor", "SmartStack", arguments,
      ],
      swiftSettings: strict),

    // Not shipped: the yardstick of `make bench`.
    .executableTarget(
      name: "bench-evhttp", dependencies: ["CEvent"], path: "Benchmarks/bench-evhttp", swiftSettings: strict),
    // Nor this: the sessions of `make fleet`.
    .executableTarget(
      name: "fleet-sessions",
      dependencies: ["Registry", "ZooKeeper", "Reactor", "SmartStack", "YAMLConfig", logging],
      path: "Benchmarks/fleet-sessions", swiftSettings: strict),

    .target(
      name: "TestSupport", dependencies: ["Reactor", "SmartStack", logging], path: "Tests/TestSupport",
      swiftSettings: strict),
    tests("Reactor", ["SmartStack"]),
    tests("YAMLConfig", []),
    tests("SmartStack", [logging]),
    tests("ZooKeeper", ["Reactor", "SmartStack", logging]),
    tests("Registry", ["ZooKeeper", "Reactor", "SmartStack", "YAMLConfig", logging]),
    tests("HAProxyConfigGen", ["SmartStack"]),
    tests("HAProxyRuntime", ["HAProxyConfigGen", "Reactor", "SmartStack", logging]),
    tests("AgentKit", ["Reactor", "SmartStack", "YAMLConfig", logging]),
    tests(
      "Configure",
      [
        "NerveAgent", "SynapseAgent", "HAProxyConfigGen", "AgentKit", "Reactor", "SmartStack", "YAMLConfig", arguments,
      ]),
    tests("Hacheck", ["AgentKit", "Reactor", "SmartStack", "YAMLConfig", logging]),
    tests(
      "NerveAgent",
      ["AgentKit", "Hacheck", "Registry", "ZooKeeper", "Reactor", "SmartStack", "YAMLConfig", logging]),
    tests(
      "SynapseAgent",
      [
        "AgentKit", "HAProxyConfigGen", "HAProxyRuntime", "Registry", "ZooKeeper", "Reactor", "SmartStack",
        "YAMLConfig", logging,
      ]),
    tests(
      "OperatorTools",
      [
        "Configure", "SynapseAgent", "NerveAgent", "AgentKit", "HAProxyRuntime", "Hacheck", "Registry", "ZooKeeper",
        "Reactor", "SmartStack", "YAMLConfig", logging,
      ]),
  ]
)

// `make fuzz` alone builds this: it links with libFuzzer's `main`, and looks into the rooms as tests do.
if Context.environment["SMARTSTACK_FUZZ"] != nil {
  package.targets.append(
    .executableTarget(
      name: "fuzz",
      dependencies: [
        "AgentKit", "Configure", "HAProxyConfigGen", "HAProxyRuntime", "Hacheck", "NerveAgent", "Reactor", "Registry",
        "SmartStack", "SynapseAgent", "TestSupport", "YAMLConfig", "ZooKeeper",
      ],
      path: "Tests/Fuzz", exclude: ["corpus"], swiftSettings: strict))
}
