import AsyncHTTPClient
import Foundation
import NIOCore
import NIOFoundationCompat
import NIOHTTP1
import NIOSSL

/// Asks the admin address of a daemon.
struct AdminClient {
    /// `HOST:PORT`, or `https://HOST:PORT`.
    let address: String
    /// Shown to the daemon where it asks for one.
    let token: String?
    /// File with the certificate that the daemon's is signed by, PEM; nil for those that the
    /// machine trusts.
    let authority: String?

    /// Longest answer, in bytes: a slice of an export, or a bundle.
    private static let answerBytesMax = 64 << 20

    /// Sends one request.
    ///
    /// - Returns: the status and the body.
    /// - Throws: whatever keeps the answer away.
    func request(_ method: String, _ path: String) async throws -> (status: Int, body: Data) {
        var tls = TLSConfiguration.makeClientConfiguration()
        if let authority { tls.trustRoots = .file(authority) }
        var configuration = HTTPClient.Configuration(
            tlsConfiguration: tls,
            timeout: HTTPClient.Configuration.Timeout(connect: .seconds(5), read: .seconds(60))
        )
        // Whoever asks a daemon that does not run wants to know it now.
        configuration.connectionPool.retryConnectionEstablishment = false
        let client = HTTPClient(eventLoopGroupProvider: .singleton, configuration: configuration)
        do {
            let hasScheme = address.contains("://")
            var request = HTTPClientRequest(url: (hasScheme ? "" : "http://") + address + path)
            request.method = .RAW(value: method)
            if let token { request.headers.add(name: "Authorization", value: "Bearer \(token)") }
            let response = try await client.execute(request, timeout: .seconds(90))
            let body = try await response.body.collect(upTo: Self.answerBytesMax)
            try await client.shutdown()
            return (Int(response.status.code), Data(buffer: body))
        } catch {
            try await client.shutdown()
            throw error
        }
    }
}
