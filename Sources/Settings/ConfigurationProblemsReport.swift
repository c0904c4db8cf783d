/// One thing wrong with a configuration: where, which key, which rule, which value.
struct ConfigurationFinding: Error, Sendable, Equatable {
    /// Where it was written; nil when it was not written at all.
    var origin: SettingOrigin?
    /// The key, nested by dots; empty when the text as a whole is meant.
    var key: String
    /// The rule that it breaks.
    var rule: String
    /// The value as written, masked where it is a secret; nil when the rule says it all.
    var value: String?

    init(origin: SettingOrigin?, key: String, rule: String, value: String? = nil) {
        self.origin = origin
        self.key = key
        self.rule = rule
        self.value = value
    }
}

/// All problems of a configuration at once, as `check` prints them.
///
/// One line each, `config.yaml:12: churn.raise.high: must be 0 to 1, is 1.7`, in the order of the
/// file, then those of the command line (`--set: ...`), then what is missing; a line with their
/// number ends it.
package struct ConfigurationProblemsReport: Error, Sendable, Equatable, CustomStringConvertible {
    /// The configuration file as it was named.
    let file: String
    /// The problems, in the order of the report.
    let findings: [ConfigurationFinding]

    init(file: String, findings: [ConfigurationFinding]) {
        precondition(!findings.isEmpty, "a report without problems is no error")
        self.file = file
        self.findings = findings.enumerated().sorted { left, right in
            let (a, b) = (Self.rank(left.element.origin), Self.rank(right.element.origin))
            return a == b ? left.offset < right.offset : a < b
        }.map(\.element)
    }

    /// One line per problem, in order.
    package var lines: [String] { findings.map(line) }

    /// The last line.
    package var summary: String {
        "\(file): \(findings.count) problem\(findings.count == 1 ? "" : "s")"
    }

    package var description: String { (lines + [summary]).joined(separator: "\n") }

    private func line(_ finding: ConfigurationFinding) -> String {
        let place =
            switch finding.origin {
            case .line(let number): "\(file):\(number)"
            case .override: "--set"
            case nil: file
            }
        var parts = [place]
        if !finding.key.isEmpty { parts.append(finding.key) }
        parts.append(finding.value.map { "\(finding.rule), is \($0)" } ?? finding.rule)
        return parts.joined(separator: ": ")
    }

    /// Lines first, then overrides, then what was not written.
    private static func rank(_ origin: SettingOrigin?) -> (Int, Int) {
        switch origin {
        case .line(let number): (0, number)
        case .override(let position): (1, position)
        case nil: (2, 0)
        }
    }
}
