import Glibc

/// The likelihood of grouped purchase histories.
///
/// Logarithms of gamma and beta functions of r + x and b + x are sums over 0..<x from their values
/// at 0, which cancel: nothing is lost even at b = 1e14. Sums and logarithms are taken once for
/// each different x, t_x and T.
struct PurchaseLikelihood {
    private struct Group {
        var x: Int
        var recency: Int
        var age: Int
        var count: Double
    }

    private let groups: [Group]
    /// Different values, ascending; groups hold indices into them.
    private let purchaseCounts: [Int]
    private let recencies: [Double]
    private let ages: [Double]
    private var terms: [Terms]
    private var logRecencies: [Double]
    private var logAges: [Double]

    /// What depends on x only.
    private struct Terms {
        /// r + x.
        var shape = 0.0
        /// Logarithm of everything but the times.
        var base = 0.0
        /// Logarithm of c, the odds of having left right after the last purchase.
        var odds = -Double.infinity
    }

    init(_ source: [PurchaseGroup]) {
        let purchaseCounts = Array(Set(source.map(\.history.repeatPurchases))).sorted()
        let recencies = Array(Set(source.map(\.history.recency))).sorted()
        let ages = Array(Set(source.map(\.history.age))).sorted()
        func numbered<Key: Hashable>(_ keys: [Key]) -> [Key: Int] {
            Dictionary(uniqueKeysWithValues: keys.enumerated().map { ($1, $0) })
        }
        let indexOfCount = numbered(purchaseCounts)
        let indexOfRecency = numbered(recencies)
        let indexOfAge = numbered(ages)
        groups = source.map { group in
            Group(
                x: indexOfCount[group.history.repeatPurchases] ?? 0,
                recency: indexOfRecency[group.history.recency] ?? 0,
                age: indexOfAge[group.history.age] ?? 0,
                count: Double(group.count)
            )
        }
        self.purchaseCounts = purchaseCounts
        self.recencies = recencies
        self.ages = ages
        terms = purchaseCounts.map { _ in Terms() }
        logRecencies = recencies
        logAges = ages
    }

    /// Logarithm of the likelihood; `a` and `b` are not read for `nbd`.
    mutating func logValue(
        _ model: PurchaseModel,
        r: Double,
        alpha: Double,
        a: Double,
        b: Double
    ) -> Double {
        prepare(model, r: r, alpha: alpha, a: a, b: b)
        var total = 0.0
        var lost = 0.0
        for group in groups {
            let term = terms[group.x]
            let logAge = logAges[group.age]
            var value = term.base - term.shape * logAge
            if term.odds > -.infinity {
                let odds = term.odds + term.shape * (logAge - logRecencies[group.recency])
                value += max(0, odds) + log1p(exp(-abs(odds)))
            }
            // Neumaier's sum: half a million groups must not blur what the search looks at.
            let part = group.count * value
            let sum = total + part
            lost += abs(total) >= abs(part) ? (total - sum) + part : (part - sum) + total
            total = sum
        }
        return total + lost
    }

    private mutating func prepare(
        _ model: PurchaseModel,
        r: Double,
        alpha: Double,
        a: Double,
        b: Double
    ) {
        for index in ages.indices { logAges[index] = log(alpha + ages[index]) }
        for index in recencies.indices { logRecencies[index] = log(alpha + recencies[index]) }
        let start = r * log(alpha)
        var rising = 0.0
        var survival = 0.0
        var reached = 0
        for (index, x) in purchaseCounts.enumerated() {
            while reached < x {
                rising += log(r + Double(reached))
                survival -= log1p(a / (b + Double(reached)))
                reached += 1
            }
            terms[index].shape = r + Double(x)
            switch model {
            case .mbgNBD:
                let alsoFirst = -log1p(a / (b + Double(x)))
                terms[index].base = start + rising + survival + alsoFirst
                terms[index].odds = log(a / (b + Double(x)))
            case .bgNBD:
                terms[index].base = start + rising + survival
                terms[index].odds = x > 0 ? log(a / (b + Double(x - 1))) : -.infinity
            case .nbd:
                terms[index].base = start + rising
                terms[index].odds = -.infinity
            }
        }
    }
}
