import AdminServer
import Foundation
import Glibc

extension ProcessFacts {
    /// Asks the system about this process.
    @Sendable static func ofThisProcess() -> ProcessFacts {
        ProcessFacts(version: Segmentd.version, residentBytes: residentBytes)
    }

    /// The second number of statm(5), in pages.
    private static var residentBytes: Int? {
        do {
            let text = try String(contentsOfFile: "/proc/self/statm", encoding: .utf8)
            let parts = text.split(separator: " ")
            guard parts.count > 1, let pages = Int(parts[1]) else { return nil }
            return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
        } catch {
            // A sandbox without /proc: the metric is left out.
            return nil
        }
    }
}
