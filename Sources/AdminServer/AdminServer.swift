public import Engine
import Hummingbird
public import Logging
public import ServiceLifecycle

/// Health, metrics and questions over HTTP.
///
/// Reads what the engine published and never touches its state; listed before the engine in the
/// service group, it outlives the engine's drain, so that `/healthz` answers to the end.
public struct AdminServer: Service {
    private let configuration: AdminConfiguration
    private let responder: AdminResponder
    private let logger: Logger
    private let wallMilliseconds: @Sendable () -> Int64
    private let onListening: @Sendable (ListenAddress) -> Void

    /// Creates a server that does not listen yet.
    ///
    /// - Parameters:
    ///   - configuration: where to listen.
    ///   - board: where the engine publishes.
    ///   - mailbox: where the engine is asked.
    ///   - logger: for requests that fail and for the addresses.
    ///   - wallMilliseconds: wall clock, in milliseconds since 1970.
    ///   - onListening: called with each address once it accepts connections; the port is the real
    ///     one.
    /// - Throws: `AdminConfiguration.Problem`, the first rule that the configuration breaks; bad
    ///   configuration, so the remedy is to change it.
    public init(
        configuration: AdminConfiguration,
        board: StatusBoard,
        mailbox: Mailbox,
        logger: Logger,
        wallMilliseconds: @escaping @Sendable () -> Int64,
        onListening: @escaping @Sendable (ListenAddress) -> Void = { _ in }
    ) throws(AdminConfiguration.Problem) {
        if let problem = configuration.validate().first { throw problem }
        self.configuration = configuration
        responder = AdminResponder(
            board: board,
            mailbox: mailbox,
            loopLimit: configuration.loopLimit,
            answerLimit: configuration.answerLimit
        )
        self.logger = logger
        self.wallMilliseconds = wallMilliseconds
        self.onListening = onListening
    }

    /// Listens until graceful shutdown.
    ///
    /// - Throws: when an address cannot be listened on, for example because it is taken.
    public func run() async throws {
        let admin = application(.everything, at: configuration.listen)
        guard let address = configuration.metricsListen else {
            try await admin.run()
            return
        }
        let metrics = application(.probes, at: address)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await admin.run() }
            group.addTask { try await metrics.run() }
            // Not waitForAll, which would go on waiting for the other after a failure of one.
            for try await _ in group {}
        }
    }

    private func application(
        _ service: AdminResponder.Service,
        at address: ListenAddress
    ) -> some ApplicationProtocol {
        var quiet = logger
        // The server's own notices repeat ours; what fails is a warning or worse.
        quiet.logLevel = max(logger.logLevel, .warning)
        let logger = logger
        let onListening = onListening
        let responder = responder
        let wallMilliseconds = wallMilliseconds
        return Application(
            responder: CallbackResponder<BasicRequestContext> { request, _ in
                // A browser names the page that sends it here; no page may decide about models.
                if request.method == .post, request.headers[.origin] != nil {
                    return Self.response(.error(403, "not for web pages"), hasBody: true)
                }
                let reply = await responder.reply(
                    method: request.method.rawValue,
                    path: request.uri.path,
                    query: request.uri.query ?? "",
                    of: service,
                    wallMilliseconds: wallMilliseconds()
                )
                return Self.response(reply, hasBody: request.method != .head)
            },
            configuration: ApplicationConfiguration(
                address: .hostname(address.host, port: address.port),
                serverName: "segmentd"
            ),
            onServerRunning: { channel in
                let port = channel.localAddress?.port ?? address.port
                let actual = ListenAddress(host: address.host, port: port)
                logger.info("listening", metadata: ["address": "\(actual)"])
                onListening(actual)
            },
            logger: quiet
        )
    }

    private static func response(_ reply: AdminReply, hasBody: Bool) -> Response {
        var headers = HTTPFields()
        headers[.contentType] = reply.contentType
        // Answers hold personal data or age within seconds.
        headers[.cacheControl] = "no-store"
        return Response(
            status: HTTPResponse.Status(code: reply.status),
            headers: headers,
            body: hasBody
                ? ResponseBody(byteBuffer: ByteBuffer(string: reply.body)) : ResponseBody()
        )
    }
}
