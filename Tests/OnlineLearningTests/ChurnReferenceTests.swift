import Foundation
import OnlineLearning
import Testing

/// The parts of the reference file that are compared.
private struct ChurnReference: Decodable {
    struct Fit: Decodable {
        var r: Double
        var alpha: Double
        var a: Double
        var b: Double
        var loglik: Double
        var no_dropout_NBD: NBD?
    }
    struct NBD: Decodable {
        var r: Double
        var alpha: Double
        var loglik: Double
    }
    struct Row: Decodable {
        var x: Int
        var t_x: Double
        var T: Double
        var p_alive: String
        var p_no_purchase_next_39: Chance
    }
    /// A number, in one list written as text.
    struct Chance: Decodable {
        var value: Double

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let number = try? container.decode(Double.self) {
                value = number
            } else {
                value = Double(try container.decode(String.self)) ?? .nan
            }
        }
    }
    struct Summary: Decodable {
        var own_fit: Fit
        var p_alive_at_published_params: [Row]
        var p_alive_at_own_fit: [Row]
    }
    struct Parameters: Decodable {
        var r: Double
        var alpha: Double
        var a: Double
        var b: Double
    }
    struct Events: Decodable {
        struct Scores: Decodable {
            var auc_1_minus_p_alive: Double
            var auc_p_no_purchase_in_holdout: Double
        }
        struct MBG: Decodable {
            var r: Double
            var alpha: Double
            var a: Double
            var b: Double
            var loglik: Double
            var auc_p_no_purchase_next_39_weeks: Double
            var auc_1_minus_p_alive: Double
        }
        var own_fit: Fit
        var mbg_own_fit: MBG
        var scores_with_own_fit: Scores
    }
    struct Fixed: Decodable {
        var params: Parameters
        var rows: [Row]
    }

    var cdnow_summary_file: Summary
    var cdnow_sample_from_events: Events
    var mbg_p_alive_at_fixed_params: Fixed

    static func load() throws -> ChurnReference {
        try Reference.json("churn_reference.json", as: ChurnReference.self)
    }
}

