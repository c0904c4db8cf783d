import EventLog
package import Segmentation

/// Why a checkpoint is not used.
package struct CheckpointRefusal: Error {
    var reason: String
    /// What a broker said: the file itself may be good.
    var fault: LogError?
}

/// Reads a checkpoint from its file, frame by frame.
package struct CheckpointReader {
    /// How far the clock may have gone back since a checkpoint was written.
    static let clockToleranceMilliseconds: Int64 = 60_000

    private let files: any CheckpointFiles
    private let partition: Int32
    private var decoder: CheckpointDecoder
    private var position: Int
    private var head: [UInt8] = []
    /// The block that `next` has checked.
    package private(set) var payload: [UInt8] = []

    /// What the file belongs to.
    package var header: CheckpointHeader { decoder.header }

    /// Reads the header.
    ///
    /// - Parameters:
    ///   - files: where it is.
    ///   - partition: whose checkpoint.
    /// - Throws: `CheckpointRefusal` when there is none, or none that can be read.
    package init(_ files: any CheckpointFiles, partition: Int32) throws(CheckpointRefusal) {
        self.files = files
        self.partition = partition
        let count = CheckpointHeader.prefixBytes
        guard try Self.read(files, partition, 0, count, &head) else {
            throw CheckpointRefusal(reason: "there is no checkpoint of it")
        }
        do throws(CheckpointFailure) {
            position = try CheckpointHeader.length(fromPrefix: head)
        } catch {
            throw CheckpointRefusal(reason: "its checkpoint is \(error)")
        }
        _ = try Self.read(files, partition, 0, position, &head)
        do throws(CheckpointFailure) {
            decoder = try CheckpointDecoder(header: head)
        } catch {
            throw CheckpointRefusal(reason: "its checkpoint is \(error)")
        }
        guard header.partition == partition else {
            throw CheckpointRefusal(reason: "its checkpoint is of partition \(header.partition)")
        }
    }

    /// Reads and checks the next block.
    ///
    /// - Throws: `CheckpointRefusal` when anything is not as it was written.
    /// - Returns: entries of the block, nil once the footer and the end have been seen.
    package mutating func next() throws(CheckpointRefusal) -> Int? {
        _ = try Self.read(files, partition, position, CheckpointFrame.headBytes, &head)
        do throws(CheckpointFailure) {
            let frame = try decoder.frame(head: head)
            position += CheckpointFrame.headBytes
            // One byte more: nothing follows the footer.
            let extra = frame.isFooter ? 1 : 0
            try read(frame.payloadBytes + extra)
            position += frame.payloadBytes
            try decoder.check(frame, payload: payload)
            return frame.isFooter ? nil : frame.entries
        } catch {
            throw CheckpointRefusal(reason: "its checkpoint is \(error)")
        }
    }

    private mutating func read(_ count: Int) throws(CheckpointFailure) {
        do throws(CheckpointRefusal) {
            _ = try Self.read(files, partition, position, count, &payload)
        } catch {
            throw .row(error.reason)
        }
    }

    private static func read(
        _ files: any CheckpointFiles,
        _ partition: Int32,
        _ start: Int,
        _ count: Int,
        _ bytes: inout [UInt8]
    ) throws(CheckpointRefusal) -> Bool {
        do throws(CheckpointFault) {
            return try files.read(partition, from: start, count: count, into: &bytes)
        } catch {
            throw CheckpointRefusal(reason: error.description)
        }
    }
}
