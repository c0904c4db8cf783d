import EventLog
import Foundation
import Segmentation

extension CommitLoop where Log: ~Copyable {
    /// Produces what the core gathered, and forgets it.
    mutating func produceOutput() throws(LoopFault) {
        guard !output.records.isEmpty else {
            // Rejections of the batch may be there alone; the next batch must not find them.
            output.removeAll()
            return
        }
        producedHeaders.removeAll(keepingCapacity: true)
        for header in output.headers {
            producedHeaders.append(HeaderView(name: header.name, value: header.value))
        }
        for record in output.records {
            let produced: ProducedRecord
            switch record.destination {
            case .segments:
                produced = ProducedRecord(
                    topic: .segments,
                    partition: nil,
                    key: record.key,
                    value: record.value,
                    headers: record.headers
                )
                if record.value == nil { transaction.tombstones += 1 }
            case .changelog:
                // Never through a partitioner: the row lives where its input lives.
                produced = ProducedRecord(
                    topic: .changelog,
                    partition: record.partition,
                    key: record.key,
                    value: record.value
                )
            case .model:
                transaction.writesModel = true
                produced = ProducedRecord(
                    topic: .model,
                    partition: 0,
                    key: record.key,
                    value: record.value
                )
            }
            do throws(LogError) {
                try log.produce(produced, bytes: output.bytes, headers: producedHeaders)
            } catch {
                throw .log(error)
            }
        }
        output.removeAll()
    }

    /// Sends records that cannot be used to the dead-letter topic, key and value untouched.
    mutating func produceRejections() throws(LoopFault) {
        for rejected in output.rejections {
            let record = batch.records[rejected.recordIndex]
            var letter = DeadLetter(record, of: batch)
            letter.append("segmentd-reason", rejected.rejection.reason.rawValue)
            letter.append("segmentd-detail", rejected.rejection.detail)
            letter.append("segmentd-topic", configuration.eventTopics[record.topicIndex])
            letter.append("segmentd-partition", String(record.partition))
            letter.append("segmentd-offset", String(record.offset))
            do throws(LogError) {
                try log.produce(letter.record, bytes: letter.bytes, headers: letter.headers)
            } catch {
                throw .log(error)
            }
        }
    }

    /// Publishes how long a commit took, and what it was the end of.
    ///
    /// - Parameters:
    ///   - started: when the commit began, monotonic, in microseconds.
    ///   - now: when it ended.
    mutating func publishCommit(from started: Int64, to now: Int64) {
        let (opened, tombstones) = (transaction.startedAt, transaction.tombstones)
        let wall = clock.wallMilliseconds()
        var latencies = DurationHistogram()
        for timestamp in timestamps {
            // Producers' clocks may be ahead of ours.
            latencies.add(
                seconds: max(0, Double(wall.subtractingReportingOverflow(timestamp).0)) / 1000
            )
        }
        board.update { status in
            status.transactionDurations.add(seconds: max(0, Double(now - opened) / 1e6))
            status.commitDurations.add(seconds: max(0, Double(now - started) / 1e6))
            status.publicationLatencies.merge(latencies)
            status.outputsByType["tombstone", default: 0] += tombstones
        }
    }

    /// Rows counted at each publication: a millisecond or two.
    private static var censusRows: Int { 65_536 }

    /// Publishes the status, a few times a second at most.
    mutating func publishStatus(force: Bool) {
        let now = clock.monotonicMicroseconds()
        guard force || now >= nextStatus else { return }
        nextStatus = now + 200_000
        core.takeCensus(limit: Self.censusRows)
        let counters = core.counters
        let census = core.census
        let customers = core.customerCount
        let downSince = configuration.connection.downSinceMilliseconds
        let lags = currentLags()
        let (committed, aborted) = (transactions, self.aborted)
        let partitions = positions.partitions.sorted()
        let (error, drift) = (core.quantisationError, core.quantisationDrift)
        let stability = core.featureStability
        let statisticsDrift = core.statisticsDrift
        let model = core.model
        let shadow = core.shadow
        let silence = core.silenceReason
        let json = publishedVersion == model?.version ? nil : bundleJSON()
        let isNewVersion = model != nil && publishedVersion != model?.version
        board.update { status in
            status.customers = customers
            status.brokerDownSinceMilliseconds = downSince
            status.assignedPartitions = partitions
            status.records = counters.records
            status.eventsByType = counters.eventsByType
            status.duplicates = counters.duplicates
            status.unmatchedReversals = counters.unmatchedReversals
            for (index, reason) in RejectionReason.allCases.enumerated() {
                status.rejectionsByReason[reason.rawValue] = counters.rejections[index]
            }
            status.outputsByType["segment.changed"] = counters.segmentChanged
            status.outputsByType["churn.changed"] = counters.churnChanged
            status.outputsByType["decision.refreshed"] = counters.refreshed
            for band in ChurnBand.allCases {
                status.bandEntries[band.name] = counters.bandEntries[Int(band.rawValue)]
                status.bandCustomers[band.name] = census.bands[Int(band.rawValue)]
            }
            status.segmentCustomers = census.segments
            status.dueCustomers = census.due
            status.timerDecisions = counters.dueMoments
            status.relabelledCustomers = counters.relabelled
            status.refitsByReason = counters.refitsByReason
            status.quantisationError = error
            status.quantisationDrift = drift
            status.featureStability = stability
            status.statisticsDrift = statisticsDrift
            status.transactions = committed
            status.abortedTransactions = aborted
            status.lags = lags
            status.churnMissing =
                model.map { $0.churn == nil || $0.churnPending != nil ? $0.churnPending : nil }
                ?? "no model yet"
            status.churnPaused = silence
            status.model = model.map(EngineStatus.Model.init)
            if let json { status.modelBundleJSON = json }
            status.shadow = shadow.map(EngineStatus.Shadow.init)
        }
        if (silence != nil) != publishedSilence { report(.silence(silence)) }
        publishedSilence = silence != nil
        if let shadow, shadow.version != publishedShadow {
            report(
                .heldBack(
                    version: shadow.version,
                    because: shadow.verdict?.held_because ?? "",
                    replaces: publishedShadow
                )
            )
        }
        publishedShadow = shadow?.version
        if isNewVersion, let model {
            publishedVersion = model.version
            report(
                .newModel(
                    version: model.version,
                    customers: model.customers,
                    segments: model.segments.map { "\($0.name) (\($0.customers))" }
                )
            )
        }
    }

