import Foundation
import ShopSimulator
import Testing

/// What holds for single lines.
@Suite struct LineTests {
    @Test func goodLinesCarryTheFieldsOfTheirType() throws {
        let required: [String: Set<String>] = [
            "order.placed": [
                "order_id", "amount", "currency", "categories", "channel", "discount",
            ],
            "order.reversed": ["order_id"],
            "customer.profile": [],
            "engagement.visit": [],
            "engagement.campaign": ["campaign_id", "accepted"],
            "engagement.complaint": [],
            "privacy.erased": [],
        ]
        var seen: Set<String> = []
        for line in ParsedStream.shared.good {
            let fields = try #require(line.fields, "every good line is a JSON object")
            let names = Set(fields.keys)
            let needed = try #require(required[line.type])
            seen.insert(line.type)
            #expect(names.isSuperset(of: needed.union(["id", "source", "time", "customer_id"])))
            #expect(line.time == line.event.eventTime)
            #expect(line.key == line.customerID)
            #expect(line.customerID.wholeMatch(of: /c-\d{6}/) != nil)
        }
        #expect(seen == Set(required.keys))
    }

    @Test func ordersAddUp() throws {
        let categories: Set = ["wines", "fruits", "meat", "fish", "sweets", "gold"]
        for line in ParsedStream.shared.good where line.type == "order.placed" {
            let amount = try #require(line.number("amount"))
            let parts = try #require(line.fields?["categories"]?.object)
            #expect(amount >= 1)
            #expect(Set(parts.keys).isSubset(of: categories))
            #expect(parts.values.allSatisfy { ($0.number ?? 0) > 0 })
            #expect(parts.values.compactMap(\.number).reduce(0, +) <= amount + 0.005)
            let channel = try #require(line.text("channel"))
            #expect(["web", "catalog", "store"].contains(channel))
        }
    }

    @Test func orderLinesAreAboutTwoHundredBytes() {
        let orders = ParsedStream.shared.good.filter { $0.type == "order.placed" }
        let mean = Double(orders.map(\.bytes.count).reduce(0, +)) / Double(orders.count)
        #expect((190...240).contains(mean))
    }

    @Test func profilesArePlausible() throws {
        let profiles = ParsedStream.shared.good.filter { $0.fields?["enrolled_at"] != nil }
        let customers = Set(profiles.map(\.customerID))
        #expect(customers.count > 780, "nearly everybody registers within the stream")
        let incomes = profiles.count { $0.fields?["income"] != nil }
        #expect(incomes < profiles.count && incomes > profiles.count * 9 / 10)
        for profile in profiles {
            let year = try #require(profile.number("birth_year"))
            #expect(year == 1900 || (1938...2008).contains(year))
            let kids = try #require(profile.number("kids_home"))
            #expect((0...3).contains(kids))
            let date = try #require(profile.text("enrolled_at"))
            #expect(date.wholeMatch(of: /\d{4}-\d\d-\d\d/) != nil)
        }
    }

    @Test func brokenLinesHaveTheDefectTheyAreSaidToHave() throws {
        let stream = ParsedStream(.init(customers: 500, events: 60_000, seed: 77))
        var seen: Set<Breakage> = []
        for line in stream.lines {
            guard let breakage = line.event.breakage else { continue }
            seen.insert(breakage)
            #expect(line.event.keyRange.isEmpty == (breakage == .missingCustomer))
            if breakage == .malformedJSON {
                #expect(line.fields == nil)
                continue
            }
            let fields = try #require(line.fields)
            switch breakage {
            case .malformedJSON: break
            case .missingField: #expect(fields["amount"] == nil)
            case .wrongType: #expect(fields["amount"]?.text != nil)
            case .outOfRange: #expect(try #require(fields["amount"]?.number) < 0)
            case .unknownType: #expect(line.type == "order.shipped")
            case .missingCustomer: #expect(fields["customer_id"] == nil)
            }
        }
        #expect(seen == Set(Breakage.allCases))
    }

    @Test func idsRepeatOnlyInRedeliveries() {
        var byID: [String: [UInt8]] = [:]
        for line in ParsedStream.shared.good {
            let id = line.text("id") ?? ""
            if let first = byID.updateValue(line.bytes, forKey: id) { #expect(first == line.bytes) }
        }
    }
}
