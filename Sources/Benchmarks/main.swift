import Foundation

/// Options, by hand: this program is for the project's own engineers.
struct Options {
    var events = 1_000_000
    var customers = 100_000
    var rounds = 3
    var file: String?

    init(_ arguments: [String]) {
        var rest = arguments.dropFirst()
        while let option = rest.popFirst() {
            switch option {
            case "--small": (events, customers, rounds) = (20_000, 2_000, 1)
            case "--events": events = rest.popFirst().flatMap(Int.init) ?? events
            case "--customers": customers = rest.popFirst().flatMap(Int.init) ?? customers
            case "--rounds": rounds = rest.popFirst().flatMap(Int.init) ?? rounds
            case "--write": file = rest.popFirst()
            default:
                print(
                    """
                    usage: Benchmarks [--small] [--events N] [--customers N] [--rounds N]
                                      [--write FILE]
                      --write FILE  write the events too, for: segmentd replay --input FILE
                    """
                )
                exit(option == "--help" ? 0 : 2)
            }
        }
    }
}

let options = Options(CommandLine.arguments)
print(Machine.description)
let stream = OrderStream(
    count: options.events,
    customers: options.customers,
    milliseconds: 86_400_000,
    seed: 1
)
if let file = options.file {
    var text: [UInt8] = []
    for line in stream.lines {
        text.append(contentsOf: stream.bytes[line])
        text.append(UInt8(ascii: "\n"))
    }
    guard FileManager.default.createFile(atPath: file, contents: Data(text)) else {
        print("cannot write \(file)")
        exit(1)
    }
}
print(
    "\(options.events) order.placed events of "
        + "\(stream.bytes.count / max(1, options.events)) bytes, "
        + "\(options.customers) customers, \(options.rounds) rounds, medians"
)
StageBenchmark(stream: stream, rounds: options.rounds).run()
ReplayBenchmark(stream: stream, rounds: options.rounds).run()
