import OnlineLearning

/// How far customers who do something lie from their nearest centroid, and whether that rises.
///
/// Between two steps the squared distances of decisions are summed; each step hands their mean, in
/// units of the version's inertia per customer in training, to a detector. A rise says that the
/// version no longer describes the people who come, and is a reason for a refit. Customers who are
/// not learnt from are left out, and so is the scoring after a refit, when everyone is looked at
/// once.
///
/// It is not part of the durable state: after a restart it begins anew.
struct QuantisationDrift: Sendable, Equatable {
    private(set) var detector = PageHinkley()
    /// Mean of the last step, 1 where customers lie as they did in training; nil before the first.
    private(set) var last: Double?
    private var sum = 0.0
    private var count = 0

    /// Takes the squared distance of one decision.
    @inline(__always)
    mutating func add(_ squaredDistance: Double) {
        sum += squaredDistance
        count &+= 1
    }

    /// A step of the centroids has come.
    ///
    /// - Parameter inertiaPerCustomer: of the version in force; 0 tells nothing.
    mutating func completeStep(inertiaPerCustomer: Double) {
        defer { discardStep() }
        guard count > 0 && inertiaPerCustomer > 0 else { return }
        let error = sum / Double(count) / inertiaPerCustomer
        last = error
        detector.add(error)
    }

    /// Forgets what was gathered since the last step.
    mutating func discardStep() {
        sum = 0
        count = 0
    }
}
