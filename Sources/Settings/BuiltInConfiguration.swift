/// The shipped `config/segmentd.yaml`, compiled into the program.
///
/// `demo` runs on it without any file to install or to find; the file in the source tree is the
/// only copy.
package enum BuiltInConfiguration {
    /// Name in messages.
    package static let file = "segmentd.yaml (built in)"

    /// The text.
    package static var text: String {
        String(decoding: PackageResources.segmentd_yaml, as: UTF8.self)
    }
}
