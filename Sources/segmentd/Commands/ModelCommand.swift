import ArgumentParser
import Foundation
import OnlineLearning
import Segmentation

/// Models as people read them.
struct ModelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "Look at a model, and decide which version is in force.",
        subcommands: [Show.self, Accept.self, Reject.self, Rollback.self]
    )

    /// A bundle as people read it.
    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a bundle; without a file, that of the running daemon.",
            discussion: """
                Examples:
                  segmentd model show model.json
                  segmentd model show --admin 127.0.0.1:9464
                """
        )

        @Argument(help: "Bundle file, as --model-out writes it.")
        var file: String?

        @OptionGroup var admin: AdminOptions

        func run() async throws {
            let bundle: ModelBundle
            if let file {
                bundle = try ModelFile.bundle(file)
            } else {
                let json = try await admin.get("/api/model")
                bundle = try ModelBundle(json: json)
            }
            let model = try bundle.modelAsWritten()
            var text = ModelText.summary(model)
            text.append("")
            text.append(ModelText.centroids(model))
            if !model.sweep.isEmpty {
                text.append("")
                text.append(sweep(model))
            }
            Terminal.output(text.joined(separator: "\n") + "\n")
        }

        private func sweep(_ model: SegmentModel) -> String {
            var rows = [["segments", "inertia", "silhouette"]]
            for entry in model.sweep {
                rows.append([
                    "\(entry.k)" + (entry.k == model.elbow ? " (elbow)" : ""),
                    ModelText.number(entry.inertia),
                    entry.silhouette.map { String(format: "%.3f", $0) } ?? "",
                ])
            }
            return Terminal.table(rows)
        }
    }
}
