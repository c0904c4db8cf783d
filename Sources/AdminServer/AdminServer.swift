public import Engine
import Hummingbird
import HummingbirdCore
import HummingbirdTLS
public import Logging
import NIOSSL
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
    ///   - process: tells of the process itself.
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
        process: @escaping @Sendable () -> ProcessFacts,
        onListening: @escaping @Sendable (ListenAddress) -> Void = { _ in }
    ) throws(AdminConfiguration.Problem) {
        if let problem = configuration.validate().first { throw problem }
        self.configuration = configuration
        responder = AdminResponder(
            board: board,
            mailbox: mailbox,
            loopLimit: configuration.loopLimit,
            answerLimit: configuration.answerLimit,
            process: process
        )
        self.logger = logger
        self.wallMilliseconds = wallMilliseconds
        self.onListening = onListening
    }

    /// Listens until graceful shutdown.
    ///
    /// - Throws: when an address cannot be listened on, for example because it is taken, or when
    ///   certificate or key cannot be read.
    public func run() async throws {
        let admin = try application(.everything, at: configuration.listen)
        guard let address = configuration.metricsListen else {
            try await admin.run()
            return
        }
        let metrics = try application(.probes, at: address)
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
    ) throws -> some ApplicationProtocol {
        var quiet = logger
        // The server's own notices repeat ours; what fails is a warning or worse.
        quiet.logLevel = max(logger.logLevel, .warning)
        let logger = logger
        let onListening = onListening
        let responder = responder
        let wallMilliseconds = wallMilliseconds
        let token = service == .everything ? configuration.token : nil
        return Application(
            responder: CallbackResponder<BasicRequestContext> { request, _ in
                // A browser names the page that sends it here; no page may decide about models.
                if request.method == .post, request.headers[.origin] != nil {
                    return Self.response(.error(403, "not for web pages"), hasBody: true)
                }
                // Probes come from schedulers that have no token.
                if let token, request.uri.path != "/healthz", request.uri.path != "/readyz",
                    !token.isShown(in: request.headers[.authorization])
                {
                    return Self.refusal(hasBody: request.method != .head)
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
            server: try server(service),
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

    /// Plain HTTP, or TLS where there is a certificate; metrics show nothing personal and are
    /// plain.
    private func server(_ service: AdminResponder.Service) throws -> HTTPServerBuilder {
        guard service == .everything, let certificate = configuration.certificate,
            let key = configuration.key
        else { return .http1() }
        let chain = try NIOSSLCertificate.fromPEMFile(certificate)
        var tls = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))
        )
        tls.minimumTLSVersion = .tlsv12
        return try .tls(.http1(), tlsConfiguration: tls)
    }

    private static func refusal(hasBody: Bool) -> Response {
        let reply = AdminReply.error(401, "the admin token is needed: Authorization: Bearer TOKEN")
        var refusal = response(reply, hasBody: hasBody)
        refusal.headers[.wwwAuthenticate] = "Bearer realm=\"segmentd\""
        return refusal
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
