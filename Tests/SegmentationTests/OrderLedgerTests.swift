import OnlineLearning
import Testing

@testable import Segmentation

/// DESIGN, section 3: inside the ledger the order of arrival does not matter.
struct OrderLedgerTests {
    private static let day = TestConfiguration.day
    private static let start = TestConfiguration.start

    /// At most 8 events about at most 8 orders; ids are unique, times of one order's versions
    /// differ.
    private static func events(_ random: inout SeededGenerator) -> [String] {
        let orders = 1 + random.next(below: 4)
        let count = 1 + random.next(below: 8)
        return (0..<count).map { number in
            // Days apart, so that days fall together; the number keeps times different.
            let time =
                start + Int64(random.next(below: 400)) * day / Int64(1 + random.next(below: 40))
                + Int64(number)
            let head =
                "{\"id\":\"e\(number)\",\"time\":\(time),\"order_id\":\"o\(random.next(below: orders))\""
            let wines = random.next(below: 50)
            let meat = random.next(below: 50)
            let amount = wines + meat + random.next(below: 3) * 10
            let categories = ",\"categories\":{\"wines\":\(wines),\"meat\":\(meat)}"
            switch random.next(below: 6) {
            case 0: return head + ",\"type\":\"order.reversed\",\"full\":true}"
            case 1: return head + ",\"type\":\"order.reversed\",\"amount\":\(amount)\(categories)}"
            case 2: return head + ",\"type\":\"order.reversed\",\"amount\":\(amount)}"
            default:
                let channel = ["web", "store", "stall"][random.next(below: 3)]
                let discount = random.next(below: 2) == 0
                return head
                    + ",\"type\":\"order.placed\",\"amount\":\(amount)\(categories),\"channel\":\"\(channel)\",\"discount\":\(discount)}"
            }
        }
    }

    /// Everything that the ledger decides about a customer.
    private struct Outcome {
        var clock: Int64
        var days: [Int]
        var numbers: [Double]
        var entries: [LedgerEntry]

        init(_ shop: TestShop, _ customer: String) {
            let row = shop.row(customer)
            let table = shop.core.table
            clock = table.clock(row)
            days = [
                table.purchaseDays(row), Int(table.firstPurchaseDay(row)),
                Int(table.lastPurchaseDay(row)),
            ]
            let schema = shop.core.schema
            numbers = schema.slotNames.indices.map { table.numbers[row, $0] }
            for decay in schema.decays {
                // Seen from one landmark.
                let own = table.numbers[row, decay.landmark]
                let common = Decay.landmark(at: start, halfLife: decay.halfLifeMilliseconds)
                numbers[decay.value] *= Double(
                    sign: .plus,
                    exponent: Int(8 * (own - common)),
                    significand: 1
                )
            }
            var block = RowBlock(schema: schema)
            block.load(row, of: table)
            entries = block.entries.sorted { $0.hash < $1.hash }
        }

        func differs(from other: Outcome) -> String? {
            if clock != other.clock { return "clock" }
            if days != other.days { return "days \(days) \(other.days)" }
            if entries != other.entries { return "entries" }
            for (index, pair) in zip(numbers, other.numbers).enumerated() {
                if pair.0.isNaN && pair.1.isNaN { continue }
                if !(abs(pair.0 - pair.1) <= 1e-9 * max(1, abs(pair.0))) {
                    return "number \(index): \(pair)"
                }
            }
            return nil
        }
    }

    @Test func arrivalOrderAndDuplicatesDoNotMatterInsideTheLedger() {
        var random = SeededGenerator(seed: 11)
        let shop = TestShop()
        for index in 0..<3000 {
            let events = Self.events(&random)
            let (first, second) = ("c\(index)", "d\(index)")
            for event in events { shop.send(event, key: first) }
            var shuffled = events
            shuffled.shuffle(using: &random)
            for event in shuffled {
                shop.send(event, key: second)
                if random.next(below: 3) == 0 { shop.send(event, key: second) }
            }
            for event in shuffled where random.next(below: 2) == 0 { shop.send(event, key: second) }
            let difference = Outcome(shop, first).differs(from: Outcome(shop, second))
            #expect(difference == nil, "case \(index): \(events) against \(shuffled)")
            if difference != nil { return }
        }
    }

