import OnlineLearning
import Testing

@testable import Segmentation

/// Shadow, operators, rollback (DESIGN, section 6.5), durable on the model topic.
@Suite struct ModelVersionsTests {
    // MARK: the guard

    @Test func aCandidateThatMovesTooManyWaits() throws {
        let shop = VersionShop(seed: 71)
        shop.populate()
        try shop.refit()
        shop.rescore()
        let before = shop.core.model
        #expect(before?.verdict == nil && shop.shadow == nil)
        shop.turnAround(1)
        let customers = (0..<60).map { shop.core.table.publishedSegment(shop.shop.row("c\($0)")) }
        try shop.refit()
        #expect(shop.core.model == before && !shop.core.isRescoring)
        let waiting = shop.core.shadow
        let verdict = try #require(waiting?.verdict)
        #expect(verdict.customers == 60 && verdict.segment_share > 0.2)
        let reason = try #require(verdict.held_because)
        #expect(reason.contains("model.guard.segment_share allows 20.0 %"))
        // Nobody has moved, and no refit follows at once.
        #expect(
            (0..<60).map { shop.core.table.publishedSegment(shop.shop.row("c\($0)")) }
                == customers
        )
        #expect(!shop.shop.isRefitDue)
        // What was predicted happens.
        try shop.perform(.accept(version: 2))
        shop.rescore()
        let moved = (0..<60).filter {
            shop.core.table.publishedSegment(shop.shop.row("c\($0)")) != customers[$0]
        }
        #expect(Double(moved.count) / 60 == verdict.segment_share)
    }

    @Test func theGuardIsArmedByARefitWithinTheLimits() throws {
        let shop = VersionShop(seed: 79, limit: 0.05)
        shop.core.versions.isGuardArmed = false
        shop.populate()
        try shop.refit()
        shop.rescore()
        shop.turnAround(1)
        try shop.refit()
        shop.rescore()
        // The shop is still being learnt: many move, and nothing waits.
        #expect(shop.version == 2 && shop.shadow == nil)
        #expect((shop.core.model?.verdict?.segment_share ?? 0) > 0.05)
        #expect(try !shop.restarted().core.versions.isGuardArmed)
        // Nothing has happened since: the next refit is within the limits.
        try shop.refit()
        shop.rescore()
        #expect(shop.version == 3)
        #expect(try shop.restarted().core.versions.isGuardArmed)
        shop.turnAround(4)
        try shop.refit()
        #expect(shop.version == 3 && shop.shadow == 4)
    }

    @Test func limitsOfOneHoldNothingBack() throws {
        let shop = VersionShop(seed: 71, limit: 1)
        shop.populate()
        try shop.refit()
        shop.rescore()
        shop.turnAround(1)
        try shop.refit()
        #expect(shop.version == 2 && shop.shadow == nil)
        #expect((shop.core.model?.verdict?.segment_share ?? 0) > 0.2)
        #expect(shop.core.model?.verdict?.held_because == nil)
    }

    @Test func theFinalRefitIsNotHeldBack() throws {
        let shop = VersionShop(seed: 72)
        try shop.holdBack()
        try shop.refit(isFinal: true)
        #expect(shop.version == 3 && shop.shadow == nil && shop.topic["shadow"] == nil)
    }

    @Test func aProvisionalVersionIsReplacedWithoutQuestion() throws {
        let shop = VersionShop(seed: 73) { configuration in
            configuration.model.minimumCustomers = 100
            configuration.model.coldStart = .provisional
        }
        shop.populate()
        try shop.refit()
        shop.rescore()
        #expect(shop.core.model?.provisional == true)
        shop.turnAround(1)
        try shop.refit()
        #expect(shop.version == 2 && shop.shadow == nil)
        #expect((shop.core.model?.verdict?.segment_share ?? 0) > 0.2)
    }

    @Test func otherFeaturesAreNotCompared() throws {
        let shop = VersionShop(seed: 74)
        try shop.holdBack()
        let (present, shadow) = (shop.core.model, shop.core.shadow)
        var other = try #require(present)
        other.featureNames[0] = "strange"
        let verdict = ModelGuard.judge(
            try #require(shadow),
            against: other,
            table: shop.core.table,
            landmarks: shop.core.landmarks,
            time: shop.core.greatestEventTime,
            configuration: shop.configuration,
            schema: shop.core.schema,
            isArmed: true
        )
        #expect(verdict == nil)
    }

    /// The same model twice moves nobody, whatever has happened to the rows since.
    @Test func whatAgeMovesIsNotCounted() throws {
        let shop = VersionShop(seed: 75)
        shop.populate()
        try shop.refit()
        shop.rescore()
        let fitted = shop.core.model
        let model = try #require(fitted)
        let verdict = ModelGuard.judge(
            model,
            against: model,
            table: shop.core.table,
            landmarks: shop.core.landmarks,
            time: shop.core.greatestEventTime + 900 * TestConfiguration.day,
            configuration: shop.configuration,
            schema: shop.core.schema,
            isArmed: true
        )
        #expect(verdict?.segment_share == 0 && verdict?.nearest_share == 0)
    }

    @Test func bandsAreGuardedToo() throws {
        let shop = VersionShop(seed: 76)
        shop.populate()
        try shop.refit()
        shop.rescore()
        let fitted = shop.core.model
        var calm = try #require(fitted)
        calm.churn = PurchaseParameters(
            model: .mbgNBD,
            r: 0.9,
            alpha: 4,
            a: 0.8,
            b: 2.5,
            logLikelihood: -100,
            converged: true,
            customers: 200,
            fellBackToNBD: false
        )
        calm.churnPending = nil
        var alarmed = calm
        // Nearly everyone is gone after their first purchase.
        alarmed.churn?.alpha = 0.05
        alarmed.churn?.a = 60
        func judge(_ candidate: SegmentModel, _ present: SegmentModel) -> GuardVerdict? {
            ModelGuard.judge(
                candidate,
                against: present,
                table: shop.core.table,
                landmarks: shop.core.landmarks,
                time: shop.core.greatestEventTime,
                configuration: shop.configuration,
                schema: shop.core.schema,
                isArmed: true
            )
        }
        let verdict = judge(alarmed, calm)
        #expect((verdict?.banded_customers ?? 0) > 30 && (verdict?.band_share ?? 0) > 0.2)
        #expect(verdict?.held_because?.contains("model.guard.band_share") == true)
        // First bands change nobody's; bands that go away do.
        let first = judge(calm, model(without: calm))
        #expect(first?.banded_customers == 0 && first?.held_because == nil)
        #expect(judge(model(without: calm), calm)?.band_share == 1)
    }

    private func model(without churn: SegmentModel) -> SegmentModel {
        var model = churn
        model.churn = nil
        return model
    }

    @Test func aLaterCandidateTakesThePlaceOfTheShadow() throws {
        let shop = VersionShop(seed: 77, limit: 0)
        try shop.holdBack()
        shop.events(20)
        try shop.refit()
        #expect(shop.version == 1 && shop.shadow == 3)
        #expect(shop.core.refusal(of: .accept(version: 2)) == .otherShadow(named: 2, waiting: 3))
        // Back to what they were: the next candidate passes, and nothing waits any more.
        try shop.perform(.rollback(version: 3))
        shop.rescore()
        try shop.refit()
        #expect(shop.version == 4 && shop.shadow == nil && shop.topic["shadow"] == nil)
    }

    // MARK: operators

    @Test func acceptRejectAndRollback() throws {
        let shop = VersionShop(seed: 78, limit: 0)
        try shop.holdBack()
        let step = shop.core.model?.step ?? 0
        let accepted = try shop.perform(.accept(version: nil))
        #expect(
            accepted.description
                == "version 2 is in force; 60 customers will be looked at again"
        )
        #expect(shop.version == 2 && shop.shadow == nil && shop.core.isRescoring)
        #expect((shop.core.model?.step ?? 0) > step)
        shop.rescore()
        shop.expectMembersCounted()
        shop.turnAround(2)
        try shop.refit()
        #expect(shop.shadow == 3)
        let rejected = try shop.perform(.reject(version: 3))
        #expect(rejected.description == "version 3 is rejected; version 2 stays in force")
        #expect(shop.version == 2 && shop.shadow == nil && !shop.core.isRescoring)
        let first = shop.core.versions.kept[1]
        let back = try shop.perform(.rollback(version: 1))
        #expect(back.version == 1 && back.customers == 60 && back.dropped == nil)
        let active = shop.core.model
        let model = try #require(active)
        #expect(model.centroids == first?.centroids && model.mean == first?.mean)
        #expect(model.step > step + 1)
        shop.rescore()
        shop.expectMembersCounted()
        // The number after it is above all that were given, and the interval starts anew.
        #expect(!shop.shop.isRefitDue)
        try shop.refit()
        #expect(shop.core.versions.highest == 4)
    }

    @Test func commandsThatCannotBeDoneSayWhy() throws {
        let shop = VersionShop(seed: 79, limit: 0.05)
        #expect(shop.core.refusal(of: .accept(version: nil)) == .noShadow)
        #expect(shop.core.refusal(of: .reject(version: 1)) == .noShadow)
        #expect(shop.core.refusal(of: .rollback(version: 1)) == .unknownVersion(1, kept: []))
        try shop.holdBack()
        #expect(shop.core.refusal(of: .rollback(version: 1)) == .inForce(1))
        #expect(shop.core.refusal(of: .rollback(version: 9)) == .unknownVersion(9, kept: [1, 2]))
        let before = shop.core.versions
        shop.core.begin()
        #expect(throws: CommandRefusal.otherShadow(named: 1, waiting: 2)) {
            _ = try shop.core.perform(.accept(version: 1), into: &shop.shop.output)
        }
        shop.core.commit()
        #expect(shop.core.versions == before && shop.shop.output.records.isEmpty)
    }

    @Test(arguments: [
        OperatorCommand.accept(version: nil), .reject(version: nil), .rollback(version: 1),
    ])
    func abortPutsEverythingBack(_ command: OperatorCommand) throws {
        let shop = VersionShop(seed: 80, limit: 0)
        try shop.holdBack()
        if case .rollback = command {
            try shop.perform(.accept(version: nil))
            shop.rescore()
            shop.turnAround(2)
            try shop.refit()
        }
        shop.core.begin()
        shop.core.commit()
        let (versions, model) = (shop.core.versions, shop.core.model)
        let clusters = shop.core.statistics.clusters
        let cursor = shop.core.rescoreCursor
        shop.core.begin()
        shop.events([])
        _ = try shop.core.perform(command, into: &shop.shop.output)
        shop.rescoreSlice(limit: 20)
        let hasChanged = shop.core.versions != versions
        #expect(hasChanged)
        shop.core.abort()
        shop.shop.output.removeAll()
        #expect(shop.core.versions == versions && shop.core.model == model)
        #expect(shop.core.statistics.clusters == clusters && shop.core.rescoreCursor == cursor)
        shop.expectMembersCounted()
        // Done again, it does the same.
        let outcome = try shop.perform(command)
        #expect(outcome.command == command)
        shop.rescore()
        shop.expectMembersCounted()
    }

    /// A version comes back while some rows still carry it from before.
    @Test func aRollbackInTheMiddleOfASliceCountsItsMembers() throws {
        let shop = VersionShop(seed: 81, limit: 0)
        try shop.holdBack()
        try shop.perform(.accept(version: nil))
        shop.transaction { shop.rescoreSlice(limit: 20) }
        let outcome = try shop.perform(.rollback(version: 1))
        #expect(outcome.customers == 20)
        shop.expectMembersCounted()
        shop.events(100)
        shop.rescore()
        shop.expectMembersCounted()
    }

    // MARK: restarts

    @Test func everyStateOutlivesARestart() throws {
        let shop = VersionShop(seed: 82, limit: 0)
        func expectRestored(_ state: String) throws {
            let other = try shop.restarted()
            #expect(other.core.versions == shop.core.versions, "\(state)")
            #expect(other.core.model == shop.core.model, "\(state)")
            #expect(other.core.shadow == shop.core.shadow, "\(state)")
            #expect(other.core.lastRefitAt == shop.core.lastRefitAt, "\(state)")
            #expect(other.core.lastRefitCustomers == shop.core.lastRefitCustomers, "\(state)")
        }
        try shop.holdBack()
        try expectRestored("held back")
        try shop.perform(.accept(version: 2))
        try expectRestored("accepted")
        shop.rescore()
        shop.events(1_100)
        try expectRestored("stepped")
        shop.turnAround(2)
        try shop.refit()
        try expectRestored("held back again")
        try shop.perform(.reject(version: nil))
        try expectRestored("rejected")
        try shop.perform(.rollback(version: 1))
        try expectRestored("rolled back")
        shop.rescore()
        shop.events(1_100)
        try expectRestored("stepped after a rollback")
        // A worker that follows sees the same.
        let follower = try shop.restarted()
        try shop.perform(.rollback(version: 2))
        try follower.core.restoreModel(shop.topic)
        #expect(follower.core.model == shop.core.model)
    }

    @Test func aGivenModelStaysAmongTheVersions() throws {
        let given = try TestModel.fitted(churn: false)
        let shop = VersionShop(seed: 83, limit: 0)
        shop.core.adopt(given)
        shop.populate()
        shop.turnAround(1)
        try shop.refit()
        #expect(shop.version == 1 && shop.shadow == 2)
        let other = try shop.restarted(model: given, onlyNewer: true)
        #expect(other.core.shadow?.version == 2 && other.model?.version == 1)
        try shop.perform(.accept(version: nil))
        shop.rescore()
        #expect(try shop.perform(.rollback(version: 1)).version == 1)
        // A given model that is newer than all on the topic stays in force; numbers go on from it.
        var newer = given
        newer.version = 40
        newer.nextSegmentID = 90
        let last = try shop.restarted(model: newer, onlyNewer: true)
        #expect(last.model?.version == 40 && last.core.shadow == nil)
        #expect(last.core.versions.highest == 40 && last.core.versions.nextSegmentID == 90)
    }

    @Test func damagedRecordsAreToldApart() throws {
        let shop = VersionShop(seed: 84, limit: 0)
        try shop.holdBack()
        for (key, value) in [("active", "{}"), ("shadow", "?"), ("version/1", "{}")] {
            var records = shop.topic
            records[key] = Array(value.utf8)
            let other = TestShop(shop.configuration)
            #expect(throws: RestoreFailure.self, "\(key)") {
                try other.core.restoreModel(records)
            }
        }
        // A version that is not in force is missed only when somebody wants it.
        var records = shop.topic
        records["version/2"] = Array("{}".utf8)
        let other = TestShop(shop.configuration)
        try other.core.restoreModel(records)
        #expect(other.core.shadow == nil && other.core.versions.highest == 2)
        guard case .unusable(2, _) = other.core.refusal(of: .rollback(version: 2)) else {
            Issue.record("version 2 cannot be used")
            return
        }
    }

    /// Records of earlier programs have neither high-water marks nor verdicts.
    @Test func recordsOfEarlierProgramsAreRead() throws {
        let shop = VersionShop(seed: 85)
        shop.populate()
        try shop.refit()
        var records = shop.topic
        records["active"] = Array(#"{"version":1}"#.utf8)
        let other = TestShop(shop.configuration)
        try other.core.restoreModel(records)
        #expect(other.model == shop.core.model)
        #expect(other.core.versions.highest == 1 && other.core.versions.nextSegmentID == 5)
    }

    // MARK: numbers

    @Test func twentyVersionsAreKept() throws {
        let shop = VersionShop(seed: 86, limit: 0) { $0.model.challengers = 1 }
        shop.populate()
        try shop.refit()
        shop.rescore()
        for round in 2...26 {
            shop.turnAround(round)
            try shop.refit()
            // Now and then a candidate is taken over; then the version in force is an old one.
            if round == 4, shop.shadow != nil { try shop.perform(.accept(version: nil)) }
            if round == 6 { try shop.perform(.rollback(version: 1)) }
            shop.rescore()
        }
        let documents = shop.topic.keys.filter { $0.hasPrefix("version/") }
        let expected = Set((7...26).map { "version/\($0)" }).union(["version/\(shop.version)"])
        #expect(Set(documents) == expected)
        #expect(try shop.restarted().core.versions == shop.core.versions)
    }

    @Test func idsAreNeverGivenTwiceOverRollbacksAndShadows() throws {
        let shop = VersionShop(seed: 87, limit: 0) { configuration in
            configuration.model.challengers = 2
            configuration.model.segments = 8
        }
        var random = SeededGenerator(seed: 87)
        // Who had an id: it may come back with the version that gave it, and with nothing else.
        var givenBy: [Int: Int] = [:]
        shop.populate()
        for round in 1...24 {
            shop.turnAround(round)
            let before = shop.core.versions
            let present = Set(shop.core.model?.segments.map(\.id) ?? [])
            try shop.refit()
            let number = shop.core.versions.highest
            #expect(number == before.highest + 1)
            let fitted = shop.core.versions.kept[number]
            let candidate = try #require(fitted)
            for id in candidate.segments.map(\.id) where !present.contains(id) {
                #expect(givenBy[id] == nil, "id \(id) of version \(number)")
                #expect(id >= before.nextSegmentID)
                givenBy[id] = number
            }
            switch random.next(below: 4) {
            case 0 where shop.shadow != nil: try shop.perform(.accept(version: nil))
            case 1 where shop.shadow != nil: try shop.perform(.reject(version: nil))
            case 2:
                let kept = shop.core.versions.kept.keys.sorted()
                let version = kept[random.next(below: kept.count)]
                if version != shop.version { try shop.perform(.rollback(version: version)) }
            default: break
            }
            shop.rescore()
            shop.expectMembersCounted()
        }
        #expect(givenBy.count > 12)
    }
}

extension VersionShop {
    /// Sends events within the open transaction.
    func events(_ events: [TestEvent]) { for event in events { shop.send(event) } }
}
