/// How often each thing happens to one customer, per busy day.
///
/// The processes compete: the next thing comes after an exponential time at the total rate, and
/// each is it in proportion to its own.
struct ActivityRates: Sendable {
    /// What can happen next.
    enum Happening: Sendable {
        case order, visit, campaign, complaint, profileChange, change, leaving, erasure
    }

    /// Chance to leave at any moment, about 4 % a year; independent of the activity wanted.
    static let leaving = 0.0001
    /// About 0.3 % a year ask to be forgotten.
    static let erasure = 0.000_008
    /// What remains of the visits of somebody who left: they look, and never order.
    static let afterglow = 0.04

    var order: Double
    var visit: Double
    var campaign: Double
    var complaint: Double
    var profileChange: Double
    /// To the habits of another kind.
    var change: Double
    var leaving: Double
    var erasure: Double

    /// The rates of a customer at a given activity, 1 being natural.
    ///
    /// Activity scales what is done and not how long people stay, nor how fast they change.
    init(
        _ customer: SimulatedCustomer,
        habits: Habits,
        activity: Double,
        hasLeft: Bool,
        drift: Double = 0
    ) {
        let pace = Double(customer.pace)
        let browsing = activity * habits.visitRate * (0.5 + 0.5 * pace)
        visit = hasLeft ? browsing * Self.afterglow : browsing
        guard !hasLeft else {
            (order, campaign, complaint, profileChange, change, leaving) = (0, 0, 0, 0, 0, 0)
            erasure = Self.erasure
            return
        }
        order = activity * habits.orderRate * pace
        campaign = activity * habits.campaignRate
        complaint = activity * habits.complaintRate
        profileChange = activity * 0.000_7
        change = drift / 365
        leaving = Self.leaving
        erasure = Self.erasure
    }

    var total: Double {
        order + visit + campaign + complaint + profileChange + change + leaving + erasure
    }

    /// What happens, for a uniform draw in [0, 1).
    func happening(_ draw: Double) -> Happening {
        var rest = draw * total - visit
        if rest < 0 { return .visit }
        rest -= order
        if rest < 0 { return .order }
        rest -= campaign
        if rest < 0 { return .campaign }
        rest -= complaint
        if rest < 0 { return .complaint }
        rest -= profileChange
        if rest < 0 { return .profileChange }
        rest -= change
        if rest < 0 { return .change }
        rest -= leaving
        return rest < 0 ? .leaving : .erasure
    }
}