    @Test func duplicatesMoveNoClock() {
        let shop = TestShop()
        func clocks() -> [Int64] {
            [
                shop.core.table.clock(shop.row("c")), shop.core.partitionClock(0),
                shop.core.greatestEventTime,
            ]
        }
        shop.send(#"{"id":"v","type":"engagement.visit","time":1000}"#, key: "c")
        shop.send(#"{"type":"order.placed","time":2000,"order_id":"o","amount":5}"#, key: "c")
        let before = clocks()
        shop.send(#"{"id":"v","type":"engagement.visit","time":9000}"#, key: "c")
        shop.send(#"{"type":"order.placed","time":2000,"order_id":"o","amount":6}"#, key: "c")
        shop.send(#"{"type":"order.placed","time":1999,"order_id":"o","amount":7}"#, key: "c")
        #expect(clocks() == before && before == [2000, 2000, 2000])
        #expect(shop.core.counters.duplicates == 3)
        #expect(shop.number("other", of: "c") == 5 && shop.number("visits", of: "c") == 1)
        // The same id from another source is another event.
        shop.send(#"{"id":"v","source":"s","type":"engagement.visit","time":1}"#, key: "c")
        // Without an id, nothing but orders is ever a duplicate.
        shop.send(#"{"type":"engagement.visit","time":1}"#, key: "c")
        shop.send(#"{"type":"engagement.visit","time":1}"#, key: "c")
        #expect(shop.number("visits", of: "c") == 4)
    }

    @Test func anUnmatchedReversalTakesMoneyOutAtOnce() {
        let shop = TestShop()
        shop.send(
            #"{"id":"1","type":"order.reversed","time":5000,"order_id":"o","amount":20,"categories":{"meat":20}}"#,
            key: "c"
        )
        #expect(shop.number("meat", of: "c") == -20)
        #expect(shop.number("recent_spent", of: "c") == 0)
        #expect(shop.core.counters.unmatchedReversals == 1)
        shop.send(
            #"{"type":"order.placed","time":4000,"order_id":"o","amount":30,"categories":{"meat":30}}"#,
            key: "c"
        )
        #expect(shop.number("meat", of: "c") == 10)
        #expect(shop.core.table.purchaseDays(shop.row("c")) == 1)
    }

    @Test func reversalsStopAtWhatTheVersionHolds() {
        let shop = TestShop()
        func send(_ rest: String) { shop.send("{\"order_id\":\"o\",\(rest)}", key: "c") }
        send(
            #""type":"order.placed","time":1,"amount":30,"categories":{"wines":10,"meat":20}"#
        )
        send(#""type":"order.reversed","time":2,"amount":25,"categories":{"meat":25}"#)
        #expect(shop.number("meat", of: "c") == 0 && shop.number("wines", of: "c") == 10)
        send(#""type":"order.reversed","time":3,"amount":4"#)
        #expect(shop.number("wines", of: "c") == 6)
        // Reversals add up over versions.
        send(
            #""type":"order.placed","time":4,"amount":60,"categories":{"wines":20,"meat":40}"#
        )
        #expect(abs(shop.number("meat", of: "c") - 15 * 31.0 / 35) < 1e-12)
        #expect(abs(shop.number("wines", of: "c") - 20 * 31.0 / 35) < 1e-12)
        send(#""type":"order.reversed","time":4,"full":true"#)
        #expect(shop.core.table.purchaseDays(shop.row("c")) == 0)
        send(#""type":"order.placed","time":5,"amount":8"#)
        #expect(shop.core.table.purchaseDays(shop.row("c")) == 1)
        #expect(shop.number("elsewhere", of: "c") == 1)
    }

    /// The days that orders in force were placed on, told without slots, bits and words.
    private struct DayModel {
        var ledger: [(id: Int, hasVersion: Bool, time: Int64, full: Int64)] = []
        var outside: Set<Int64> = []
        var limit: Int

        func day(_ time: Int64) -> Int64 { time / TestConfiguration.day }

        mutating func place(_ id: Int, _ time: Int64) {
            change(id) {
                $0.hasVersion = true
                $0.time = time
            }
        }

        mutating func reverse(_ id: Int, _ time: Int64) { change(id) { $0.full = time } }

        private mutating func change(
            _ id: Int,
            _ body: (inout (id: Int, hasVersion: Bool, time: Int64, full: Int64)) -> Void
        ) {
            if let index = ledger.firstIndex(where: { $0.id == id }) {
                body(&ledger[index])
                return
            }
            if ledger.count == limit {
                let gone = ledger.removeFirst()
                if gone.hasVersion && gone.time > gone.full { outside.insert(day(gone.time)) }
            }
            var entry = (id: id, hasVersion: false, time: Int64(0), full: Int64.min)
            body(&entry)
            ledger.append(entry)
        }

        var days: Set<Int64> {
            outside.union(ledger.filter { $0.hasVersion && $0.time > $0.full }.map { day($0.time) })
        }
    }

    @Test func purchaseDaysBeyondTheLedgerEqualASetOfDays() {
        var random = SeededGenerator(seed: 12)
        for index in 0..<120 {
            var configuration = TestConfiguration.smartCart()
            configuration.ledgerOrders = 1 + random.next(below: 8)
            let shop = TestShop(configuration)
            var model = DayModel(limit: configuration.ledgerOrders)
            var time = Self.start
            var next = 0
            for _ in 0..<60 {
                time += 1 + Int64(random.next(below: 5)) * Self.day / 3
                let known = model.ledger.randomElement(using: &random)?.id
                let choice = random.next(below: 10)
                if choice < 2, let known {
                    model.reverse(known, time)
                    shop.send(
                        "{\"type\":\"order.reversed\",\"time\":\(time),\"order_id\":\"\(known)\",\"full\":true}",
                        key: "c"
                    )
                    continue
                }
                if choice == 2 {
                    // A reversal before its order.
                    model.reverse(next, time)
                    shop.send(
                        "{\"type\":\"order.reversed\",\"time\":\(time),\"order_id\":\"\(next)\",\"full\":true}",
                        key: "c"
                    )
                    next += 1
                    continue
                }
                let id = choice < 5 ? known ?? next : next
                if id == next { next += 1 }
                model.place(id, time)
                shop.send(
                    "{\"type\":\"order.placed\",\"time\":\(time),\"order_id\":\"\(id)\",\"amount\":1}",
                    key: "c"
                )
                let row = shop.row("c")
                let table = shop.core.table
                let days = model.days
                #expect(table.purchaseDays(row) == days.count, "case \(index)")
                #expect(days.min().map { $0 == table.firstPurchaseDay(row) } ?? true)
                #expect(days.max().map { $0 == table.lastPurchaseDay(row) } ?? true)
                if table.purchaseDays(row) != days.count { return }
            }
        }
    }

    @Test func aLateOrderOfADayCountedOutsideIsNotCountedAgain() {
        var configuration = TestConfiguration.smartCart()
        configuration.ledgerOrders = 3
        let shop = TestShop(configuration)
        func place(_ id: String, day: Int) {
            shop.send(
                "{\"type\":\"order.placed\",\"time\":\"2026-03-0\(day)\",\"order_id\":\"\(id)\",\"amount\":1}",
                key: "c"
            )
        }
        place("a", day: 5)
        place("b", day: 3)
        place("c", day: 7)
        // a has left; d is of its day. Then the days outside become 3 to 5, and 3 to 7.
        place("d", day: 5)
        place("e", day: 9)
        place("f", day: 9)
        #expect(shop.core.table.purchaseDays(shop.row("c")) == 4)
    }

    @Test func aReversalSeenFirstDoesNotSayOnWhichDayTheOrderWas() {
        var configuration = TestConfiguration.smartCart()
        configuration.ledgerOrders = 2
        let shop = TestShop(configuration)
        func place(_ id: String, day: Int) {
            shop.send(
                "{\"type\":\"order.placed\",\"time\":\"2026-03-0\(day)\",\"order_id\":\"\(id)\",\"amount\":1}",
                key: "c"
            )
        }
        place("a", day: 5)
        shop.send(
            #"{"type":"order.reversed","time":"2026-03-05","order_id":"r","amount":1}"#,
            key: "c"
        )
        place("b", day: 6)
        // a has left and its day is marked; the order of the reversal is of another day.
        place("r", day: 8)
        #expect(shop.core.table.purchaseDays(shop.row("c")) == 3)
    }
}

extension RowBlock {
    /// Ledger entries in order of arrival.
    var entries: [LedgerEntry] {
        var result: [LedgerEntry] = []
        var copy = self
        while copy.ledgerCount > 0 { result.append(copy.removeFirst()) }
        return result
    }
}
