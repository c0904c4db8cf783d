import EventLog
import Segmentation

extension CommitLoop where Log: ~Copyable {
    /// Refits where that is due: beside the loop, or in place without a runner.
    mutating func refitIfDue() throws(LoopFault) {
        guard let runner = configuration.refitRunner else {
            guard core.isRefitDue else { return }
            try begin()
            do throws(RefitFailure) {
                try core.refit(at: core.greatestEventTime, into: &output)
            } catch {
                report(.refitFailed("\(error)"))
            }
            try produceOutput()
            return
        }
        if let result = runner.take() { core.receive(result) }
        guard core.isRefitFinished else { return }
        try begin()
        do throws(RefitFailure) {
            if try !core.finishRefit(into: &output) { report(.refitDropped) }
        } catch {
            report(.refitFailed("\(error)"))
        }
        try produceOutput()
    }

    /// Does a slice of what is done between two transactions: copies the next rows for a refit
    /// beside the loop, or goes on with maintenance.
    mutating func workBetweenTransactions() {
        guard !transaction.isOpen, !positions.partitions.isEmpty else { return }
        if let runner = configuration.refitRunner, positions.owns(partition: 0),
            core.isPreparingRefit || core.isRefitDue
        {
            if let job = core.prepareRefit(limit: configuration.refitRows) {
                runner.start(consume job)
            }
        } else if core.isMaintenanceDue {
            core.maintain(limit: configuration.maintenanceRows)
        }
    }
}
