import Foundation

/// Options, by hand: this program is for the project's own engineers.
struct Options {
    var events = 1_000_000
    var givenCustomers: Int?
    var rounds = 3
    var file: String?
    /// Whether restores are all that is measured.
    var restores = false
    /// Whether refits are all that is measured.
    var refits = false
    /// Whether timers are all that is measured.
    var timers = false

    /// Customers of the events, or of the table that is restored.
    var customers: Int { givenCustomers ?? (restores || timers ? 1_000_000 : 100_000) }
    /// Customers of each refit to time.
    var refitCustomers: [Int] { givenCustomers.map { [$0] } ?? [100_000, 1_000_000] }

    init(_ arguments: [String]) {
        var rest = arguments.dropFirst()
        while let option = rest.popFirst() {
            switch option {
            case "--small": (events, givenCustomers, rounds) = (20_000, 2_000, 1)
            case "--events": events = rest.popFirst().flatMap(Int.init) ?? events
            case "--customers":
                givenCustomers = rest.popFirst().flatMap(Int.init) ?? givenCustomers
            case "--rounds": rounds = rest.popFirst().flatMap(Int.init) ?? rounds
            case "--write": file = rest.popFirst()
            case "--restore": restores = true
            case "--refit": refits = true
            case "--timers": timers = true
            default:
                print(
                    """
                    usage: Benchmarks [--small] [--events N] [--customers N] [--rounds N]
                                      [--write FILE] [--restore] [--refit] [--timers]
                      --write FILE  write the events too, for: segmentd replay --input FILE
                      --restore     only restores of a table of so many customers (1,000,000)
                      --refit       only refits beside a hot path, of so many customers (100,000,
                                    then 1,000,000)
                      --timers      only alerts of so many customers (1,000,000) in 90 silent days
                    """
                )
                exit(option == "--help" ? 0 : 2)
            }
        }
    }
}

let options = Options(CommandLine.arguments)
print(Machine.description)
if options.restores {
    print("\(options.customers) customers, \(options.rounds) rounds, medians")
    RestoreBenchmark(customers: options.customers, rounds: options.rounds).run()
    exit(0)
}
if options.timers {
    print("\(options.customers) customers")
    exit(TimerBenchmark(customers: options.customers).run() ? 0 : 1)
}
if options.refits {
    for customers in options.refitCustomers {
        var benchmark = RefitBenchmark(customers: customers)
        benchmark.run()
    }
    exit(0)
}
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
