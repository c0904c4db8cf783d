import AdminServer
import Engine
import Foundation
import Logging
import ServiceLifecycle
import Testing

#if canImport(FoundationNetworking)
    import FoundationNetworking
#endif

private let facts: @Sendable () -> ProcessFacts = {
    ProcessFacts(version: "1.2.3", residentBytes: nil)
}

/// Runs a server on free ports while `body` asks it, then ends it gracefully.
private func withServer(
    metrics: Bool = false,
    token: AdminToken? = nil,
    _ board: StatusBoard,
    _ mailbox: Mailbox,
    _ body: @Sendable ([ListenAddress]) async throws -> Void
) async throws {
    var configuration = AdminConfiguration()
    configuration.listen.port = 0
    // Nothing turns here, and a busy machine takes its time.
    configuration.loopLimit = .seconds(3600)
    configuration.token = token
    if metrics { configuration.metricsListen = ListenAddress(host: "127.0.0.1", port: 0) }
    let (addresses, listening) = AsyncStream.makeStream(of: ListenAddress.self)
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    let server = try AdminServer(
        configuration: configuration,
        board: board,
        mailbox: mailbox,
        logger: logger,
        wallMilliseconds: { 0 },
        process: facts,
        onListening: { listening.yield($0) }
    )
    let group = ServiceGroup(services: [server], logger: logger)
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        var known: [ListenAddress] = []
        for await address in addresses {
            known.append(address)
            if known.count == (metrics ? 2 : 1) { break }
        }
        try await body(known)
        await group.triggerGracefulShutdown()
        try await tasks.waitForAll()
    }
}

private func get(
    _ address: ListenAddress,
    _ path: String,
    authorization: String? = nil
) async throws -> (Int, String) {
    let url = try #require(URL(string: "http://\(address)\(path)"))
    var request = URLRequest(url: url)
    if let authorization { request.setValue(authorization, forHTTPHeaderField: "Authorization") }
    let (data, response) = try await URLSession.shared.data(for: request)
    let status = try #require(response as? HTTPURLResponse).statusCode
    return (status, String(decoding: data, as: UTF8.self))
}

