import Foundation
import Testing

extension DaemonTests {
    /// `segmentd model show | sweep | diff` on bundles in files.
    @Suite struct ModelTextTests {
        private func run(_ arguments: [String]) async throws -> Outcome {
            try await Program(["model"] + arguments, in: Place.fixtures).outcome()
        }

        /// The text that stands in a file, as a person has read and approved it.
        private func approved(_ name: String) throws -> String {
            let file = Place.fixtures.appending(path: name)
            return String(decoding: try Data(contentsOf: file), as: UTF8.self)
        }

        @Test(arguments: [
            (["show", "model.old.json"], "model.show.expected"),
            (["sweep", "model.old.json"], "model.sweep.expected"),
            (["diff", "model.old.json", "model.new.json"], "model.diff.expected"),
        ]) func textsAreAsApproved(arguments: [String], name: String) async throws {
            let outcome = try await run(arguments)
            #expect(outcome.status == 0)
            #expect(outcome.errors == "")
            #expect(outcome.text == (try approved(name)))
        }

        @Test func nothingIsWiderThanATerminalOrColoured() async throws {
            for arguments in [
                ["show", "model.old.json"], ["sweep", "model.old.json"],
                ["diff", "model.old.json", "model.new.json"],
            ] {
                let outcome = try await run(arguments)
                for line in outcome.lines {
                    #expect(line.count <= 80, "\(line)")
                    #expect(!line.hasSuffix(" ") && !line.contains("\u{1b}"), "\(line)")
                }
            }
        }

        @Test func aModelDoesNotDifferFromItself() async throws {
            let outcome = try await run(["diff", "model.old.json", "model.old.json"])
            #expect(outcome.status == 0)
            #expect(outcome.text.contains("\nangle between the bases: 0.00 degrees\n"))
            #expect(outcome.text.contains("\nno feature moves by 0.005 deviations or more\n"))
            #expect(outcome.text.contains(" (no change)\n"))
            #expect(!outcome.text.contains("is now called"))
            #expect(!outcome.text.contains("moves in"))
        }

        @Test func whatIsNoModelIsRefusedByName() async throws {
            for arguments in [
                ["show", "nowhere.json"], ["sweep", "minimal.good.yaml"],
                ["diff", "model.old.json", "nowhere.json"],
            ] {
                let outcome = try await run(arguments)
                #expect(outcome.status == 2)
                #expect(outcome.text == "")
                #expect(outcome.errors.contains(arguments.last ?? ""), "\(outcome.errors)")
            }
        }

        @Test(arguments: [["sweep"], ["diff", "active", "model.old.json"]])
        func withoutAFileTheDaemonIsAsked(arguments: [String]) async throws {
            let outcome = try await run(arguments + ["--admin", "127.0.0.1:1"])
            #expect(outcome.status == 5)
            #expect(outcome.errors.hasPrefix("segmentd: no daemon answers at 127.0.0.1:1; "))
        }
    }
}
