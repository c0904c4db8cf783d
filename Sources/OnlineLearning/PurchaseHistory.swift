/// How customers are taken to buy and to leave.
///
/// In all of them a customer buys at random with a rate of their own, gamma distributed with shape
/// r and rate alpha. They differ in when a customer may leave for good.
public enum PurchaseModel: String, Sendable, Equatable, CaseIterable {
    /// With a chance of their own (beta a, b) after every purchase, the first included.
    ///
    /// Batislam, Denizel and Filiztekin, 2007, doi:10.1016/j.ijresmar.2006.12.005.
    case mbgNBD = "mbg-nbd"
    /// With a chance of their own (beta a, b) after every repeat purchase; one-time buyers never.
    ///
    /// Fader, Hardie and Lee, 2005, doi:10.1287/mksc.1040.0098.
    case bgNBD = "bg-nbd"
    /// Never (Ehrenberg, 1959, doi:10.2307/2985810).
    case nbd = "nbd"
}

/// All that the models need of a customer's purchases, in weeks since the first purchase.
public struct PurchaseHistory: Sendable, Equatable {
    /// Days with a purchase after the first such day: x.
    public var repeatPurchases: Int
    /// Time of the last purchase: t_x, 0 without repeat purchases.
    public var recency: Double
    /// Time observed: T, not before `recency`.
    public var age: Double

    /// Creates a history from its parts.
    public init(repeatPurchases: Int, recency: Double, age: Double) {
        precondition(repeatPurchases >= 0, "a count is not negative")
        precondition(
            0 <= recency && recency <= age && age.isFinite,
            "the last purchase lies within"
        )
        self.repeatPurchases = repeatPurchases
        self.recency = recency
        self.age = age
    }
}

/// Customers with the same history.
public struct PurchaseGroup: Sendable, Equatable {
    /// What they have in common.
    public var history: PurchaseHistory
    /// How many there are, 1 or more.
    public var count: Int

    /// Creates a group from its parts.
    public init(history: PurchaseHistory, count: Int = 1) {
        precondition(count > 0, "a group has members")
        self.history = history
        self.count = count
    }
}
