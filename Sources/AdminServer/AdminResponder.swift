import Engine

/// An answer before it becomes HTTP.
struct AdminReply: Sendable, Equatable {
    /// Status code.
    var status: Int
    /// Media type.
    var contentType: String
    /// Body in UTF-8.
    var body: String

    /// A JSON document.
    static func json(_ body: String) -> AdminReply {
        AdminReply(status: 200, contentType: "application/json", body: body)
    }

    /// One line for people and probes.
    static func line(_ status: Int, _ text: String) -> AdminReply {
        AdminReply(status: status, contentType: "text/plain; charset=utf-8", body: text + "\n")
    }

    /// An error as `{"error": ...}`.
    static func error(_ status: Int, _ message: String) -> AdminReply {
        AdminReply(
            status: status,
            contentType: "application/json",
            body: JSONText.object(["error": .text(message)]).encoded
        )
    }
}

/// Answers questions from the last published status, and those about a customer through the
/// mailbox.
///
/// Knows nothing of HTTP but status codes, so that it is tested without a socket.
struct AdminResponder: Sendable {
    /// What an address serves.
    enum Service {
        /// Health and metrics.
        case probes
        /// These, the model and customers.
        case everything
    }

    /// Where the engine publishes.
    let board: StatusBoard
    /// Where the engine is asked.
    let mailbox: Mailbox
    /// Longest time between two turns of the loop that counts as healthy.
    let loopLimit: Duration
    /// Longest wait for the engine's answer.
    let answerLimit: Duration
    /// Tells of the process itself.
    let process: @Sendable () -> ProcessFacts

    /// Answers one request.
    ///
    /// - Parameters:
    ///   - method: as in HTTP; only GET and HEAD change nothing, and so only they are allowed.
    ///   - path: percent-encoded as it came, so that a slash within a customer id is none between
    ///     parts.
    ///   - query: what stands behind the question mark, empty without one.
    ///   - service: what the address serves.
    ///   - wallMilliseconds: wall clock, in milliseconds since 1970.
    /// - Returns: the answer, an error included.
    func reply(
        method: String,
        path: String,
        query: String = "",
        of service: Service,
        wallMilliseconds: Int64
    ) async -> AdminReply {
        if method == "POST", service == .everything, let action = Self.action(path) {
            return await command(action, query)
        }
        guard method == "GET" || method == "HEAD" else {
            return .error(405, "only GET is possible")
        }
        switch (path, service) {
        case ("/healthz", _): return health()
        case ("/readyz", _): return readiness()
        case ("/metrics", _): return metrics(wallMilliseconds: wallMilliseconds)
        case ("/api/status", .everything): return status()
        case ("/api/model", .everything): return await model(query)
        case ("/api/models", .everything): return await ask(.versions) { .json($0) }
        case ("/api/segments", .everything): return await ask(.segments) { .json($0) }
        case ("/api/sweep", .everything): return await ask(.sweep) { .json($0) }
        case ("/api/export", .everything): return await export(query)
        case (_, .everything) where path.hasPrefix(Self.customers):
            let id = path.dropFirst(Self.customers.count)
            if !id.contains("/") { return await customer(String(id)) }
        default: break
        }
        return .error(404, "no such address")
    }

    private static let customers = "/api/customers/"

    /// 200 while the engine's loop turned within its limit, so that a restart is not asked for
    /// during a long restore, but is when the loop hangs.
    func health(now: ContinuousClock.Instant = .now) -> AdminReply {
        let status = board.current
        if status.state == .stopped { return .line(503, "stopped") }
        let age = now - status.lastTurn
        guard age <= loopLimit else {
            return .line(503, "the loop has not turned for \(Int(age.seconds)) s")
        }
        return .line(200, "ok")
    }

    /// 200 only when running with the assignment restored, else 503 with the reason.
    func readiness() -> AdminReply {
        board.current.unreadiness.map { .line(503, $0) } ?? .line(200, "ready")
    }

    /// Prometheus metrics.
    func metrics(wallMilliseconds: Int64, now: ContinuousClock.Instant = .now) -> AdminReply {
        AdminReply(
            status: 200,
            contentType: "text/plain; version=0.0.4; charset=utf-8",
            body: MetricsText.render(
                board.current,
                now: now,
                wallMilliseconds: wallMilliseconds,
                process: process()
            )
        )
    }

    /// The status as JSON.
    func status(now: ContinuousClock.Instant = .now) -> AdminReply {
        .json(StatusJSON.render(board.current, now: now, process: process()))
    }

    /// The bundle of the model in use.
    func model() -> AdminReply {
        board.current.modelBundleJSON.map { .json($0) } ?? .error(404, "no model yet")
    }

    /// One customer explained.
    ///
    /// - Parameter segment: the customer id as it stands in the path, percent-encoded.
    /// - Returns: the engine's explanation, or an error.
    func customer(_ segment: String) async -> AdminReply {
        guard let id = Self.percentDecoded(segment), !id.isEmpty else {
            return .error(400, "the customer id is not percent-encoded UTF-8")
        }
        return await ask(.explain(customer: id)) { .json($0) }
    }

    /// A slice of the customer table, with the row to go on from in the first line.
    ///
    /// - Parameter query: `from=N`, the row to begin at; from the start without it.
    /// - Returns: the slice, or an error.
    func export(_ query: String) async -> AdminReply {
        let text = query.isEmpty ? "0" : query.hasPrefix("from=") ? String(query.dropFirst(5)) : ""
        // A row number is an Int32 at most; `+1` is none.
        guard text.allSatisfy(\.isNumber), let row = Int32(text) else {
            return .error(400, "the query must be from=N, a row number that an answer named")
        }
        return await ask(.export(from: Int(row))) {
            AdminReply(status: 200, contentType: "text/csv; charset=utf-8", body: $0)
        }
    }

    func ask(
        _ request: Mailbox.Request,
        _ reply: (String) -> AdminReply
    ) async -> AdminReply {
        do throws(MailboxError) {
            guard let answer = try await mailbox.ask(request, limit: answerLimit) else {
                return switch request {
                case .explain:
                    .error(404, "unknown customer; ids are the keys of the records")
                case .segments, .sweep, .activeBundle:
                    .error(
                        404,
                        "no model yet: it takes model.minimum_customers customers; segmentd status"
                            + " says how many there are"
                    )
                case .shadowBundle: .error(404, "no version waits for an operator")
                default: .error(404, "no such version; /api/models lists those that there are")
                }
            }
            return reply(String(decoding: answer, as: UTF8.self))
        } catch {
            return switch error {
            case .full: .error(503, "too many questions are waiting, ask again")
            case .timedOut: .error(504, "the engine did not answer in time, ask again")
            case .cancelled: .error(503, "the question was withdrawn")
            case .stopped: .error(503, "the engine does not run")
            case .refused(let reason): .error(409, reason)
            case .aborted:
                .error(503, "the transaction was aborted and nothing has changed, ask again")
            case .unknownOutcome:
                .error(503, "the engine ended before it knew; /api/models says what is in force")
            }
        }
    }

    /// Undoes percent-encoding; nil for a broken escape or invalid UTF-8.
    ///
    /// `+` stays itself: ids are in the path, not in a form.
    static func percentDecoded(_ text: String) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard let high = rest.popFirst().flatMap(hexDigit),
                let low = rest.popFirst().flatMap(hexDigit)
            else { return nil }
            bytes.append(high << 4 | low)
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        Character(Unicode.Scalar(byte)).hexDigitValue.map { UInt8($0) }
    }
}
