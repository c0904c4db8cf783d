/// Slots and features as flat tables, so that the hot path interprets nothing.
///
/// Compiled once at start. A row's numbers are laid out as: one number per slot in declared order,
/// then one landmark per decayed slot, then the base of a last-purchase slot.
///
/// An object and no struct: nearly every part of the core has it, and to hand thirty arrays around
/// costs time, and the compiler minutes.
public final class CompiledSchema: Sendable {
    /// A slot that orders move.
    struct OrderSlot: Sendable, Equatable {
        /// Index of the slot's number.
        var number: Int
        /// Category (index), channel (index) or -1 for all.
        var filter: Int
        /// 1 with, 0 without discount, -1 either.
        var discount: Int
        /// Index into `decays`, or -1.
        var decay: Int
    }

    /// A slot that one kind of engagement counts in.
    struct CountSlot: Sendable, Equatable {
        var number: Int
        var accepted: Int
        var decay: Int
    }

    /// A field of a profile or a snapshot, with the slot it sets.
    struct FieldSlot: Sendable, Equatable {
        var field: Int
        var number: Int
        /// Position among profile fields (for its time), -1 for snapshots.
        var profileIndex: Int
        var isMoment: Bool
        var isDaysAgo: Bool
        /// Index into `categorySlots`, or -1 for a number.
        var category: Int
        /// Largest number that the field may hold.
        var maximum: Double
    }

    /// Levels of a category slot.
    struct CategorySlot: Sendable, Equatable {
        /// Level of each symbol, -1 for none.
        var levelOfSymbol: [Int32]
        var defaultLevel: Int
        var levelNames: [String]
    }

    /// A decayed slot.
    struct Decay: Sendable, Equatable {
        var value: Int
        var landmark: Int
        var halfLifeMilliseconds: Double
    }

    /// How one feature is computed from numbers.
    enum FeatureForm: Sendable, Equatable {
        case number(Int)
        case log1p(Int)
        case sum(first: Int, count: Int)
        case yearsSince(Int)
        case daysSince(Int)
        case decayed(Int)
        case level(slot: Int, level: Int, defaultLevel: Int)
    }

    /// Names of the channels; index = code.
    ///
    /// The last one is `other`.
    static let channels = ["web", "catalog", "store", "other"]
    static let otherChannel = 3

    /// Names of features, in order.
    public let featureNames: [String]
    /// Names of slots, in order.
    public let slotNames: [String]
    /// Names of the declared spending categories, in order; the index after the last one is
    /// `other`.
    public let categories: [String]

    let features: [FeatureForm]
    let sumParts: [Int]
    /// For each feature that can be missing, its index.
    let missable: [Int]
    /// For each feature, its position in `missable`, or -1.
    let missableIndex: [Int]
    let decays: [Decay]
    let amountSlots: [OrderSlot]
    let orderCountSlots: [OrderSlot]
    let visitSlots: [CountSlot]
    let campaignSlots: [CountSlot]
    let complaintSlots: [CountSlot]
    let profileFields: [FieldSlot]
    let snapshotFields: [FieldSlot]
    let categorySlots: [CategorySlot]
    /// Index of the last-purchase slot's number, or -1, and of its base.
    let lastPurchase: Int
    let lastPurchaseBase: Int
    /// Plain slots whose sum is what a customer spent, and placed.
    let spentSlots: [Int]
    let orderSlots: [Int]
    /// For each category (with `other` last), the plain slot that sums it, or -1.
    let categorySpent: [Int]
    /// Numbers of a row before anything happened; NaN = unknown.
    let initialNumbers: [Double]
    /// Names that the record parser looks for; the envelope's come first.
    let fieldNames: [String]
    /// Strings with codes.
    let symbols: [String]
    let symbolCategories: [Int32]
    let bounds: [CompiledBound]
    /// Features with a fence, and the interquartile ranges that it is away.
    let fences: [CompiledFence]
    /// Nil where everybody weighs the same.
    let forgetting: Forgetting?
    /// Fingerprint of names and order of slots.
    public let fingerprint: UInt64

    struct CompiledBound: Sendable, Equatable {
        var feature: Int
        var atLeast: Double
        var atMost: Double
    }

    struct CompiledFence: Sendable, Equatable {
        var feature: Int
        var multiple: Double
    }