@Suite(.enabled(if: Reference.isPresent, Reference.absence))
struct ChurnReferenceTests {
    private func expect(
        _ fit: PurchaseParameters,
        _ r: Double,
        _ alpha: Double,
        _ a: Double?,
        _ b: Double?,
        _ logLikelihood: Double
    ) throws {
        #expect(fit.converged && !fit.fellBackToNBD)
        #expect(abs(fit.r / r - 1) < 1e-4)
        #expect(abs(fit.alpha / alpha - 1) < 1e-4)
        if let a { #expect(abs(try #require(fit.a) / a - 1) < 1e-4) }
        if let b { #expect(abs(try #require(fit.b) / b - 1) < 1e-4) }
        #expect(abs(fit.logLikelihood - logLikelihood) < 1e-3)
    }

    @Test func summaryFileGivesThePublishedFit() throws {
        let reference = try ChurnReference.load().cdnow_summary_file.own_fit
        let groups = try Reference.lines(of: "cdnow_customers_summary.csv").dropFirst().map {
            line in
            let fields = line.split(separator: ",")
            return PurchaseGroup(
                history: PurchaseHistory(
                    repeatPurchases: try #require(Int(fields[1])),
                    recency: try #require(Double(fields[2])),
                    age: try #require(Double(fields[3]))
                )
            )
        }
        #expect(groups.count == 2357)
        let fit = try PurchaseModelFit.fit(groups: groups, model: .bgNBD)
        try expect(
            fit,
            reference.r,
            reference.alpha,
            reference.a,
            reference.b,
            reference.loglik
        )
        // To the two digits that are published with this fit.
        let errors = try #require(fit.standardErrors)
        #expect(abs(errors.r - 0.01) < 0.005)
        #expect(abs(errors.alpha - 0.38) < 0.005)
        #expect(abs(try #require(errors.a) - 0.19) < 0.005)
        #expect(abs(try #require(errors.b) - 0.71) < 0.005)
    }

    /// A customer of the CDNOW sample: days of purchase in calibration, and whether any came after.
    private struct Buyer {
        var days: Set<Int> = []
        var boughtLater = false
    }

    private static let cut = Reference.day(year: 1997, month: 9, day: 30)

    private func buyers() throws -> [Buyer] {
        let end = Reference.day(year: 1998, month: 6, day: 30)
        var buyers: [Substring: Buyer] = [:]
        for line in try Reference.lines(of: "CDNOW_sample.txt") {
            let fields = line.split(separator: " ")
            let date = try #require(Int(fields[2]))
            let day = Reference.day(
                year: date / 10_000,
                month: date / 100 % 100,
                day: date % 100
            )
            if day <= Self.cut {
                buyers[fields[0], default: Buyer()].days.insert(day)
            } else if day <= end {
                buyers[fields[0], default: Buyer()].boughtLater = true
            }
        }
        return buyers.values.filter { !$0.days.isEmpty }
    }

    private func histogram(_ buyers: [Buyer]) -> PurchaseHistogram {
        var histogram = PurchaseHistogram()
        for buyer in buyers {
            let first = buyer.days.min() ?? 0
            histogram.add(
                repeatPurchases: buyer.days.count - 1,
                recencyDays: (buyer.days.max() ?? 0) - first,
                ageDays: Self.cut - first
            )
        }
        return histogram
    }

    /// Chance that a random customer who stayed away scores above one who came back.
    private func areaUnderCurve(_ scores: [(score: Double, isAway: Bool)]) -> Double {
        let sorted = scores.sorted { $0.score < $1.score }
        var below = 0.0
        var wins = 0.0
        var index = 0
        while index < sorted.count {
            var end = index
            while end < sorted.count && sorted[end].score == sorted[index].score { end += 1 }
            let ties = sorted[index..<end]
            let back = Double(ties.count { !$0.isAway })
            wins += Double(ties.count { $0.isAway }) * (below + back / 2)
            below += back
            index = end
        }
        let away = Double(scores.count { $0.isAway })
        return wins / (away * (Double(scores.count) - away))
    }

    @Test func eventsGiveTheFitsAndTheRanking() throws {
        let reference = try ChurnReference.load().cdnow_sample_from_events
        let buyers = try buyers()
        let histogram = histogram(buyers)
        #expect(histogram.customers == 2357 && histogram.repeatBuyers == 946)

        let bg = try PurchaseModelFit.fit(histogram, model: .bgNBD)
        let own = reference.own_fit
        try expect(bg, own.r, own.alpha, own.a, own.b, own.loglik)
        let mbg = try PurchaseModelFit.fit(histogram, model: .mbgNBD)
        let other = reference.mbg_own_fit
        try expect(mbg, other.r, other.alpha, other.a, other.b, other.loglik)
        let nbd = try PurchaseModelFit.fit(histogram, model: .nbd)
        let silent = try #require(own.no_dropout_NBD)
        try expect(nbd, silent.r, silent.alpha, nil, nil, silent.loglik)

        for (fit, alive, away) in [
            (
                bg, reference.scores_with_own_fit.auc_1_minus_p_alive,
                reference.scores_with_own_fit.auc_p_no_purchase_in_holdout
            ),
            (mbg, other.auc_1_minus_p_alive, other.auc_p_no_purchase_next_39_weeks),
        ] {
            let chances = buyers.map { buyer in
                let x = buyer.days.count - 1
                let first = buyer.days.min() ?? 0
                let recency = Double((buyer.days.max() ?? 0) - first) / 7
                let age = Double(Self.cut - first) / 7
                return (
                    gone: 1 - fit.probabilityAlive(x: x, recency: recency, age: age),
                    away: fit.probabilityNoPurchase(x: x, recency: recency, age: age, horizon: 39),
                    isAway: !buyer.boughtLater
                )
            }
            #expect(abs(areaUnderCurve(chances.map { ($0.gone, $0.isAway) }) - alive) < 1e-3)
            #expect(abs(areaUnderCurve(chances.map { ($0.away, $0.isAway) }) - away) < 1e-3)
        }
    }

    private func compare(
        _ rows: [ChurnReference.Row],
        _ fit: PurchaseParameters
    ) throws {
        #expect(rows.count > 10)
        for row in rows {
            let alive = fit.probabilityAlive(x: row.x, recency: row.t_x, age: row.T)
            let expected = try #require(Double(row.p_alive))
            // The reference is written with 12 digits or more.
            #expect(abs(alive / expected - 1) < 1e-10, "P(alive) of \(row)")
            let away = fit.probabilityNoPurchase(
                x: row.x,
                recency: row.t_x,
                age: row.T,
                horizon: 39
            )
            #expect(abs(away / row.p_no_purchase_next_39.value - 1) < 1e-10, "silence of \(row)")
        }
    }

    @Test func chancesEqualTheReference() throws {
        let reference = try ChurnReference.load()
        try compare(
            reference.cdnow_summary_file.p_alive_at_published_params,
            PurchaseParameters(model: .bgNBD, r: 0.243, alpha: 4.414, a: 0.793, b: 2.426)
        )
        let own = reference.cdnow_summary_file.own_fit
        try compare(
            reference.cdnow_summary_file.p_alive_at_own_fit,
            PurchaseParameters(model: .bgNBD, r: own.r, alpha: own.alpha, a: own.a, b: own.b)
        )
        let fixed = reference.mbg_p_alive_at_fixed_params.params
        try compare(
            reference.mbg_p_alive_at_fixed_params.rows,
            PurchaseParameters(
                model: .mbgNBD,
                r: fixed.r,
                alpha: fixed.alpha,
                a: fixed.a,
                b: fixed.b
            )
        )
    }
}
