// swift-tools-version: 6.2
import PackageDescription

/// Settings of every Swift target of this package.
let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
]

/// Settings of the C++ targets of this package.
let strictC: [CSetting] = [.treatAllWarnings(as: .error), .enableWarning("all")]
let strictCXX: [CXXSetting] = [.treatAllWarnings(as: .error), .enableWarning("all")]

let package = Package(
    name: "segmentd",
    products: [
        .executable(name: "segmentd", targets: ["segmentd"])
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(
            url: "https://github.com/hummingbird-project/hummingbird",
            from: "2.28.1",
            traits: []
        ),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibrdkafka",
            pkgConfig: "rdkafka",
            providers: [.apt(["librdkafka-dev"])]
        ),
        .systemLibrary(
            name: "CLAPACKE",
            pkgConfig: "lapacke",
            providers: [.apt(["liblapacke-dev", "libopenblas-dev"])]
        ),
        .systemLibrary(name: "CNLopt", pkgConfig: "nlopt", providers: [.apt(["libnlopt-dev"])]),
        .target(name: "CCharconv", cSettings: strictC, cxxSettings: strictCXX),
        .target(
            name: "CSimdjson",
            cSettings: strictC,
            cxxSettings: strictCXX,
            linkerSettings: [.linkedLibrary("simdjson")]
        ),
        .target(name: "Kernels", dependencies: ["CLAPACKE", "CNLopt"], swiftSettings: strict),
        .target(name: "OnlineLearning", dependencies: ["Kernels"], swiftSettings: strict),
        .target(
            name: "Segmentation",
            dependencies: ["OnlineLearning", "CCharconv", "CSimdjson"],
            swiftSettings: strict
        ),
        .target(name: "EventLog", dependencies: ["CLibrdkafka"], swiftSettings: strict),
        .target(
            name: "Engine",
            dependencies: [
                "Segmentation", "EventLog",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "AdminServer",
            dependencies: [
                "Engine",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "HummingbirdTLS", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .target(
            name: "Settings",
            dependencies: [
                "AdminServer", "Segmentation",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Yams", package: "Yams"),
            ],
            resources: [.embedInCode("segmentd.yaml")],
            swiftSettings: strict
        ),
        .target(name: "ShopSimulator", swiftSettings: strict),
        .executableTarget(
            name: "segmentd",
            dependencies: [
                "AdminServer", "Engine", "EventLog", "OnlineLearning", "Segmentation", "Settings",
                "ShopSimulator",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOFoundationCompat", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .executableTarget(
            name: "Benchmarks",
            dependencies: ["Engine", "OnlineLearning", "Segmentation", "Settings"],
            swiftSettings: strict
        ),
        .target(
            name: "TestSupport",
            dependencies: ["EventLog"],
            path: "Tests/TestSupport",
            swiftSettings: strict
        ),
        .testTarget(name: "KernelsTests", dependencies: ["Kernels"], swiftSettings: strict),
        .testTarget(
            name: "OnlineLearningTests",
            dependencies: ["OnlineLearning"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SegmentationTests",
            dependencies: ["Segmentation", "OnlineLearning"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "EventLogTests",
            dependencies: ["EventLog", "CLibrdkafka", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "ShopSimulatorTests",
            dependencies: ["ShopSimulator"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "AdminServerTests",
            dependencies: [
                "AdminServer", "Engine",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
            ],
            swiftSettings: strict
        ),
        .testTarget(
            name: "SimulationTests",
            dependencies: ["Engine", "EventLog", "Segmentation", "ShopSimulator", "TestSupport"],
            swiftSettings: strict
        ),
        .testTarget(
            name: "DaemonTests",
            dependencies: [
                "AdminServer", "Engine", "EventLog", "Segmentation", "Settings", "segmentd",
                .product(name: "Logging", package: "swift-log"),
            ],
            exclude: ["Fixtures"],
            swiftSettings: strict
        ),
        .testTarget(name: "TidyTests", swiftSettings: strict),
    ],
    swiftLanguageModes: [.v6],
    cxxLanguageStandard: .cxx17
)
