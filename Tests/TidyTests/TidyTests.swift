import Testing

/// The few rules of style that protect safety, checked on the text of the sources.
@Suite struct TidyTests {
    /// Where the word `unsafe` may stand: folders end with a slash.
    ///
    /// A file joins this list with a reason.
    private static let unsafePlaces = [
        // Kernels call LAPACK and NLopt.
        "Sources/Kernels/",
        // All of librdkafka.
        "Sources/EventLog/Kafka/",
        // Calls the C++ shim of simdjson.
        "Sources/Segmentation/JSONRecordParser.swift",
        // Appends constant text and digits without making a string of them.
        "Sources/Segmentation/JSONText.swift",
        // Reads eight bytes at a time.
        "Sources/Segmentation/StableHash.swift",
        // Writes to the notify socket of systemd.
        "Sources/segmentd/NotifySocket.swift",
        // Files and folders through system calls, to be sure of what is on the disk.
        "Sources/Engine/CheckpointFolder.swift",
        // Starts the engine's own thread.
        "Sources/Engine/EngineThread.swift",
    ]

    /// What each target may import, besides the standard library.
    private static let imports: [String: Set<String>] = [
        "Kernels": ["CLAPACKE", "CNLopt", "Glibc"],
        "OnlineLearning": ["Kernels", "Glibc"],
        "Segmentation": [
            "OnlineLearning", "Kernels", "CCharconv", "CSimdjson", "Foundation", "Glibc",
        ],
        "EventLog": ["CLibrdkafka", "Foundation", "Glibc", "Synchronization"],
        "Engine": [
            "Segmentation", "EventLog", "Logging", "ServiceLifecycle", "Foundation", "Glibc",
            "Synchronization",
        ],
        "AdminServer": [
            "Engine", "Hummingbird", "HummingbirdCore", "HummingbirdTLS", "Logging", "NIOSSL",
            "ServiceLifecycle",
        ],
        "ShopSimulator": ["Foundation", "Glibc"],
        "Settings": ["AdminServer", "Segmentation", "Logging", "Yams", "Foundation"],
        "segmentd": [
            "AdminServer", "Engine", "EventLog", "OnlineLearning", "Segmentation", "Settings",
            "ShopSimulator", "ArgumentParser", "AsyncHTTPClient", "Logging", "NIOCore",
            "NIOFoundationCompat", "NIOHTTP1", "NIOSSL", "ServiceLifecycle", "UnixSignals",
            "Foundation",
            "Glibc", "Synchronization",
        ],
        "Benchmarks": [
            "Engine", "OnlineLearning", "Segmentation", "Settings", "Foundation",
            "Synchronization",
        ],
    ]

    /// Modules that only one folder may import.
    private static let folders: [String: String] = [
        "CLibrdkafka": "Sources/EventLog/Kafka/",
        "Yams": "Sources/Settings/",
    ]

    @Test func unsafeStandsOnlyInItsPlaces() throws {
        for file in try SourceText.all() where file.path.hasPrefix("Sources/") {
            if Self.unsafePlaces.contains(where: { file.path.hasPrefix($0) }) { continue }
            for (line, word) in file.words where word == "unsafe" {
                Issue.record("\(file.path):\(line): unsafe stands outside of its places")
            }
        }
    }

    @Test func targetsImportOnlyWhatTheyMay() throws {
        for file in try SourceText.all() where file.path.hasPrefix("Sources/") {
            guard let allowed = Self.imports[file.target] else {
                Issue.record("\(file.path): the target \(file.target) has no list of imports")
                continue
            }
            for module in file.imports.subtracting(allowed).sorted() {
                Issue.record("\(file.path): \(file.target) must not import \(module)")
            }
            for (module, folder) in Self.folders where file.imports.contains(module) {
                #expect(file.path.hasPrefix(folder), "\(module) is for \(folder) alone")
            }
        }
    }

    @Test func nothingTrapsOrWaitsToBeDone() throws {
        for file in try SourceText.all() {
            for (line, word) in file.words where word == "fatalError" {
                Issue.record("\(file.path):\(line): \(word)")
            }
            for (line, text) in file.codeLines {
                for word in ["try!", "as!"] where Self.has(word, in: text) {
                    Issue.record("\(file.path):\(line): \(word)")
                }
                // An error that nobody sees; tests may want a value or nothing.
                if file.path.hasPrefix("Sources/") && Self.has("try?", in: text) {
                    Issue.record("\(file.path):\(line): try?")
                }
            }
            // Notes of this kind stand in comments, so in the text; this file has to name them.
            if file.target == "TidyTests" { continue }
            for (index, line) in file.lines.enumerated() {
                for word in ["TODO", "FIXME"] where line.contains(word) {
                    Issue.record("\(file.path):\(index + 1): \(word)")
                }
            }
        }
    }

    /// Whether a keyword stands in a line, not merely the end of a name such as `Entry?`.
    private static func has(_ keyword: String, in line: Substring) -> Bool {
        line.ranges(of: keyword).contains { range in
            let before = line[..<range.lowerBound].last
            return before.map { !($0.isLetter || $0.isNumber || $0 == "_") } ?? true
        }
    }

    @Test func linesAndFilesHaveLimits() throws {
        for file in try SourceText.all() {
            #expect(file.lines.count <= 500, "\(file.path) has \(file.lines.count) lines")
            for (index, line) in file.lines.enumerated() where line.count > 100 {
                // Records of the contract stand in tests as they are, each on one line.
                if file.path.hasPrefix("Tests/"), line.contains("\\\"") || line.contains("\"#") {
                    continue
                }
                Issue.record("\(file.path):\(index + 1): \(line.count) columns")
            }
        }
    }

    @Test func everyFolderOfSourcesIsFound() throws {
        let targets = Set(try SourceText.all().map(\.target))
        #expect(targets.isSuperset(of: Self.imports.keys))
    }
}

/// The reader of sources itself.
@Suite struct SourceTextTests {
    private func words(_ text: String) -> [Substring] {
        SourceText(path: "Sources/X/x.swift", text: text).words.map(\.word)
    }

    @Test func commentsAndStringsAreNoCode() {
        #expect(words("a // unsafe\nb") == ["a", "b"])
        #expect(words("a /* b /* c */ d */ e") == ["a", "e"])
        #expect(words(#"f("unsafe \" unsafe") g"#) == ["f", "g"])
        #expect(words("f(#\"unsafe \\\"# + g) h") == ["f", "g", "h"])
        #expect(words("\"\"\"\nunsafe \"quoted\"\n\"\"\"; a") == ["a"])
        #expect(words("#expect(unsafe x)") == ["expect", "unsafe", "x"])
        #expect(words("nonisolated(unsafe) var a") == ["nonisolated", "unsafe", "var", "a"])
    }

    @Test func linesAreCountedThroughCommentsAndStrings() {
        let file = SourceText(path: "Sources/X/x.swift", text: "/*\n*/\"\"\"\n\n\"\"\"\nunsafe")
        #expect(file.words.map(\.line) == [5])
    }

    @Test func importsAreReadInAllTheirForms() {
        let text = """
            import A
            public import B
            @testable import C
            @preconcurrency internal import D
            import struct E.F
            // import G
            #if canImport(H)
                import I
            #endif
            func important() { imports() }
            """
        let file = SourceText(path: "Sources/X/x.swift", text: text)
        #expect(file.imports == ["A", "B", "C", "D", "E", "I"])
        #expect(file.target == "X")
    }
}
