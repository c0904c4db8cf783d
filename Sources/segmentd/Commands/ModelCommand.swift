import ArgumentParser
import Foundation
import Segmentation

/// Models as people read them.
struct ModelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "Look at models, and decide which version is in force.",
        subcommands: [
            Show.self, Sweep.self, Diff.self, Accept.self, Reject.self, Rollback.self,
        ]
    )

    /// A bundle as people read it.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a bundle; without a file, that of the running daemon.",
            discussion: """
                Segments with their sizes, their strategies and the features that set them apart, in
                the units of the features; then all means.

                Examples:
                  segmentd model show model.json
                  segmentd model show --admin 127.0.0.1:9464
                """
        )

        @Argument(help: "Bundle file, as --model-out writes it.")
        var file: String?

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let model = try await ModelSource(file: file).model(from: admin)
            Terminal.output(ModelText.page(model))
        }
    }

    /// Inertia and silhouette by number of segments.
    struct Sweep: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show inertia, silhouette and elbow by number of segments.",
            discussion: """
                Without a file, of the running daemon.

                Examples:
                  segmentd model sweep model.json
                  segmentd model sweep --admin 127.0.0.1:9464
                """
        )

        @Argument(help: "Bundle file, as --model-out writes it.")
        var file: String?

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let model = try await ModelSource(file: file).model(from: admin)
            Terminal.output(ModelText.sweep(model, highlights: Terminal.isOutputTerminal))
        }
    }

    /// What would change between two models.
    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what would change if model B took the place of model A.",
            discussion: """
                Each is a file, or of the running daemon: `active`, `shadow` for the one that waits,
                or the number of a version that is kept. Distances are in PCA space, in the basis
                of A; deviations are those of A.

                Examples:
                  segmentd model diff yesterday.json today.json
                  segmentd model diff active shadow --admin 127.0.0.1:9464
                """
        )

        @Argument(help: "The model in place: a file, active, shadow or a version.")
        var a: String

        @Argument(help: "The one that would take its place: likewise.")
        var b: String

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let old = try await ModelSource(a).model(from: admin)
            let new = try await ModelSource(b).model(from: admin)
            Terminal.output(try ModelText.diff(old, new))
        }
    }
}

/// Where a model to look at comes from.
enum ModelSource {
    /// A bundle in a file.
    case file(String)
    /// One of the running daemon: `active`, `shadow`, or a version number.
    case daemon(String)

    /// What a person names; a file called `active` is reached as `./active`.
    init(_ name: String) {
        let isNumber = !name.isEmpty && name.utf8.allSatisfy { (0x30...0x39).contains($0) }
        self = name == "active" || name == "shadow" || isNumber ? .daemon(name) : .file(name)
    }

    /// A file, or without one the running daemon.
    init(file: String?) { self = file.map(ModelSource.file) ?? .daemon("active") }

    /// Gets the model.
    ///
    /// - Throws: `CommandFailure`: there is none, it is no bundle, or its parts do not fit
    ///   together.
    func model(from admin: AdminOptions) async throws(CommandFailure) -> SegmentModel {
        let bundle: ModelBundle
        let name: String
        switch self {
        case .file(let path):
            name = path
            bundle = try ModelFile.bundle(path)
        case .daemon(let version):
            name = "the daemon's model \(version)"
            let json = try await admin.get("/api/model?version=\(version)")
            do {
                bundle = try ModelBundle(json: json)
            } catch {
                throw CommandFailure("the daemon at \(admin.admin) sends no model: \(error)")
            }
        }
        do {
            return try bundle.modelAsWritten()
        } catch {
            throw CommandFailure("\(name): \(error)", status: .usage)
        }
    }
}
