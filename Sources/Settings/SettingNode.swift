/// Where a setting was written.
enum SettingOrigin: Sendable, Equatable {
    /// A line of the configuration file, from 1.
    case line(Int)
    /// A `--set` on the command line, by its position among them, from 0.
    case override(Int)
}

/// One value of a configuration with the place where it was written.
///
/// A tree of our own rather than the YAML library's: overrides have no line, and the rest of the
/// code need not know where trees come from.
struct SettingNode: Sendable, Equatable {
    /// One key of a mapping.
    struct Entry: Sendable, Equatable {
        var key: String
        var origin: SettingOrigin
        var node: SettingNode
    }

    /// The value.
    enum Content: Sendable, Equatable {
        /// A key without a value, `null` or `~`.
        case empty
        /// Text as written; in quotes it is text, whatever it looks like.
        case scalar(String, isQuoted: Bool)
        case list([SettingNode])
        case map([Entry])
    }

    var origin: SettingOrigin
    var content: Content

    /// Value as an error message shows it.
    var shown: String {
        switch content {
        case .empty: "empty"
        case .scalar(let text, let isQuoted): isQuoted ? "\"\(text)\"" : text
        case .list: "a list"
        case .map: "a mapping"
        }
    }

    /// Value of a secret as an error message shows it: only that there is a text.
    var maskedIfText: String {
        if case .scalar = content { return Secret.mask }
        return shown
    }

    /// Puts a value at a path of keys; mappings that are missing on the way are made, and what is
    /// not a mapping there is replaced.
    mutating func set(_ path: ArraySlice<String>, to node: SettingNode) {
        guard let key = path.first else {
            self = node
            return
        }
        var entries: [Entry] = []
        if case .map(let present) = content { entries = present }
        let rest = path.dropFirst()
        if let index = entries.firstIndex(where: { $0.key == key }) {
            entries[index].node.set(rest, to: node)
        } else {
            var child = SettingNode(origin: node.origin, content: .map([]))
            child.set(rest, to: node)
            entries.append(Entry(key: key, origin: node.origin, node: child))
        }
        content = .map(entries)
    }
}
