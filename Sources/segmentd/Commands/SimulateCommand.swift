import ArgumentParser
import Foundation
import ShopSimulator

/// A believable shop as NDJSON.
struct SimulateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Write a realistic event stream of an invented shop as NDJSON.",
        discussion: """
            Seeded: the same options give the same bytes. About 40 events per customer in 400 days \
            are what the shop makes by itself; --events makes it busier or quieter.

            Examples:
              segmentd simulate --customers 5000 --events 200000 --seed 1 > events.ndjson
              segmentd simulate --customers 5000 --events 200000 --seed 1 \\
                --truth truth.csv > events.ndjson
            """
    )

    @Option(help: "Customers, 1 or more.")
    var customers: Int

    @Option(help: "Events.")
    var events: Int

    @Option(help: "Seed of everything random.")
    var seed: UInt64

    @Option(help: "How much habits change in a year, 0 to 1: orders grow, customers change kind.")
    var drift = 0.0

    @Option(help: "File for each customer's true kind and true moment of dropout, CSV.")
    var truth: String?

    func run() throws {
        let shop = ShopSimulatorConfiguration(
            customers: customers,
            events: events,
            seed: seed,
            drift: drift
        )
        guard shop.problems.isEmpty else {
            throw CommandFailure(shop.problems.joined(separator: "\n"), status: .usage)
        }
        var simulator = ShopSimulator(configuration: shop)
        var lines: [UInt8] = []
        var line: [UInt8] = []
        while simulator.next(into: &line) != nil {
            lines.append(contentsOf: line)
            lines.append(UInt8(ascii: "\n"))
            if lines.count > 1 << 20 {
                Terminal.output(lines)
                lines.removeAll(keepingCapacity: true)
            }
        }
        Terminal.output(lines)
        guard let truth else { return }
        var csv: [UInt8] = []
        simulator.writeTruth(into: &csv)
        try OutputFile(path: truth, option: "--truth").write(csv)
    }
}
