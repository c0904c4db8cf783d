import Segmentation
import Settings

/// The shipped configuration of a live shop, as `segmentd replay --config config/segmentd.yaml`
/// reads it.
enum BenchmarkConfiguration {
    static var shop: SegmentationConfiguration {
        do {
            return try ServiceConfiguration.load(
                text: BuiltInConfiguration.text,
                file: BuiltInConfiguration.file,
                purpose: .standalone
            ).segmentation
        } catch {
            preconditionFailure("the shipped configuration does not load: \(error)")
        }
    }
}