    /// Numbers per row.
    var numberCount: Int { initialNumbers.count }
    /// Features.
    public var featureCount: Int { features.count }
    /// Spending categories, with `other`.
    var categoryCount: Int { categories.count + 1 }

    /// Compiles a valid configuration.
    ///
    /// - Precondition: `configuration.validate()` is empty.
    public init(_ configuration: SegmentationConfiguration) {
        var builder = SchemaBuilder(configuration)
        builder.compile()
        slotNames = configuration.slots.map(\.name)
        featureNames = builder.featureNames
        categories = builder.categories
        features = builder.features
        sumParts = builder.sumParts
        decays = builder.decays
        amountSlots = builder.amountSlots
        orderCountSlots = builder.orderCountSlots
        visitSlots = builder.visitSlots
        campaignSlots = builder.campaignSlots
        complaintSlots = builder.complaintSlots
        profileFields = builder.profileFields
        snapshotFields = builder.snapshotFields
        categorySlots = builder.categorySlots
        lastPurchase = builder.lastPurchase
        lastPurchaseBase = builder.lastPurchaseBase
        spentSlots = builder.spentSlots
        orderSlots = builder.orderSlots
        categorySpent = builder.categorySpent
        initialNumbers = builder.initialNumbers
        fieldNames = builder.fieldNames
        symbols = builder.symbols
        symbolCategories = builder.symbolCategories
        fingerprint = builder.fingerprint
        forgetting = configuration.model.forgettingHalfLifeMilliseconds.map {
            Forgetting(halfLifeMilliseconds: $0)
        }
        missable = builder.missable
        var positions = Array(repeating: -1, count: builder.features.count)
        for (position, feature) in builder.missable.enumerated() { positions[feature] = position }
        missableIndex = positions
        let names = builder.featureNames
        fences = configuration.outliers.compactMap { bound in
            guard let multiple = bound.fence else { return nil }
            return names.firstIndex(of: bound.feature).map {
                CompiledFence(feature: $0, multiple: multiple)
            }
        }
        bounds = configuration.outliers.compactMap { bound in
            names.firstIndex(of: bound.feature).map {
                CompiledBound(
                    feature: $0,
                    atLeast: bound.atLeast ?? .infinity,
                    atMost: bound.atMost ?? -.infinity
                )
            }
        }
    }

    /// Names of all features that a configuration declares, one-hot levels expanded, in order.
    public static func featureNames(of configuration: SegmentationConfiguration) -> [String] {
        configuration.features.flatMap { featureNames(of: configuration, $0) }
    }

    /// Names of the features that one declaration comes to: itself, or its one-hot levels.
    static func featureNames(
        of configuration: SegmentationConfiguration,
        _ feature: FeatureDeclaration
    ) -> [String] {
        guard case .oneHot(let slotName) = feature.form else { return [feature.name] }
        let slot = configuration.slots.first { $0.name == slotName }
        guard case .category(let groups, _)? = slot?.kind else { return [] }
        let levels = configuration.model.oneHot == .first ? groups.dropFirst() : groups[...]
        return levels.map { "\(feature.name)_\($0.name)" }
    }

    /// Spending categories that slots name, in order, without `other`.
    public static func categoryNames(of configuration: SegmentationConfiguration) -> [String] {
        var names: [String] = []
        for slot in configuration.slots {
            if case .orderAmount(let category?) = slot.source, category != "other",
                !names.contains(category)
            {
                names.append(category)
            }
        }
        return names
    }
}

/// Names that the envelope and the bodies of the contract use; raw value = index of the parser's
/// field.
enum EnvelopeField: Int, CaseIterable {
    case id, source, type, time, customer_id, subject, specversion, data
    case order_id, amount, currency, categories, channel, discount, full, accepted
}

