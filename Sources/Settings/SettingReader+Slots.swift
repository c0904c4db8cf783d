import Segmentation

extension SettingReader {
    /// What is remembered of each customer, in the order of the file.
    mutating func slots(_ node: SettingNode) -> [SlotDeclaration] {
        var slots: [SlotDeclaration] = []
        for entry in entries("slots", node) ?? [] {
            note("slots.\(entry.key)", entry.node)
            if let slot = slot(entry) {
                slots.append(slot)
            } else {
                brokenSlots.insert(entry.key)
            }
        }
        return slots
    }

    private static let slotKeys = [
        "profile", "sum", "count", "last", "category", "channel", "discount", "accepted",
        "half_life",
        "snapshot", "snapshot_days_ago", "moment", "groups", "default",
    ]

    /// One slot, or nil after its problems were reported.
    private mutating func slot(_ entry: SettingNode.Entry) -> SlotDeclaration? {
        let key = "slots.\(entry.key)"
        guard let parts = entries(key, entry.node) else { return nil }
        let problemsBefore = findings.count
        var values: [String: SettingNode] = [:]
        for part in parts {
            note("\(key).\(part.key)", part.node)
            if Self.slotKeys.contains(part.key) {
                values[part.key] = part.node
            } else {
                reportUnknown(
                    "\(key).\(part.key)",
                    at: part.origin,
                    among: Self.slotKeys.map { "\(key).\($0)" }
                )
            }
        }
        let source = slotSource(key, values, at: entry.origin)
        let kind = slotKind(key, values, source)
        var slot = SlotDeclaration(
            name: entry.key,
            kind: kind ?? .number,
            source: source ?? .snapshotOnly
        )
        if let node = values["snapshot"] { slot.snapshotField = text("\(key).snapshot", node) }
        if let node = values["snapshot_days_ago"] {
            slot.snapshotField = text("\(key).snapshot_days_ago", node)
            slot.snapshotIsDaysAgo = true
            if values["snapshot"] != nil {
                report(key, at: node.origin, "has both snapshot and snapshot_days_ago")
            } else if kind != .moment {
                report("\(key).snapshot_days_ago", at: node.origin, "is only for moments")
            }
        }
        if let node = values["half_life"] {
            // Its range is a rule of the declarations, in minutes and days.
            let halfLife = duration(
                "\(key).half_life",
                node,
                maximum: DurationText.limitMilliseconds
            )
            slot.halfLifeDays = halfLife.map { Double($0) / 86_400_000 }
        }
        return findings.count == problemsBefore ? slot : nil
    }

    /// How events move the slot: one of `profile`, `sum`, `count`, `last`, or a snapshot alone.
    private mutating func slotSource(
        _ key: String,
        _ values: [String: SettingNode],
        at origin: SettingOrigin
    ) -> SlotDeclaration.Source? {
        let given = ["profile", "sum", "count", "last"].filter { values[$0] != nil }
        guard given.count <= 1 else {
            report(key, at: origin, "has more than one of \(given.joined(separator: ", "))")
            return nil
        }
        var source: SlotDeclaration.Source?
        var used: Set<String> = []
        if let node = values["profile"] {
            source = text("\(key).profile", node).map { .profile(field: $0) }
        } else if let node = values["sum"] {
            if choice("\(key).sum", node, ["orders": true]) != nil {
                let category = values["category"].flatMap { text("\(key).category", $0) }
                source = .orderAmount(category: category)
            }
            used = ["category"]
        } else if let node = values["count"] {
            source = countSource(key, node, values, &used)
        } else if let node = values["last"] {
            source = choice("\(key).last", node, ["purchase": .lastPurchase])
        } else if values["snapshot"] != nil || values["snapshot_days_ago"] != nil {
            source = .snapshotOnly
        } else {
            report(
                key,
                at: origin,
                "must say how it is fed: profile, sum, count, last or snapshot"
            )
        }
        for (name, rule) in Self.modifiers where !used.contains(name) {
            if let node = values[name] {
                report("\(key).\(name)", at: node.origin, "is only for \(rule)")
            }
        }
        return source
    }

    private static let modifiers: KeyValuePairs<String, String> = [
        "category": "sum: orders", "channel": "count: orders", "discount": "count: orders",
        "accepted": "count: campaigns",
    ]

    private mutating func countSource(
        _ key: String,
        _ node: SettingNode,
        _ values: [String: SettingNode],
        _ used: inout Set<String>
    ) -> SlotDeclaration.Source? {
        let words: KeyValuePairs<String, SlotDeclaration.Source> = [
            "orders": .orderCount(channel: nil, discount: nil), "visits": .visits,
            "campaigns": .campaigns(accepted: nil), "complaints": .complaints,
        ]
        switch choice("\(key).count", node, words) {
        case .orderCount:
            used = ["channel", "discount"]
            let channels: KeyValuePairs<String, String> = [
                "web": "web", "catalog": "catalog", "store": "store", "other": "other",
            ]
            return .orderCount(
                channel: values["channel"].flatMap { choice("\(key).channel", $0, channels) },
                discount: values["discount"].flatMap { flag("\(key).discount", $0) }
            )
        case .campaigns:
            used = ["accepted"]
            return .campaigns(
                accepted: values["accepted"].flatMap { flag("\(key).accepted", $0) }
            )
        case let other: return other
        }
    }

    /// What the values mean: a category where there are groups, a moment where it says so or where
    /// it is the last purchase, else a number.
    private mutating func slotKind(
        _ key: String,
        _ values: [String: SettingNode],
        _ source: SlotDeclaration.Source?
    ) -> SlotDeclaration.Kind? {
        let isMoment = values["moment"].flatMap { flag("\(key).moment", $0) } ?? false
        var isSet = false
        switch source {
        case .profile, .snapshotOnly, nil: isSet = true
        default: break
        }
        for name in ["groups", "default", "moment"] where !isSet {
            if let node = values[name] {
                report("\(key).\(name)", at: node.origin, "is only for profiles and snapshots")
            }
        }
        guard let node = values["groups"] else {
            if isSet, let node = values["default"] {
                report("\(key).default", at: node.origin, "is only for slots with groups")
            }
            return isMoment || source == .lastPurchase ? .moment : .number
        }
        if isMoment, let moment = values["moment"] {
            report("\(key).moment", at: moment.origin, "is only for slots without groups")
        }
        var groups: [SlotDeclaration.CategoryGroup] = []
        for group in entries("\(key).groups", node) ?? [] {
            let groupKey = "\(key).groups.\(group.key)"
            var members: [String] = []
            if group.node.content != .empty { members = texts(groupKey, group.node) ?? [] }
            groups.append(SlotDeclaration.CategoryGroup(name: group.key, members: members))
        }
        reportRepeatedMembers(key, node, groups)
        guard let fallback = values["default"] else {
            report(key, at: node.origin, "needs a default: the group of unknown names")
            return nil
        }
        return text("\(key).default", fallback).map { .category(groups: groups, defaultGroup: $0) }
    }

    /// A name in two groups would silently belong to the later one.
    private mutating func reportRepeatedMembers(
        _ key: String,
        _ node: SettingNode,
        _ groups: [SlotDeclaration.CategoryGroup]
    ) {
        var groupOf: [String: String] = [:]
        for group in groups {
            for member in Set(group.members + [group.name]).sorted() {
                if let other = groupOf.updateValue(group.name, forKey: member) {
                    report(
                        "\(key).groups",
                        at: node.origin,
                        "\(member) stands in both \(other) and \(group.name)"
                    )
                }
            }
        }
    }
}
