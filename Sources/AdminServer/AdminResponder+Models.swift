import Engine

extension AdminResponder {
    /// What a command's address asks for.
    enum Action: String {
        case accept, reject, rollback
    }

    /// The command of `/api/model/accept` and so on, nil for another address.
    static func action(_ path: String) -> Action? {
        let prefix = "/api/model/"
        guard path.hasPrefix(prefix) else { return nil }
        return Action(rawValue: String(path.dropFirst(prefix.count)))
    }

    /// Does what an operator asks for.
    ///
    /// - Parameters:
    ///   - action: what.
    ///   - query: `version=N`; may be empty where the version that waits is meant.
    /// - Returns: what happened, as `{"message": ...}`, or an error.
    func command(_ action: Action, _ query: String) async -> AdminReply {
        var version: Int?
        if !query.isEmpty {
            version = Self.version(query).flatMap { Int($0) }
            if version == nil { return .error(400, "the query must be version=N") }
        }
        let command: Mailbox.Request
        switch (action, version) {
        case (.accept, _): command = .accept(version: version)
        case (.reject, _): command = .reject(version: version)
        case (.rollback, let version?): command = .rollback(version: version)
        case (.rollback, nil): return .error(400, "which version? The query must be version=N")
        }
        return await ask(command) {
            .json(JSONText.object(["message": .text($0)]).encoded)
        }
    }

    /// The bundle of the model in use, or of the one that the query selects.
    ///
    /// - Parameter query: empty, or `version=` and a number, `active` or `shadow`.
    /// - Returns: the bundle, or an error.
    func model(_ query: String) async -> AdminReply {
        guard !query.isEmpty else { return model() }
        let selection: Mailbox.Request
        switch Self.version(query) {
        case "active": selection = .activeBundle
        case "shadow": selection = .shadowBundle
        case let text:
            guard let number = text.flatMap({ Int($0) }) else {
                return .error(400, "the query must be version=N, active or shadow")
            }
            selection = .bundle(version: number)
        }
        return await ask(selection) { .json($0) }
    }

    private static func version(_ query: String) -> String? {
        query.hasPrefix("version=") ? String(query.dropFirst(8)) : nil
    }
}
