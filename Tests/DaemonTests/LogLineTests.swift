import Engine
import Foundation
import Logging
import Testing

@testable import segmentd

/// What operators read at night.
@Suite struct LogLineTests {
    private let time = Date(timeIntervalSince1970: 1_772_360_100.25)

    @Test func linesAreLevelWordsAndPairs() {
        let line = LogLine.text(
            .warning,
            "it is so",
            ["b": "two words", "a": "1", "c": "say \"x\"", "d": "", "e": "a=b", "f": "one\ntwo"],
            at: nil
        )
        #expect(
            line == #"WARNING it is so a=1 b="two words" c="say \"x\"" d="" e="a=b" f="one | two""#
        )
        #expect(LogLine.text(.info, "one\ntwo", [:], at: nil) == "INFO one | two")
        #expect(LogLine.text(.info, "x", [:], at: time) == "2026-03-01T10:15:00Z INFO x")
    }

    @Test func jsonLinesAreOneObject() throws {
        let line = LogLine.json(.error, "a \"b\"\nc", ["level": "7"], at: time)
        #expect(!line.contains("\n"))
        let object = try #require(
            try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
        )
        #expect(object["level"] as? String == "error")
        #expect(object["message"] as? String == "a \"b\"\nc")
        #expect(object["time"] as? String == "2026-03-01T10:15:00.250Z")
        #expect(object["metadata"] as? [String: String] == ["level": "7"])
    }

    @Test func aLevelMayChangeUnderItsLoggers() {
        let logging = DaemonLogging(level: .info)
        var quiet = logging.logger
        quiet.logLevel = .warning
        let logger = logging.logger
        #expect(logger.logLevel == .info)
        logging.level = .debug
        #expect(logger.logLevel == .debug)
        #expect(quiet.logLevel == .warning)
        logging.level = .error
        #expect(quiet.logLevel == .error)
    }

    @Test func statusLinesSayWhatHoldsSomethingBack() {
        let board = StatusBoard(sinceMilliseconds: 0)
        #expect(ServiceNotifier.text(board.current) == "starting")
        board.update { $0.brokerDownSinceMilliseconds = 1 }
        #expect(ServiceNotifier.text(board.current) == "starting, no broker answers")
        board.update { $0.brokerDownSinceMilliseconds = nil }
        board.move(to: .restoring, atMilliseconds: 0)
        board.update {
            $0.restore.done = 63
            $0.restore.target = 100
        }
        #expect(ServiceNotifier.text(board.current) == "restoring 63 %")
        board.move(to: .running, atMilliseconds: 0)
        #expect(
            ServiceNotifier.text(board.current)
                == "running, no partition assigned, lag 0 records, no model yet"
        )
        board.update {
            $0.assignedPartitions = [0]
            $0.lags = [.init(topic: "t", partition: 0, records: 12)]
            $0.churnPaused = "no order"
        }
        #expect(
            ServiceNotifier.text(board.current)
                == "running, lag 12 records, no model yet, alerts wait for orders"
        )
    }
}
