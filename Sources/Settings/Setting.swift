/// One key of the configuration: its name, how it is read, and how its present value is shown.
struct Setting {
    /// The key, nested by dots.
    let key: String
    /// Reads the value into the configuration, or notes what is wrong with it.
    let read: (inout SettingReader, SettingNode, inout ServiceConfiguration) -> Void
    /// The value as the file would write it, nil for lists and mappings.
    let show: (ServiceConfiguration) -> String?

    private init(
        _ key: String,
        show: @escaping (ServiceConfiguration) -> String? = { _ in nil },
        read: @escaping (inout SettingReader, SettingNode, inout ServiceConfiguration) -> Void
    ) {
        self.key = key
        self.read = read
        self.show = show
    }

    /// A key with a reader of its own.
    static func custom(
        _ key: String,
        _ read: @escaping (inout SettingReader, SettingNode, inout ServiceConfiguration) -> Void
    ) -> Setting {
        Setting(key, read: read)
    }

    /// A whole number.
    ///
    /// Where the core states the range, `range` is left open and the core's rule is shown.
    static func integer(
        _ key: String,
        _ path: WritableKeyPath<ServiceConfiguration, Int>,
        in range: ClosedRange<Int> = .min ... .max
    ) -> Setting {
        Setting(key, show: { String($0[keyPath: path]) }) { reader, node, configuration in
            if let value = reader.integer(key, node, in: range) {
                configuration[keyPath: path] = value
            }
        }
    }

    /// A number.
    static func number(
        _ key: String,
        _ path: WritableKeyPath<ServiceConfiguration, Double>
    ) -> Setting {
        Setting(key, show: { "\($0[keyPath: path])" }) { reader, node, configuration in
            if let value = reader.number(key, node) { configuration[keyPath: path] = value }
        }
    }

    /// `true` or `false`.
    static func flag(
        _ key: String,
        _ path: WritableKeyPath<ServiceConfiguration, Bool>
    ) -> Setting {
        Setting(key, show: { "\($0[keyPath: path])" }) { reader, node, configuration in
            if let value = reader.flag(key, node) { configuration[keyPath: path] = value }
        }
    }

    /// Text.
    static func text(
        _ key: String,
        _ path: WritableKeyPath<ServiceConfiguration, String>
    ) -> Setting {
        Setting(key, show: { $0[keyPath: path] }) { reader, node, configuration in
            if let value = reader.text(key, node) { configuration[keyPath: path] = value }
        }
    }

    /// A duration in milliseconds.
    static func duration(
        _ key: String,
        _ path: WritableKeyPath<ServiceConfiguration, Int64>,
        minimum: Int64 = 0,
        maximum: Int64 = DurationText.usualMaximumMilliseconds
    ) -> Setting {
        Setting(key, show: { DurationText.text($0[keyPath: path]) }) {
            reader,
            node,
            configuration in
            if let value = reader.duration(key, node, minimum: minimum, maximum: maximum) {
                configuration[keyPath: path] = value
            }
        }
    }

    /// A duration that may be absent, which one word says.
    ///
    /// Where the core states the range, `maximum` is the limit of all durations.
    static func duration(
        _ key: String,
        _ path: WritableKeyPath<ServiceConfiguration, Int64?>,
        or word: String,
        maximum: Int64 = DurationText.usualMaximumMilliseconds
    ) -> Setting {
        Setting(key) { reader, node, configuration in
            if case .scalar(word, _) = node.content {
                configuration[keyPath: path] = nil
                return
            }
            if let value = reader.duration(key, node, maximum: maximum, otherwise: word) {
                configuration[keyPath: path] = value
            }
        }
    }

    /// A duration that the core keeps in days.
    static func days(
        _ key: String,
        _ path: WritableKeyPath<ServiceConfiguration, Double>
    ) -> Setting {
        Setting(key) { reader, node, configuration in
            if let value = reader.duration(key, node) {
                configuration[keyPath: path] = Double(value) / 86_400_000
            }
        }
    }

    /// One of a few words.
    static func choice<T: Equatable>(
        _ key: String,
        _ path: WritableKeyPath<ServiceConfiguration, T>,
        _ choices: KeyValuePairs<String, T>
    ) -> Setting {
        Setting(
            key,
            show: { configuration in
                choices.first { $0.value == configuration[keyPath: path] }?.key
            },
            read: { reader, node, configuration in
                if let value = reader.choice(key, node, choices) {
                    configuration[keyPath: path] = value
                }
            }
        )
    }
}
