import Kernels
import OnlineLearning

extension ModelTrainer {
    /// Fits the purchase model to (x, t_x, T) of every customer, in whole days.
    mutating func fitChurn(_ table: CustomerTable) throws(NumericError) {
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
        model.churn = try PurchaseModelFit.fit(histogram, model: kind)
        let history = configuration.churn.minimumHistoryDays
        if Double(longest) < history {
            model.churnPending = "\(longest) of \(Int(history)) days of history"
        }
    }
}
