/// Eight doubles added up side by side.
///
/// The count is fixed, so the order of every sum is the same on every machine, whatever the width
/// of its vector registers.
typealias Lanes = SIMD8<Double>

/// Number of lanes, for strides.
let laneCount = 8

extension UnsafePointer<Double> {
    /// Eight values from `index` on; the address need not be aligned.
    @inline(__always)
    func lanes(at index: Int) -> Lanes {
        unsafe UnsafeRawPointer(self + index).loadUnaligned(as: Lanes.self)
    }
}

extension UnsafeMutablePointer<Double> {
    /// Eight values from `index` on; the address need not be aligned.
    @inline(__always)
    func lanes(at index: Int) -> Lanes {
        unsafe UnsafeRawPointer(self + index).loadUnaligned(as: Lanes.self)
    }

    /// Stores eight values from `index` on; the address need not be aligned.
    @inline(__always)
    func store(_ lanes: Lanes, at index: Int) {
        unsafe UnsafeMutableRawPointer(self + index).storeBytes(of: lanes, as: Lanes.self)
    }
}
