import Foundation
import Segmentation

/// A bundle in a file.
enum ModelFile {
    /// Reads a bundle and checks it against what is declared.
    ///
    /// - Throws: `CommandFailure` when it is not there, no bundle, or of other features.
    static func load(
        _ path: String,
        for configuration: SegmentationConfiguration
    ) throws(CommandFailure) -> SegmentModel {
        do {
            var model = try bundle(path).model(for: CompiledSchema(configuration))
            // Whoever gives a model vouches for it.
            model.provisional = false
            return model
        } catch let error as CommandFailure {
            throw error
        } catch {
            throw CommandFailure("--model \(path): \(error)", status: .usage)
        }
    }

    /// Reads a bundle.
    ///
    /// - Throws: `CommandFailure` when it is not there or no bundle.
    static func bundle(_ path: String) throws(CommandFailure) -> ModelBundle {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure("cannot read the model \(path)", status: .usage)
        }
        do {
            return try ModelBundle(json: data)
        } catch {
            throw CommandFailure("\(path) is no model bundle: \(error)", status: .usage)
        }
    }
}