/// Working state of `CompiledSchema.init`.
struct SchemaBuilder {
    let configuration: SegmentationConfiguration
    var featureNames: [String] = []
    var categories: [String] = []
    var features: [CompiledSchema.FeatureForm] = []
    var sumParts: [Int] = []
    var missable: [Int] = []
    var decays: [CompiledSchema.Decay] = []
    var amountSlots: [CompiledSchema.OrderSlot] = []
    var orderCountSlots: [CompiledSchema.OrderSlot] = []
    var visitSlots: [CompiledSchema.CountSlot] = []
    var campaignSlots: [CompiledSchema.CountSlot] = []
    var complaintSlots: [CompiledSchema.CountSlot] = []
    var profileFields: [CompiledSchema.FieldSlot] = []
    var snapshotFields: [CompiledSchema.FieldSlot] = []
    var categorySlots: [CompiledSchema.CategorySlot] = []
    var lastPurchase = -1
    var lastPurchaseBase = -1
    var spentSlots: [Int] = []
    var orderSlots: [Int] = []
    var categorySpent: [Int] = []
    var initialNumbers: [Double] = []
    var fieldNames = EnvelopeField.allCases.map { String(describing: $0) }
    var symbols: [String] = []
    var symbolCategories: [Int32] = []
    var fingerprint: UInt64 = 0
    /// Largest number of a profile or a snapshot: beyond it, whole numbers are no longer exact.
    private static let numberMax = 1e15
    private var decayOfSlot: [Int: Int] = [:]
    private var categoryOfSlot: [Int: Int] = [:]

    init(_ configuration: SegmentationConfiguration) { self.configuration = configuration }

    mutating func compile() {
        categories = CompiledSchema.categoryNames(of: configuration)
        categorySpent = Array(repeating: -1, count: categories.count + 1)
        initialNumbers = Array(repeating: 0, count: configuration.slots.count)
        for type in EventType.allCases { _ = symbol(type.rawValue) }
        for channel in CompiledSchema.channels { _ = symbol(channel) }
        for (index, category) in categories.enumerated() {
            symbolCategories[symbol(category)] = Int32(index)
        }
        compileDecays()
        for (index, slot) in configuration.slots.enumerated() { compile(slot, at: index) }
        // Without slots by category or channel, those over all tell spending and orders.
        if spentSlots.isEmpty {
            spentSlots = amountSlots.filter { $0.decay < 0 && $0.filter < 0 }.prefix(1).map(
                \.number
            )
        }
        if orderSlots.isEmpty {
            orderSlots = orderCountSlots.filter { $0.decay < 0 && $0.filter < 0 && $0.discount < 0 }
                .prefix(1).map(\.number)
        }
        for feature in configuration.features { compile(feature) }
        featureNames = CompiledSchema.featureNames(of: configuration)
        missable = features.indices.filter { canBeMissing(features[$0]) }
        // Level tables are as long as the symbol table, which only now is complete.
        for index in categorySlots.indices {
            let known = categorySlots[index].levelOfSymbol.count
            categorySlots[index].levelOfSymbol += Array(repeating: -1, count: symbols.count - known)
        }
        fingerprint = StableHash.hash(
            of: configuration.slots.map { "\($0.name):\($0)" }.joined(separator: "\n")
        )
    }

    private mutating func compileDecays() {
        for (index, slot) in configuration.slots.enumerated() {
            guard let days = slot.halfLifeDays else { continue }
            decayOfSlot[index] = decays.count
            decays.append(
                CompiledSchema.Decay(
                    value: index,
                    landmark: initialNumbers.count,
                    halfLifeMilliseconds: days * Double(DayCalendar.dayMilliseconds)
                )
            )
            initialNumbers.append(0)
        }
    }

    private mutating func symbol(_ string: String) -> Int {
        if let index = symbols.firstIndex(of: string) { return index }
        symbols.append(string)
        symbolCategories.append(-1)
        return symbols.count - 1
    }

    private mutating func field(_ name: String) -> Int {
        if let index = fieldNames.firstIndex(of: name) { return index }
        fieldNames.append(name)
        return fieldNames.count - 1
    }

