/// What the simulator knows about a customer and a segmentation has to find out.
public struct CustomerTruth: Sendable, Equatable {
    /// The id in the events, such as `c-000042`.
    public var customerID: String
    /// Name of the kind (``CustomerKind/name``).
    public var kind: String
    /// When the customer left for good, epoch milliseconds; nil for those still active.
    public var droppedOutAt: Int64?
}

extension ShopSimulator {
    /// The truth as of the last line, for every customer that has been seen in a good line.
    ///
    /// Somebody who will leave after that moment counts as active. Erased customers are listed and
    /// have left at the latest with their erasure.
    ///
    /// - Complexity: O(customers) time and memory on each call.
    public var truth: [CustomerTruth] {
        customers.indices.lazy.filter { customers[$0].hasAppeared }.map { index in
            var id: [UInt8] = []
            id.write(customer: index)
            let left = customers[index].droppedOutAt
            return CustomerTruth(
                customerID: String(decoding: id, as: UTF8.self),
                kind: customers[index].kind.name,
                droppedOutAt: left <= clock ? left : nil
            )
        }
    }

    /// Appends the truth as CSV: `customer_id,kind,dropped_out_at`, the last one empty if active.
    ///
    /// - Parameter csv: INOUT; header and one line per customer are appended, in order of id.
    public func writeTruth(into csv: inout [UInt8]) {
        csv.write("customer_id,kind,dropped_out_at\n")
        for index in customers.indices where customers[index].hasAppeared {
            csv.write(customer: index)
            csv.append(0x2C)
            csv.write(customers[index].kind.name)
            csv.append(0x2C)
            if customers[index].droppedOutAt <= clock {
                csv.write(timestamp: customers[index].droppedOutAt)
            }
            csv.append(0x0A)
        }
    }
}

extension Array where Element == UInt8 {
    /// Appends a customer id, `c-000042`.
    mutating func write(customer index: Int) {
        append(0x63)
        append(0x2D)
        write(index + 1, width: 6)
    }
}
