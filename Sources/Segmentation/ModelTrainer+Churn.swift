import Kernels
import OnlineLearning

extension ModelTrainer {
    /// Earlier days from which outcomes are taken.
    private static let cuts = 4
    /// Customers that a calibration needs at the latest of them; with fewer, chance may rank
    /// better than it.
    private static let calibrationCustomersMin = 200

    /// Fits the purchase model to (x, t_x, T) of every customer, in whole days.
    mutating func fitChurn(
        _ table: CustomerTable,
        _ trails: PurchaseTrails
    ) throws(NumericError) {
        let today = Int64(configuration.calendar.day(of: time))
        var histogram = PurchaseHistogram()
        var repeatBuyers = 0
        var longest: Int64 = 0
        for row in 0..<table.rowEnd where table.isInUse(row) && table.purchaseDays(row) > 0 {
            let first = Int64(table.firstPurchaseDay(row))
            let last = Int64(table.lastPurchaseDay(row))
            let age = max(last, today) - first
            longest = max(longest, age)
            if table.purchaseDays(row) > 1 { repeatBuyers += 1 }
            histogram.add(
                repeatPurchases: table.purchaseDays(row) - 1,
                recencyDays: Int(last - first),
                ageDays: Int(age)
            )
        }
        let wanted = configuration.churn.minimumRepeatBuyers
        guard repeatBuyers >= wanted else {
            model.churn = nil
            model.churnPending = "\(repeatBuyers) of \(wanted) repeat buyers"
            return
        }
        let kind: PurchaseModel =
            switch configuration.churn.model {
            case "bg-nbd": .bgNBD
            case "nbd": .nbd
            default: .mbgNBD
            }
        let parameters = try PurchaseModelFit.fit(histogram, model: kind)
        model.churn = parameters
        do throws(NumericError) {
            try calibrate(parameters, trails, historyDays: Int32(clamping: longest))
        } catch {
            // The purchase model is as good as before.
            model.calibrationPending = "\(error)"
        }
        let history = configuration.churn.minimumHistoryDays
        if Double(longest) < history {
            model.churnPending = "\(longest) of \(Int(history)) days of history"
        }
    }

    /// Learns the risk from what became of the customers as they stood at earlier days.
    ///
    /// The horizon is that of the risk where three tenths of the shop's history allow it. The days
    /// are `cuts`, the latest one horizon ago and each a sixth of it before the next: all that
    /// happened behind them has happened by now.
    private mutating func calibrate(
        _ parameters: PurchaseParameters,
        _ trails: PurchaseTrails,
        historyDays: Int32
    ) throws(NumericError) {
        let wanted = configuration.churn.calibrationHorizonDays ?? configuration.churn.horizonDays
        let horizon = Int32(min(wanted, 0.3 * Double(historyDays)).rounded())
        guard horizon >= 1 else {
            model.calibrationPending = "\(historyDays) days of history"
            return
        }
        let today = configuration.calendar.day(of: time)
        let step = max(1, Int32((Double(horizon) / 6).rounded()))
        var outcomes: [PurchaseOutcome] = []
        for index in 0..<Int32(Self.cuts) {
            let cut = today - horizon - index * step
            outcomes += trails.outcomes(cut: cut, horizon: horizon)
            guard index > 0 || outcomes.count >= Self.calibrationCustomersMin else {
                model.calibrationPending =
                    "\(outcomes.count) of \(Self.calibrationCustomersMin) customers with an outcome"
                return
            }
        }
        model.calibration = try RiskCalibration.fit(
            outcomes,
            horizon: Double(horizon) / 7,
            parameters: parameters,
            present: trails.present(on: today),
            riskHorizon: configuration.churn.horizonDays / 7
        )
        if model.calibration == nil {
            model.calibrationPending =
                "fewer than \(RiskCalibration.outcomesOfAKindMin) outcomes of a kind"
        }
    }
}
