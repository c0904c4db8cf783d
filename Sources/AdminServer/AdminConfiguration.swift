/// Where the admin server listens, and what it calls healthy.
public struct AdminConfiguration: Sendable, Equatable {
    /// Address of everything: health, metrics, model and customers, so personal data too.
    public var listen = ListenAddress(host: "127.0.0.1", port: 9464)
    /// A further address that serves health and metrics alone; nil for none.
    public var metricsListen: ListenAddress?
    /// Allows `listen` to be reached from other machines.
    public var allowRemote = false
    /// What callers of `listen` have to show, probes aside; nil asks for nothing.
    public var token: AdminToken?
    /// Path of the certificate of `listen`, PEM; nil serves plain HTTP.
    public var certificate: String?
    /// Path of its private key, PEM.
    public var key: String?
    /// Longest time between two turns of the engine's loop that counts as healthy.
    public var loopLimit = Duration.seconds(10)
    /// Longest wait for the engine's answer to a question about a customer.
    public var answerLimit = Duration.seconds(2)

    /// Creates the defaults.
    public init() {}

    /// One rule that a configuration breaks.
    public struct Problem: Error, Sendable, Equatable {
        /// The configuration key.
        public var key: String
        /// The rule.
        public var rule: String
    }

    /// What cannot work, each with its key and the rule; empty when all is well.
    public func validate() -> [Problem] {
        var problems: [Problem] = []
        if !listen.isLoopback && !allowRemote {
            problems.append(
                Problem(
                    key: "admin.listen",
                    rule: "shows personal data and must be a loopback address"
                        + " unless admin.allow_remote is true"
                )
            )
        }
        if !listen.isLoopback && allowRemote && (token == nil || certificate == nil) {
            problems.append(
                Problem(
                    key: "admin.allow_remote",
                    rule: "takes admin.token, admin.tls.certificate and admin.tls.key too,"
                        + " since admin.listen shows personal data"
                )
            )
        }
        if (certificate == nil) != (key == nil) {
            problems.append(
                Problem(
                    key: certificate == nil ? "admin.tls.certificate" : "admin.tls.key",
                    rule: "is needed with "
                        + (certificate == nil ? "admin.tls.key" : "admin.tls.certificate")
                )
            )
        }
        if metricsListen == listen && listen.port != 0 {
            problems.append(
                Problem(key: "metrics.listen", rule: "must differ from admin.listen")
            )
        }
        if loopLimit <= .zero {
            problems.append(Problem(key: "health.loop_limit", rule: "must be above 0"))
        }
        return problems
    }
}

/// A host and a port to listen on.
public struct ListenAddress: Sendable, Equatable, CustomStringConvertible {
    /// Host name or address, IPv6 without brackets.
    public var host: String
    /// Port, 0 to 65,535; 0 lets the system choose a free one.
    public var port: Int

    /// Creates an address from its parts.
    ///
    /// - Parameters:
    ///   - host: name or address, not empty.
    ///   - port: 0 to 65,535.
    public init(host: String, port: Int) {
        precondition(!host.isEmpty && (0...65_535).contains(port))
        self.host = host
        self.port = port
    }

    /// Parses `127.0.0.1:9464`, `localhost:9464` or `[::1]:9464`; nil when it is no address.
    public init?(_ text: String) {
        guard let colon = text.lastIndex(of: ":") else { return nil }
        var host = text[..<colon]
        let digits = text[text.index(after: colon)...]
        if host.hasPrefix("[") && host.hasSuffix("]") {
            host = host.dropFirst().dropLast()
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty, !host.contains(where: \.isWhitespace),
            !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
            let port = Int(digits), port <= 65_535
        else { return nil }
        self.init(host: String(host), port: port)
    }

    /// True when only this machine reaches the address.
    public var isLoopback: Bool {
        if host == "localhost" || host == "::1" { return true }
        // 127.0.0.0/8; a name that merely begins so, such as 127.example.org, is not meant.
        let parts = host.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
    }

    /// As it is written in configurations.
    public var description: String {
        host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    }
}
