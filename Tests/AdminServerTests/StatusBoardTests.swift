import Engine
import Testing

@Suite struct StatusBoardTests {
    @Test func statesFollowTheDiagram() {
        let arrows: [EngineState: Set<EngineState>] = [
            .starting: [.restoring, .draining, .stopped],
            .restoring: [.running, .draining, .stopped],
            .running: [.restoring, .draining, .stopped],
            .draining: [.stopped],
            .stopped: [],
        ]
        for from in EngineState.allCases {
            for to in EngineState.allCases {
                let expected = from == to || arrows[from]?.contains(to) == true
                #expect(from.canBecome(to) == expected, "\(from) to \(to)")
            }
        }
    }

    @Test func readyOnlyWhenRunningAndRestored() {
        let board = StatusBoard(sinceMilliseconds: 0)
        #expect(board.current.unreadiness == "starting")
        board.move(to: .restoring, atMilliseconds: 5)
        board.update {
            $0.restore.done = 3
            $0.restore.target = 9
        }
        #expect(board.current.unreadiness == "restoring, 3 of 9")
        board.move(to: .running, atMilliseconds: 7)
        #expect(board.current.unreadiness == nil)
        #expect(board.current.sinceMilliseconds == 7)
        board.update { $0.brokerDownSinceMilliseconds = 8 }
        #expect(board.current.unreadiness == "no broker answers")
        board.move(to: .draining, atMilliseconds: 9)
        #expect(board.current.unreadiness == "draining")
    }

    @Test func stayingInAStateKeepsItsBeginning() {
        let board = StatusBoard(sinceMilliseconds: 1)
        board.move(to: .restoring, atMilliseconds: 2)
        board.move(to: .restoring, atMilliseconds: 3)
        #expect(board.current.sinceMilliseconds == 2)
    }

    @Test func everySeriesExistsFromTheStart() {
        let status = StatusBoard(sinceMilliseconds: 0).current
        #expect(status.eventsByType.count == 8)
        #expect(status.rejectionsByReason.count == 12)
        #expect(status.outputsByType.values.allSatisfy { $0 == 0 })
    }

    @Test func durationsFallIntoTheirBuckets() {
        var histogram = DurationHistogram()
        #expect(histogram.last == nil)
        for seconds in [0, 0.005, 0.006, 10, 11] { histogram.add(seconds: seconds) }
        #expect(histogram.counts == [2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0])
        #expect(histogram.last == 11)
        #expect(abs(histogram.sum - 21.011) < 1e-9)
    }

    @Test func metricNamesFollowTheRule() {
        #expect(Set(MetricNames.all.map(\.name)).count == MetricNames.all.count)
        for metric in MetricNames.all {
            #expect(metric.name.hasPrefix("segmentd_"))
            #expect(metric.name.hasSuffix("_total") == (metric.kind == .counter))
            #expect(metric.help.hasSuffix("."))
        }
    }
}
