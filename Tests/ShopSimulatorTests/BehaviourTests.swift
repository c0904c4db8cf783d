import ShopSimulator
import Testing

/// What customers do and never do.
@Suite struct BehaviourTests {
    @Test func nobodyOrdersAfterLeaving() {
        let stream = ParsedStream.shared
        var left: [String: Int64] = [:]
        for customer in stream.truth {
            if let time = customer.droppedOutAt { left[customer.customerID] = time }
        }
        #expect(left.count > stream.truth.count / 10)
        #expect(left.count < stream.truth.count / 2)
        let ghosts = stream.good.filter {
            guard $0.type == "order.placed", let time = left[$0.customerID] else { return false }
            return $0.event.eventTime >= time
        }
        #expect(ghosts.map(\.orderID).isEmpty)
    }

    @Test func thoseWhoStayedKeepOrdering() {
        let stream = ParsedStream.shared
        let end = stream.lines.map(\.event.arrivalTime).max() ?? 0
        let recent = Set(
            stream.good.filter {
                $0.type == "order.placed" && $0.event.eventTime > end - 90 * 86_400_000
            }.map(\.customerID)
        )
        let active = stream.truth.filter { $0.droppedOutAt == nil }
        let ordering = active.count { recent.contains($0.customerID) }
        #expect(ordering > active.count * 85 / 100)
    }

    @Test func reversalsReferToEarlierOrdersAndTakeNoMoreThanThereIs() throws {
        var amounts: [String: Double] = [:]
        var placedBy: [String: String] = [:]
        var reversalCount = 0
        var fullCount = 0
        for line in ParsedStream.shared.good {
            switch line.type {
            case "order.placed":
                amounts[line.orderID] = line.number("amount")
                placedBy[line.orderID] = line.customerID
            case "order.reversed":
                reversalCount += 1
                let placed = try #require(amounts[line.orderID], "the order arrived before")
                #expect(placedBy[line.orderID] == line.customerID)
                if line.bool("full") == true {
                    fullCount += 1
                } else {
                    let amount = try #require(line.number("amount"))
                    #expect(amount > 0 && amount <= placed + 0.005)
                }
            default: break
            }
        }
        #expect(reversalCount > 200)
        #expect((0.3...0.5).contains(Double(fullCount) / Double(reversalCount)))
    }

    @Test func replacedOrdersKeepTheirIDAndBecomeNewer() {
        var first: [String: ParsedStream.Line] = [:]
        var replacedCount = 0
        for line in ParsedStream.shared.good where line.type == "order.placed" {
            guard let earlier = first[line.orderID] else {
                first[line.orderID] = line
                continue
            }
            guard earlier.bytes != line.bytes else { continue }
            replacedCount += 1
            #expect(earlier.customerID == line.customerID)
            #expect(earlier.event.eventTime != line.event.eventTime)
            #expect(abs(earlier.event.eventTime - line.event.eventTime) < 3_600_000)
        }
        #expect((0.01...0.03).contains(Double(replacedCount) / Double(first.count)))
    }

    /// Many customers, so that some are erased while a return of theirs is on its way.
    @Test func erasedCustomersAreSilentAfterwards() {
        var shop = ShopSimulator(configuration: .init(customers: 10_000, events: 250_000, seed: 12))
        let marker = Array("\"type\":\"privacy.erased\"".utf8)
        var erased: [[UInt8]: Int64] = [:]
        var voiceCount = 0
        var line: [UInt8] = []
        while let event = shop.next(into: &line) {
            let key = Array(line[event.keyRange])
            if let time = erased[key], event.eventTime > time { voiceCount += 1 }
            if line.count < 150, line.contains(marker) { erased[key] = event.eventTime }
        }
        #expect(erased.count > 10)
        #expect(voiceCount == 0)
    }

    @Test func truthListsEverybodySeenAndMatchesItsFile() {
        let stream = ParsedStream.shared
        let ids = stream.truth.map(\.customerID)
        #expect(ids == ids.sorted())
        #expect(Set(ids) == Set(stream.good.map(\.customerID)))
        #expect(Set(stream.truth.map(\.kind)) == Set(CustomerKind.allCases.map(\.name)))
        let rows = stream.csv.split(separator: "\n")
        #expect(rows.first == "customer_id,kind,dropped_out_at")
        #expect(rows.count == stream.truth.count + 1)
        for (row, customer) in zip(rows.dropFirst(), stream.truth) {
            let cells = row.split(separator: ",", omittingEmptySubsequences: false)
            #expect(cells.count == 3)
            #expect(cells[0] == customer.customerID && cells[1] == customer.kind)
            // The file has whole seconds, and so have the moments.
            #expect(ParsedStream.moment(String(cells[2])) == customer.droppedOutAt)
        }
    }

    @Test func kindsDifferInWhatTheyDo() {
        let stream = ParsedStream.shared
        let kinds = Dictionary(uniqueKeysWithValues: stream.truth.map { ($0.customerID, $0.kind) })
        var visits: [String: Int] = [:]
        var webOrders: [String: Int] = [:]
        var orders: [String: Int] = [:]
        var amounts: [String: Double] = [:]
        for line in stream.good {
            guard let kind = kinds[line.customerID] else { continue }
            if line.type == "engagement.visit" { visits[kind, default: 0] += 1 }
            guard line.type == "order.placed" else { continue }
            orders[kind, default: 0] += 1
            amounts[kind, default: 0] += line.number("amount") ?? 0
            if line.text("channel") == "web" { webOrders[kind, default: 0] += 1 }
        }
        func perOrder(_ sums: [String: Double], _ kind: String) -> Double {
            (sums[kind] ?? 0) / Double(max(1, orders[kind] ?? 0))
        }
        let web = webOrders.mapValues(Double.init)
        #expect(perOrder(amounts, "connoisseur") > 2 * perOrder(amounts, "family"))
        #expect(perOrder(amounts, "newcomer") < 0.7 * perOrder(amounts, "family"))
        #expect(perOrder(web, "newcomer") > 0.7 && perOrder(web, "connoisseur") < 0.3)
        let looks = visits.mapValues(Double.init)
        #expect(perOrder(looks, "newcomer") > 3 * perOrder(looks, "family"))
    }

    @Test func decemberIsTheBusiestMonthForGifts() {
        let stream = ParsedStream(.init(customers: 1_500, seed: 4))
        let givers = Set(stream.truth.filter { $0.kind == "gift-buyer" }.map(\.customerID))
        var byMonth: [String: Int] = [:]
        for line in stream.good where line.type == "order.placed" {
            guard givers.contains(line.customerID) else { continue }
            guard let time = line.text("time") else { continue }
            byMonth[String(time.prefix(7)), default: 0] += 1
        }
        let ranked = byMonth.sorted { $0.value > $1.value }
        #expect(ranked.first?.key == "2025-12")
    }
}
