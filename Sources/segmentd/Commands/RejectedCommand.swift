import ArgumentParser
import Engine
import EventLog
import Foundation
import Logging
import Segmentation
import Settings

/// Dead letters: records that could not be used.
struct RejectedCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "rejected",
        abstract: "Look after dead letters, the records that could not be used.",
        subcommands: [List.self, Show.self, Retry.self, Purge.self]
    )

    /// Removes one customer's dead letters.
    struct Purge: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove the dead letters of one customer, to complete an erasure.",
            discussion: """
                Removed is what is in the topic when the command begins, transactions of that
                moment included, and has KEY as its record key, or names KEY as customer_id,
                subject or ID in its body or as ce_subject in its headers. Letters in which
                KEY stands elsewhere are counted and left, or removed too with --mentions. The
                daemon may run meanwhile.

                Kafka deletes only the beginning of a partition: the letters of others that
                stand there are appended once more first, with key, value, headers and
                timestamp. Nothing of theirs is lost if the command is interrupted; run it
                again then. What depends on their order, or on offsets noted before, sees a
                change.

                When the command ends, no reader is given the removed letters any more. Their
                bytes leave the broker's disks by the broker's clock, with the segment that
                holds them and others: at the latest retention.ms after that segment is closed
                (segment.ms, segment.bytes). Events that come later, and the input topic, are
                not touched.

                Needed access: read, write, delete and describe-configs on the topic, and the
                transactional id GROUP-rejected.purge. A topic whose cleanup.policy has no
                delete is refused. Exit status 3: another run of this command took over.

                Examples:
                  segmentd rejected purge c-42 --config /etc/segmentd/segmentd.yaml
                  segmentd rejected purge c-42 --config F --dry-run
                  segmentd rejected purge --hex 632dff --config F
                  segmentd rejected purge --config F -- -42
                """
        )

        @Argument(help: "Customer id, the key of the records.")
        var key: String

        @OptionGroup var options: ConfigurationOptions

        @Flag(help: "KEY is written in hexadecimal, for bytes that are no text.")
        var hex = false

        @Flag(help: "Remove also letters in which KEY merely stands somewhere, as a word.")
        var mentions = false

        @Flag(help: "Only count.")
        var dryRun = false

        func validate() throws {
            guard !key.isEmpty else {
                throw ValidationError("KEY is empty; letters without a key are no customer's")
            }
            guard Self.bytes(of: key, isHexadecimal: hex) != nil else {
                throw ValidationError("with --hex, KEY must be pairs of hexadecimal digits")
            }
        }

        func run() throws {
            let loaded = try options.load(.kafka)
            guard let customer = Self.bytes(of: key, isHexadecimal: hex) else { return }
            let kafka = loaded.kafka.logConfiguration(
                connection: BrokerConnection(),
                logger: DaemonLogging.logger(for: loaded)
            )
            let purge = DeadLetterPurge(
                customer: customer,
                removesMentions: mentions,
                isDryRun: dryRun
            )
            do throws(LogError) {
                var topic = try KafkaDeadLetters(kafka)
                let policy = try topic.settingIfTold("cleanup.policy")
                if let policy, !policy.split(separator: ",").contains("delete") {
                    throw LogError(
                        remedy: .restartProcess,
                        operation: "remove records from \(kafka.rejectedTopic)",
                        code: "POLICY_VIOLATION",
                        reason: "its cleanup.policy is \(policy), with which the broker deletes "
                            + "nothing; set it to delete, as segmentd creates it"
                    )
                }
                let outcome = try purge.run(on: &topic)
                // Never the key itself, also not in a terminal's history of output.
                let hash = StableHash.hash(of: customer, range: customer.indices)
                tell(outcome, customer: String(hash, radix: 16), topic: kafka.rejectedTopic)
                guard !outcome.starts.isEmpty else { return }
                let close = try topic.settingIfTold("segment.ms").map { " = \($0)" } ?? ""
                let keep = try topic.settingIfTold("retention.ms").map { " = \($0)" } ?? ""
                Terminal.note(
                    "no reader is given them any more; their bytes leave the broker's disks with "
                        + "their segment, at the latest retention.ms\(keep) after it is closed "
                        + "(segment.ms\(close))"
                )
            } catch {
                let again = error.remedy == .retry ? "; nothing is lost, run it again" : ""
                throw CommandFailure(
                    error.description + again,
                    status: error.isFenced ? .fenced : .failure
                )
            }
        }

        private func tell(_ outcome: DeadLetterPurge.Outcome, customer: String, topic: String) {
            func count(_ number: Int) -> String { Terminal.grouped(number) }
            var parts = ["\(count(outcome.byKey)) by key", "\(count(outcome.byName)) by name"]
            if mentions { parts.append("\(count(outcome.byMention)) by mention") }
            Terminal.note(
                "customer \(customer): \(count(outcome.found)) of \(count(outcome.read)) dead "
                    + "letters in \(topic) are theirs (\(parts.joined(separator: ", ")))"
            )
            if outcome.mentioned > 0 {
                Terminal.note(
                    "\(count(outcome.mentioned)) further ones mention the customer elsewhere and "
                        + "stay; --mentions removes them too"
                )
            }
            if dryRun {
                Terminal.note("dry run: nothing is changed")
                return
            }
            for (partition, start) in outcome.starts.sorted(by: { $0.key < $1.key }) {
                Terminal.note("partition \(partition) now begins at offset \(start)")
            }
            if !outcome.starts.isEmpty {
                Terminal.note(
                    "\(count(outcome.copied)) letters of others stood before that and were "
                        + "appended once more"
                )
            }
        }

        private static func bytes(of key: String, isHexadecimal: Bool) -> [UInt8]? {
            guard isHexadecimal else { return Array(key.utf8) }
            let digits = Array(key.utf8)
            guard digits.count.isMultiple(of: 2), key.allSatisfy(\.isHexDigit) else { return nil }
            var bytes: [UInt8] = []
            for index in stride(from: 0, to: digits.count, by: 2) {
                let pair = String(decoding: digits[index..<index + 2], as: UTF8.self)
                guard let byte = UInt8(pair, radix: 16) else { return nil }
                bytes.append(byte)
            }
            return bytes
        }
    }
}

extension KafkaDeadLetters {
    /// A setting of the topic, nil where the broker does not tell it to us.
    fileprivate borrowing func settingIfTold(_ key: String) throws(LogError) -> String? {
        do throws(LogError) {
            return try setting(key)
        } catch {
            // A topic that is not there is worth telling; lacking access to settings is not.
            if error.code.hasSuffix("AUTHORIZATION_FAILED") { return nil }
            throw error
        }
    }
}
