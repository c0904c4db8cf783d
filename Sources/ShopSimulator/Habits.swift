/// The kinds of customers that exist in the simulated shop.
public enum CustomerKind: UInt8, CaseIterable, Sendable {
    /// Affluent, older, buys wine and meat through catalog and store, rarely at a discount.
    case connoisseur
    /// A household with children that hunts discounts on the web and orders often.
    case family
    /// Orders gold and sweets now and then, most of it before Christmas.
    case giftBuyer
    /// Young, joined lately, spends little, browses a lot.
    case newcomer

    /// The name in the truth file.
    public var name: String {
        switch self {
        case .connoisseur: "connoisseur"
        case .family: "family"
        case .giftBuyer: "gift-buyer"
        case .newcomer: "newcomer"
        }
    }
}

/// What the customers of one kind have in common; individuals vary around it.
///
/// Rates are per busy day (``Season``), money in cents, weights sum to 1 in the order of the name
/// tables of ``Names``. All plain values, so that reading one costs no reference count.
struct Habits: Sendable {
    var share: Double
    // What they do.
    var orderRate: Double
    var visitRate: Double
    var campaignRate: Double
    var complaintRate: Double
    var acceptance: Double
    /// Chance to leave after an order at natural activity.
    var dropChance: Double
    /// Gamma shape of the individual pace.
    var paceShape: Double
    // What an order looks like.
    var orderCents: Double
    var categories: SIMD8<Float>
    var channels: SIMD8<Float>
    var discount: Double
    var returns: Double
    // When they come.
    var decemberPeak: Double
    var weekdays: SIMD8<Double>
    var evening: Double
    /// Part of the span in which they join, as shares of it.
    var joinFrom: Double
    var joinUntil: Double
    /// Share that joined before the span began.
    var veterans: Double
    // Who they are.
    var income: Double
    var incomeDeviation: Double
    var birthYear: Double
    var birthYearDeviation: Double
    var kids: Double
    var teens: Double
    var education: SIMD8<Float>
    var maritalStatus: SIMD8<Float>

    /// The habits of a kind.
    init(_ kind: CustomerKind) {
        self =
            switch kind {
            case .connoisseur: .connoisseur
            case .family: .family
            case .giftBuyer: .giftBuyer
            case .newcomer: .newcomer
            }
    }
}

/// The words that events use, in the order of the weights in ``Habits``.
enum Names {
    static let categories = ["wines", "fruits", "meat", "fish", "sweets", "gold"]
    static let channels = ["web", "catalog", "store"]
    static let education = ["Basic", "2n Cycle", "Graduation", "Master", "PhD"]
    static let maritalStatus = ["Single", "Married", "Together", "Divorced", "Widow"]
    /// Campaigns take turns, each made for the kind at the same place in ``CustomerKind``.
    static let campaigns = ["wine-fair", "family-week", "gift-season", "student-days"]
}