    private mutating func compile(_ slot: SlotDeclaration, at index: Int) {
        let decay = decayOfSlot[index] ?? -1
        var category = -1
        if case .category(let groups, let defaultGroup) = slot.kind {
            category = categorySlots.count
            categoryOfSlot[index] = category
            var levels: [Int32] = []
            for (level, group) in groups.enumerated() {
                for member in [group.name] + group.members {
                    let code = symbol(member)
                    while levels.count <= code { levels.append(-1) }
                    levels[code] = Int32(level)
                }
            }
            categorySlots.append(
                CompiledSchema.CategorySlot(
                    levelOfSymbol: levels,
                    defaultLevel: groups.firstIndex { $0.name == defaultGroup } ?? 0,
                    levelNames: groups.map(\.name)
                )
            )
        }
        switch slot.source {
        case .profile(let name):
            initialNumbers[index] = .nan
            profileFields.append(
                CompiledSchema.FieldSlot(
                    field: field(name),
                    number: index,
                    profileIndex: profileFields.count,
                    isMoment: slot.kind == .moment,
                    isDaysAgo: false,
                    category: category,
                    maximum: Self.numberMax
                )
            )
        case .snapshotOnly: initialNumbers[index] = .nan
        case .orderAmount(let name):
            let code = name.map { categories.firstIndex(of: $0) ?? categories.count } ?? -1
            amountSlots.append(
                CompiledSchema.OrderSlot(number: index, filter: code, discount: -1, decay: decay)
            )
            if code >= 0 && decay < 0 && categorySpent[code] < 0 {
                categorySpent[code] = index
                spentSlots.append(index)
            }
        case .orderCount(let channel, let discount):
            let code = channel.map {
                CompiledSchema.channels.firstIndex(of: $0) ?? CompiledSchema.otherChannel
            }
            orderCountSlots.append(
                CompiledSchema.OrderSlot(
                    number: index,
                    filter: code ?? -1,
                    discount: discount.map { $0 ? 1 : 0 } ?? -1,
                    decay: decay
                )
            )
            if decay < 0 && discount == nil && code != nil { orderSlots.append(index) }
        case .visits:
            visitSlots.append(CompiledSchema.CountSlot(number: index, accepted: -1, decay: decay))
        case .campaigns(let accepted):
            campaignSlots.append(
                CompiledSchema.CountSlot(
                    number: index,
                    accepted: accepted.map { $0 ? 1 : 0 } ?? -1,
                    decay: decay
                )
            )
        case .complaints:
            complaintSlots.append(
                CompiledSchema.CountSlot(number: index, accepted: -1, decay: decay)
            )
        case .lastPurchase:
            initialNumbers[index] = .nan
            lastPurchase = index
            lastPurchaseBase = initialNumbers.count
            initialNumbers.append(.nan)
        }
        if let name = slot.snapshotField {
            var isAmount = false
            if case .orderAmount = slot.source { isAmount = true }
            snapshotFields.append(
                CompiledSchema.FieldSlot(
                    field: field(name),
                    number: index,
                    profileIndex: -1,
                    isMoment: slot.kind == .moment,
                    isDaysAgo: slot.snapshotIsDaysAgo,
                    category: category,
                    maximum: isAmount ? configuration.limits.amount : Self.numberMax
                )
            )
        }
    }

    private mutating func compile(_ feature: FeatureDeclaration) {
        func index(_ name: String) -> Int {
            configuration.slots.firstIndex { $0.name == name } ?? 0
        }
        switch feature.form {
        case .slot(let name):
            let slot = index(name)
            features.append(decayOfSlot[slot].map { .decayed($0) } ?? .number(slot))
        case .log1p(let name): features.append(.log1p(index(name)))
        case .sum(let names):
            features.append(.sum(first: sumParts.count, count: names.count))
            sumParts += names.map(index)
        case .yearsSince(let name): features.append(.yearsSince(index(name)))
        case .daysSince(let name): features.append(.daysSince(index(name)))
        case .oneHot(let name):
            let slot = index(name)
            guard let category = categoryOfSlot[slot] else { return }
            let first = configuration.model.oneHot == .first ? 1 : 0
            for level in first..<max(first, categorySlots[category].levelNames.count) {
                features.append(
                    .level(
                        slot: slot,
                        level: level,
                        defaultLevel: categorySlots[category].defaultLevel
                    )
                )
            }
        }
    }

    private func canBeMissing(_ form: CompiledSchema.FeatureForm) -> Bool {
        switch form {
        case .number(let slot), .log1p(let slot), .yearsSince(let slot), .daysSince(let slot):
            initialNumbers[slot].isNaN
        case .sum(let first, let count):
            sumParts[first..<(first + count)].contains { initialNumbers[$0].isNaN }
        case .decayed, .level: false
        }
    }
}