@Suite(.timeLimit(.minutes(1))) struct AdminServerTests {
    @Test func everyAddressAnswers() async throws {
        let mailbox = Mailbox()
        try await withServer(runningBoard(now: .now), mailbox) { addresses in
            let address = try #require(addresses.first)
            #expect(try await get(address, "/healthz") == (200, "ok\n"))
            #expect(try await get(address, "/readyz") == (200, "ready\n"))
            #expect(try await get(address, "/api/model") == (200, "{\"version\":12}"))
            #expect(try await get(address, "/api/status").1.contains("\"customers\":2240"))
            #expect(try await get(address, "/metrics").1.contains("segmentd_customers 2240\n"))
            let missing = (404, "{\"error\":\"no such address\"}")
            for path in [
                "/", "/nothing", "/api", "/api/customers/a/b", "/api/customers", "/metrics/",
            ] {
                let answer = try await get(address, path)
                #expect(answer == missing, "\(path)")
            }
        }
    }

    @Test func noWebPageDecidesAboutModels() async throws {
        let mailbox = Mailbox()
        try await withServer(runningBoard(now: .now), mailbox) { addresses in
            let address = try #require(addresses.first)
            let url = try #require(URL(string: "http://\(address)/api/model/reject?version=x"))
            var request = URLRequest(url: url)
            request.httpMethod = "POST"
            // Without a page it is read, and found to name no version.
            let (_, plain) = try await URLSession.shared.data(for: request)
            #expect((plain as? HTTPURLResponse)?.statusCode == 400)
            request.setValue("http://elsewhere.example", forHTTPHeaderField: "Origin")
            let (_, refused) = try await URLSession.shared.data(for: request)
            #expect((refused as? HTTPURLResponse)?.statusCode == 403)
        }
    }

    @Test func customersAreAskedThroughTheMailbox() async throws {
        let mailbox = Mailbox()
        try await withServer(runningBoard(now: .now), mailbox) { addresses in
            let address = try #require(addresses.first)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    while !Task.isCancelled {
                        mailbox.drain { request in
                            request == .explain(customer: "c/ü 1")
                                ? Array("{\"customer_id\":\"c/ü 1\"}".utf8) : nil
                        }
                        await Task.yield()
                    }
                }
                let found = try await get(address, "/api/customers/c%2F%C3%BC%201")
                #expect(found == (200, "{\"customer_id\":\"c/ü 1\"}"))
                let unknown = try await get(address, "/api/customers/c-2")
                let words = "{\"error\":\"unknown customer; ids are the keys of the records\"}"
                #expect(unknown == (404, words))
                tasks.cancelAll()
                try await tasks.waitForAll()
            }
        }
    }

    @Test func exportIsAskedSliceBySlice() async throws {
        let mailbox = Mailbox()
        let slices = [0: "5000\ncustomer_id,age\nc-1,\n", 5000: "\nc-2,40\n"]
        try await withServer(runningBoard(now: .now), mailbox) { addresses in
            let address = try #require(addresses.first)
            try await withThrowingTaskGroup(of: Void.self) { tasks in
                tasks.addTask {
                    while !Task.isCancelled {
                        mailbox.drain { request in
                            guard case .export(let row) = request else { return nil }
                            return slices[row].map { Array($0.utf8) }
                        }
                        await Task.yield()
                    }
                }
                #expect(try await get(address, "/api/export").1 == slices[0])
                #expect(try await get(address, "/api/export?from=0").1 == slices[0])
                #expect(try await get(address, "/api/export?from=5000").1 == slices[5000])
                for query in ["from=", "from=x", "from=-1", "from=%2B1", "from=99999999999", "a=1"]
                {
                    #expect(try await get(address, "/api/export?\(query)").0 == 400, "\(query)")
                }
                tasks.cancelAll()
                try await tasks.waitForAll()
            }
        }
    }

    @Test func theMetricsAddressShowsNoPersonalData() async throws {
        try await withServer(
            metrics: true,
            runningBoard(now: .now),
            Mailbox()
        ) { addresses in
            var served = 0
            for address in addresses {
                #expect(try await get(address, "/metrics").0 == 200)
                #expect(try await get(address, "/healthz").0 == 200)
                if try await get(address, "/api/status").0 == 200 {
                    served += 1
                } else {
                    #expect(try await get(address, "/api/export").0 == 404)
                }
            }
            #expect(addresses.count == 2 && served == 1)
        }
    }

    @Test func aTakenAddressEndsTheServer() async throws {
        try await withServer(runningBoard(now: .now), Mailbox()) { addresses in
            var configuration = AdminConfiguration()
            configuration.listen.port = 0
            configuration.metricsListen = addresses.first
            let second = try AdminServer(
                configuration: configuration,
                board: StatusBoard(sinceMilliseconds: 0),
                mailbox: Mailbox(),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
                wallMilliseconds: { 0 },
                process: facts
            )
            await #expect(throws: (any Error).self) { try await second.run() }
        }
    }

    @Test func remoteAddressesNeedConsent() throws {
        var configuration = AdminConfiguration()
        for host in ["127.0.0.1", "127.8.9.1", "localhost", "::1"] {
            configuration.listen.host = host
            #expect(configuration.validate().isEmpty, "\(host)")
        }
        for host in ["0.0.0.0", "::", "10.0.0.1", "127.example.org", "127.0.0.1.example.org"] {
            configuration.listen.host = host
            #expect(configuration.validate().map(\.key) == ["admin.listen"], "\(host)")
            #expect(throws: AdminConfiguration.Problem.self) {
                try AdminServer(
                    configuration: configuration,
                    board: StatusBoard(sinceMilliseconds: 0),
                    mailbox: Mailbox(),
                    logger: Logger(label: "test"),
                    wallMilliseconds: { 0 },
                    process: facts
                )
            }
        }
        // What shows personal data to other machines asks who they are, and is not overheard.
        configuration.allowRemote = true
        #expect(configuration.validate().map(\.key) == ["admin.allow_remote"])
        configuration.token = AdminToken("0123456789abcdef")
        #expect(configuration.validate().map(\.key) == ["admin.allow_remote"])
        configuration.certificate = "cert.pem"
        #expect(configuration.validate().map(\.key) == ["admin.tls.key"])
        configuration.key = "key.pem"
        #expect(configuration.validate().isEmpty)
        configuration.token = nil
        #expect(configuration.validate().map(\.key) == ["admin.allow_remote"])
    }

    @Test func aTokenIsAskedForWhereThereIsOne() async throws {
        let token = try #require(AdminToken("0123456789abcdef"))
        let board = runningBoard(now: .now)
        try await withServer(metrics: true, token: token, board, Mailbox()) { addresses in
            var refused: [Int] = []
            for address in addresses {
                #expect(try await get(address, "/healthz").0 == 200)
                #expect(try await get(address, "/readyz").0 == 200)
                refused.append(try await get(address, "/metrics").0)
            }
            // The address of metrics alone shows nothing personal and asks for nothing.
            #expect(refused.sorted() == [200, 401])
            let admin = addresses[refused.firstIndex(of: 401) ?? 0]
            for wrong in [
                nil, "Bearer 0123456789abcdeg", "Bearer 0123456789abcdef0", "Bearer ",
                "0123456789abcdef",
                "Basic 0123456789abcdef",
            ] {
                let (status, body) = try await get(admin, "/api/status", authorization: wrong)
                #expect(status == 401 && body.contains("admin token"), "\(wrong ?? "none")")
            }
            for right in ["Bearer 0123456789abcdef", "bearer 0123456789abcdef"] {
                #expect(try await get(admin, "/api/status", authorization: right).0 == 200)
            }
        }
    }

    @Test func tokensAreLongEnoughAndNeverPrinted() throws {
        #expect(AdminToken("0123456789abcde") == nil)
        #expect(AdminToken("0123456789 abcdef") == nil)
        let token = try #require(AdminToken("0123456789abcdef"))
        var dumped = ""
        dump(token, to: &dumped)
        for text in [dumped, "\(token)", String(reflecting: token)] {
            #expect(!text.contains("0123"))
        }
    }

    @Test func addressesAreReadAndWrittenBack() {
        for text in ["127.0.0.1:9464", "localhost:0", "[::1]:65535", "a.example:1"] {
            #expect(ListenAddress(text)?.description == text)
        }
        for text in [
            "9464", ":9464", "host", "host:", "host:x", "h:65536", "::1:5", "a b:1", "h:-1",
        ] {
            #expect(ListenAddress(text) == nil, "\(text)")
        }
    }
}
