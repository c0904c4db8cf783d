import Foundation

/// Reads values that may be kept apart from the configuration: `{file: PATH}` and
/// `{credential: NAME}`, as a service manager hands credentials over.
struct ValueFiles {
    /// Folder that relative paths of `{file: PATH}` start from: that of the configuration.
    let folder: String
    /// Folder of the credentials, nil where nobody has handed any over.
    let credentials: String?

    /// Creates a reader of files.
    ///
    /// - Parameters:
    ///   - folder: where relative paths start.
    ///   - credentials: folder of the credentials; that of the environment (systemd.exec(5)) where
    ///     it is left out.
    init(
        folder: String,
        credentials: String? = ProcessInfo.processInfo.environment["CREDENTIALS_DIRECTORY"]
    ) {
        self.folder = folder
        self.credentials = credentials
    }

    /// Reads a value.
    ///
    /// - Parameters:
    ///   - reader: where problems are noted.
    ///   - key: the key.
    ///   - node: what was written.
    ///   - origin: where.
    ///   - isSecret: its value is never shown.
    ///   - hint: what the message says beside what a value may be, for a mapping of something else.
    /// - Returns: the text, nil after a problem.
    func text(
        _ reader: inout SettingReader,
        _ key: String,
        _ node: SettingNode,
        at origin: SettingOrigin,
        isSecret: Bool,
        hint: String = ""
    ) -> String? {
        let rule = "must be text, {file: PATH} or {credential: NAME}"
        switch node.content {
        case .scalar(let text, _): return text
        case .map(let parts):
            guard parts.count == 1, let part = parts.first,
                case .scalar(let name, _) = part.node.content
            else {
                reader.report(key, at: origin, hint + rule)
                return nil
            }
            switch part.key {
            case "file": return content(&reader, key, ofFile: name, at: origin)
            case "credential": return content(&reader, key, ofCredential: name, at: origin)
            default:
                reader.report(key, at: origin, hint + rule)
                return nil
            }
        case .empty, .list:
            reader.report(key, node, rule, isSecret: isSecret)
            return nil
        }
    }

    private func content(
        _ reader: inout SettingReader,
        _ key: String,
        ofCredential name: String,
        at origin: SettingOrigin
    ) -> String? {
        guard !name.isEmpty, !name.contains("/") else {
            reader.report(key, at: origin, "names a credential, which has no slash")
            return nil
        }
        guard let credentials else {
            reader.missingCredentials.append((key: key, name: name, origin: origin))
            return ""
        }
        do {
            return Self.trimmed(
                try String(contentsOfFile: "\(credentials)/\(name)", encoding: .utf8)
            )
        } catch {
            reader.report(
                key,
                at: origin,
                "there is no credential \(name); the unit needs LoadCredential=\(name):PATH"
            )
            return nil
        }
    }

    private func content(
        _ reader: inout SettingReader,
        _ key: String,
        ofFile path: String,
        at origin: SettingOrigin
    ) -> String? {
        do {
            return Self.trimmed(try String(contentsOfFile: full(path), encoding: .utf8))
        } catch {
            reader.report(key, at: origin, "cannot read the file \(path)")
            return nil
        }
    }

    /// A path as the program opens it.
    func full(_ path: String) -> String { path.hasPrefix("/") ? path : "\(folder)/\(path)" }

    /// Editors end files with a newline; no secret of ours does.
    private static func trimmed(_ text: String) -> String {
        text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
