/// One person in the simulated shop: who they are and how they differ from their kind.
///
/// 56 bytes, no references: a million customers are one flat array.
struct SimulatedCustomer: Sendable {
    /// Moment in the kind's own time (``Season``), in busy days since the span began.
    var busyDays: Double = 0
    /// Enrolment, epoch milliseconds; may lie before the span.
    var joinedAt: Int64
    /// When they leave for good, `.max` while nobody knows.
    var droppedOutAt: Int64 = .max
    /// Activity relative to the kind, mean 1.
    var pace: Float
    /// Spending per order relative to the kind, mean about 1.
    var spending: Float
    /// Chance that an order uses a discount.
    var discount: Float
    /// Chance to leave after an order, at natural activity.
    var dropChance: Float
    /// Per year, in whole currency units; 0 where the customer does not say.
    var income: Int32
    var birthYear: Int16
    /// The last campaign answered, as a month count; -1 before the first.
    var lastCampaign: Int16 = -1
    var kind: CustomerKind
    var education: UInt8
    var maritalStatus: UInt8
    var kids: UInt8
    var teens: UInt8
    var favouriteCategory: UInt8
    var favouriteChannel: UInt8
    private var flags: UInt8 = 0

    /// A profile has been sent.
    var hasRegistered: Bool {
        get { flags & 1 != 0 }
        set { set(1, newValue) }
    }
    /// At least one good order has been placed.
    var hasOrdered: Bool {
        get { flags & 2 != 0 }
        set { set(2, newValue) }
    }
    /// A good line of this customer has arrived.
    var hasAppeared: Bool {
        get { flags & 4 != 0 }
        set { set(4, newValue) }
    }
    /// Asked to be forgotten.
    var isErased: Bool {
        get { flags & 8 != 0 }
        set { set(8, newValue) }
    }

    private mutating func set(_ bit: UInt8, _ value: Bool) {
        if value { flags |= bit } else { flags &= ~bit }
    }

    /// A newly invented customer of a kind.
    ///
    /// - Parameters:
    ///   - kind: what sort of person.
    ///   - habits: the habits of that kind.
    ///   - span: the simulated time; veterans joined up to 700 days before it.
    ///   - random: INOUT; the shop's randomness.
    init(
        _ kind: CustomerKind,
        habits: Habits,
        span: Range<Int64>,
        random: inout SeededRandom
    ) {
        self.kind = kind
        let length = Double(span.upperBound - span.lowerBound)
        if random.chance(habits.veterans) {
            let days = random.uniform(1, 700)
            joinedAt = span.lowerBound - Int64(days * Double(CivilTime.millisecondsPerDay))
        } else {
            let share = random.uniform(habits.joinFrom, habits.joinUntil)
            joinedAt = span.lowerBound + Int64(share * length / 1_000) * 1_000
        }
        pace = Float(max(0.2, random.gamma(shape: habits.paceShape)))
        spending = Float(random.gamma(shape: 16))
        discount = Float(min(0.98, max(0.01, habits.discount + 0.1 * random.normal())))
        // Most are loyal and some are fickle: mean 1 times the kind's chance, far from equal.
        let loyalty = random.chance(0.25) ? 3.1 : 0.3
        dropChance = Float(min(0.5, habits.dropChance * loyalty * random.gamma(shape: 2)))
        income = Self.income(habits, random: &random)
        birthYear = Self.birthYear(habits, random: &random)
        education = UInt8(random.pick(habits.education))
        maritalStatus = UInt8(random.pick(habits.maritalStatus))
        kids = Self.children(mean: habits.kids, random: &random)
        teens = Self.children(mean: habits.teens, random: &random)
        favouriteCategory = UInt8(random.pick(habits.categories))
        favouriteChannel = UInt8(random.pick(habits.channels))
    }

    /// Some do not say, and one in a thousand types nonsense, as real forms show.
    private static func income(_ habits: Habits, random: inout SeededRandom) -> Int32 {
        let usual = max(4_000, habits.income + habits.incomeDeviation * random.normal())
        let draw = random.unit()
        if draw < 0.02 { return 0 }
        return draw < 0.021 ? 666_666 : Int32(usual)
    }

    /// One in five hundred leaves the form's first year standing.
    private static func birthYear(_ habits: Habits, random: inout SeededRandom) -> Int16 {
        let usual = habits.birthYear + habits.birthYearDeviation * random.normal()
        return random.chance(0.002) ? 1900 : Int16(min(2008, max(1938, usual)))
    }

    /// Nobody has more than three of an age.
    private static func children(mean: Double, random: inout SeededRandom) -> UInt8 {
        var count: UInt8 = 0
        for _ in 0..<3 where random.chance(mean / 3) { count += 1 }
        return count
    }
}