    private func bundleJSON() -> String? {
        do {
            return try core.bundle.map { String(decoding: try $0.json(), as: UTF8.self) }
        } catch {
            preconditionFailure("a model that is no JSON: \(error)")
        }
    }

    private func currentLags() -> [EngineStatus.Lag] {
        positions.committed.compactMap { offset in
            let known = log.knownEndOffset(
                topicIndex: offset.topicIndex,
                partition: offset.partition
            )
            let asked = positions.askedEnd(
                topicIndex: offset.topicIndex,
                partition: offset.partition
            )
            guard let end = [known, asked].compactMap(\.self).max() else { return nil }
            return EngineStatus.Lag(
                topic: configuration.eventTopics[offset.topicIndex],
                partition: offset.partition,
                records: max(0, end - (offset.offset ?? 0))
            )
        }
    }
}

extension EngineStatus.Model {
    init(_ model: SegmentModel) {
        self.init(
            version: model.version,
            step: model.step,
            trainedAtMilliseconds: model.trainedAt,
            trainingCustomers: model.trainingCustomers,
            explainedVarianceRatio: model.explainedVarianceRatio,
            inertia: model.inertia,
            segments: model.segments.map {
                EngineStatus.Segment(
                    id: $0.id,
                    key: $0.key,
                    name: $0.name,
                    customers: $0.customers
                )
            }.sorted { $0.id < $1.id },
            featuresWithoutData: zip(model.featureNames, model.isWithoutData)
                .filter(\.1).map(\.0)
        )
    }
}

extension EngineStatus.Shadow {
    init(_ model: SegmentModel) {
        self.init(
            version: model.version,
            trainedAtMilliseconds: model.trainedAt,
            segmentShare: model.verdict?.segment_share ?? 0,
            bandShare: model.verdict?.band_share ?? 0,
            heldBecause: model.verdict?.held_because ?? ""
        )
    }
}

extension Mailbox {
    /// Rows of the customer table in one answer: some milliseconds of the engine's thread.
    static let exportRowsMax = 5_000

    /// Answers questions from the core.
    func answer(from core: inout SegmentationCore) {
        drain { request in
            switch request {
            case .explain(let customer): return core.explain(customer: Array(customer.utf8))
            case .export(let row):
                var lines: [UInt8] = []
                let next = core.appendExport(from: row, limit: Self.exportRowsMax, into: &lines)
                return Array((next.map(String.init) ?? "").utf8) + [UInt8(ascii: "\n")] + lines
            case .bundle(let version): return core.bundleJSON(of: .version(version))
            case .activeBundle: return core.bundleJSON(of: .active)
            case .shadowBundle: return core.bundleJSON(of: .shadow)
            case .versions: return core.versionsJSON()
            case .segments: return core.segmentsJSON()
            case .sweep: return core.sweepJSON()
            // Taken out before, by the turn that does them.
            case .accept, .reject, .rollback: return nil
            }
        }
    }
}

/// A dead letter: the original key, value and headers, with ours behind.
private struct DeadLetter {
    private(set) var bytes: [UInt8] = []
    private(set) var headers: [HeaderView] = []
    private var key: Range<Int>?
    private var value: Range<Int>?

    init(_ record: RecordView, of batch: RecordBatch) {
        func copy(_ range: Range<Int>?, into bytes: inout [UInt8]) -> Range<Int>? {
            guard let range else { return nil }
            let start = bytes.count
            bytes.append(contentsOf: batch.bytes[range])
            return start..<bytes.count
        }
        key = copy(record.key, into: &bytes)
        value = copy(record.value, into: &bytes)
        for header in batch.headers[record.headers] {
            guard let name = copy(header.name, into: &bytes) else { continue }
            headers.append(HeaderView(name: name, value: copy(header.value, into: &bytes)))
        }
    }

    mutating func append(_ name: String, _ text: String) {
        let start = bytes.count
        bytes.append(contentsOf: name.utf8)
        let middle = bytes.count
        bytes.append(contentsOf: text.utf8)
        headers.append(HeaderView(name: start..<middle, value: middle..<bytes.count))
    }

    var record: ProducedRecord {
        ProducedRecord(
            topic: .rejected,
            partition: nil,
            key: key,
            value: value,
            headers: 0..<headers.count
        )
    }
}
