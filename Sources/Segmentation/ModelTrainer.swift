import Kernels
import OnlineLearning

/// Fits one version: basis, centroids, identity, names, churn parameters.
struct ModelTrainer {
    let configuration: SegmentationConfiguration
    let schema: CompiledSchema
    let previous: SegmentModel?
    let version: Int
    let nextSegmentID: Int
    let landmarks: [Double]
    let time: Int64
    let isFinal: Bool
    /// Told every stage; false ends the fit.
    private let begins: (RefitStage) -> Bool
    var evaluator: FeatureEvaluator
    var generator: SeededGenerator
    var model = SegmentModel()
    var scores: [Double] = []
    /// `[rows x p]`: scores of every row by the new basis, zeros for rows not in use.
    private var rowScores: [Double] = []
    /// `[rows]`: what each row in training weighs, 1 on average; empty where all weigh the same.
    private var weights: [Double] = []
    /// Nearest centroid of every row by the fit, -1 for rows not in use.
    var labels: [Int32] = []

    init(_ plan: RefitPlan, begins: @escaping (RefitStage) -> Bool) {
        configuration = plan.configuration
        schema = plan.schema
        previous = plan.previous
        version = plan.version
        nextSegmentID = plan.nextSegmentID
        landmarks = plan.landmarks
        time = plan.time
        isFinal = plan.isFinal
        self.begins = begins
        evaluator = FeatureEvaluator(schema: schema)
        // The same table, version and seed give the same model.
        generator = SeededGenerator(
            seed: configuration.model.seed &+ UInt64(version)
        )
    }

    /// Fits the version.
    ///
    /// - Returns: nil when it was told to end.
    mutating func fit(
        table: CustomerTable,
        trails: PurchaseTrails,
        statistics: PopulationStatistics
    ) throws(NumericError) -> SegmentModel? {
        guard begins(.basis) else { return nil }
        model.version = version
        model.step = previous?.step ?? 0
        model.trainedAt = time
        model.customers = table.count
        model.provisional = table.count < configuration.model.minimumCustomers
        model.featureNames = schema.featureNames
        model.centres = statistics.centres
        try fitScalerAndBasis(statistics)
        fitCategoryShares(table)
        scoreAll(table)
        fitHistograms(table)
        let rows = trainingRows(table)
        model.trainingCustomers = rows.count
        if let forgetting = schema.forgetting {
            weights = forgetting.shares(of: rows, in: table)
            countMissing(rows, table)
        }
        let chosen = chosen(of: rows)
        let points = points(of: chosen)
        let weights = weights.isEmpty ? [] : chosen.map { self.weights[$0] }
        guard begins(.sweep) else { return nil }
        sweepIfDue(points, weights)
        guard begins(.challengers) else { return nil }
        let centroids = try fitCentroids(points, weights)
        guard begins(.members) else { return nil }
        finishCentroids(centroids, rows: rows, table: table)
        identify(table)
        NamingOfPersonas.name(&model, previous: previous, personas: configuration.personas)
        guard begins(.churn) else { return nil }
        try fitChurn(table, trails)
        return model
    }

    private mutating func fitScalerAndBasis(
        _ statistics: PopulationStatistics
    ) throws(NumericError) {
        let (factors, shifts) = evaluator.factors(at: time, landmarks: landmarks)
        let medians = statistics.medians(factors: factors, shifts: shifts)
        model.isWithoutData = medians.map(\.isNaN)
        // A feature that nobody has is 0 for all: without variance it weighs nothing.
        model.imputation = medians.map { $0.isNaN ? 0 : $0 }
        let view = statistics.moments.view(
            factors: factors,
            shifts: shifts,
            imputation: model.imputation
        )
        model.missing = (0..<schema.featureCount).map {
            Int(statistics.moments.missingCount(of: $0).rounded())
        }
        let scaler = StandardScaler(view)
        model.mean = scaler.mean
        model.scale = scaler.scale
        let comparable = previous.flatMap {
            $0.componentCount == configuration.model.components
                && $0.featureNames == schema.featureNames ? $0.components : nil
        }
        let basis = try PrincipalComponents.fit(
            covariance: view.covariance,
            scale: scaler.scale,
            isConstant: scaler.isConstant,
            count: min(configuration.model.components, schema.featureCount),
            previous: comparable
        )
        model.components = basis.components
        model.explainedVariance = basis.explainedVariance
        model.explainedVarianceRatio = basis.explainedVarianceRatio
        model.prepare()
        scores = Array(repeating: 0, count: max(1, model.componentCount))
    }

    private mutating func fitCategoryShares(_ table: CustomerTable) {
        var sums = Array(repeating: 0.0, count: schema.categoryCount)
        var orders = 0.0
        var spent = 0.0
        for row in 0..<table.rowEnd where table.isInUse(row) {
            for (category, slot) in schema.categorySpent.enumerated() where slot >= 0 {
                sums[category] += max(0, table.numbers[row, slot])
            }
            let totals = table.totals(of: row)
            orders += totals.orders
            spent += max(0, totals.spent)
        }
        let total = sums.reduce(0, +)
        model.categoryShares = sums.map { total > 0 ? $0 / total : 0 }
        model.meanOrderValue = orders > 0 ? spent / orders : 0
    }

    private func trainingRows(_ table: CustomerTable) -> [Int] {
        (0..<table.rowEnd).filter { table.isInUse($0) && !table.isOutlier($0) }
    }

    /// The training rows, or a uniform, seeded sample of them.
    private mutating func chosen(of rows: [Int]) -> [Int] {
        var chosen = rows
        let limit = configuration.model.sample
        if rows.count > limit {
            chosen = Array(rows[0..<limit])
            for index in limit..<rows.count {
                let place = generator.next(below: index + 1)
                if place < limit { chosen[place] = rows[index] }
            }
        }
        return chosen
    }

    /// Scores of rows, `[n x p]`.
    private func points(of rows: [Int]) -> [Double] {
        let p = model.componentCount
        var points: [Double] = []
        points.reserveCapacity(rows.count * p)
        for row in rows {
            for component in 0..<p { points.append(rowScores[row * p + component]) }
        }
        return points
    }

    /// Counts the rows in training without a feature, where the moments have their weight.
    private mutating func countMissing(_ rows: [Int], _ table: CustomerTable) {
        model.missing = Array(repeating: 0, count: schema.featureCount)
        for row in rows {
            evaluator.read(row, of: table, landmarks: landmarks)
            for feature in schema.missable where evaluator.isMissing[feature] {
                model.missing[feature] += 1
            }
        }
    }

    /// Scores of all rows by the new basis: nothing reads a row twice for them.
    private mutating func scoreAll(_ table: CustomerTable) {
        let p = model.componentCount
        rowScores = Array(repeating: 0, count: table.rowEnd * p)
        var medians = FeatureMedians(schema: schema)
        for row in 0..<table.rowEnd where table.isInUse(row) {
            evaluator.read(row, of: table, landmarks: landmarks)
            evaluator.evaluate(at: time, imputation: model.imputation)
            model.project(evaluator.values, into: &scores)
            for component in 0..<p { rowScores[row * p + component] = scores[component] }
            medians.add(evaluator.values)
        }
        medians.write(to: &model.imputation)
    }

    /// Nearest centroid of a row by the scores of `scoreAll`.
    private func nearest(_ row: Int) -> NearestCentroids {
        NearestCentroid.find(
            points: rowScores,
            pointIndex: row,
            centroids: model.scoresOfCentroids,
            count: model.segments.count,
            dimension: model.componentCount
        )
    }

    /// Incumbent against challengers, in PCA space; `[K x p]`.
    private mutating func fitCentroids(
        _ points: [Double],
        _ weights: [Double]
    ) throws(NumericError) -> [Double] {
        let p = model.componentCount
        let count = segmentCount(points.count / p)
        let challenger = KMeans.best(
            points: points,
            dimension: p,
            count: count,
            starts: configuration.model.challengers,
            weights: weights,
            generator: &generator
        )
        guard let previous, previous.segments.count == count,
            previous.featureNames == schema.featureNames
        else { return challenger.centroids }
        // The centroids in force, seen in the new basis, and run to convergence.
        var carried = model
        carried.segments = previous.segments
        carried.centroids = previous.centroids
        carried.projectCentroids()
        let incumbent = KMeans.lloyd(
            points: points,
            dimension: p,
            centroids: carried.scoresOfCentroids,
            weights: weights
        )
        let margin = isFinal ? 0 : configuration.model.margin
        return challenger.inertia < incumbent.inertia * (1 - margin)
            ? challenger.centroids : incumbent.centroids
    }

    private func segmentCount(_ rows: Int) -> Int {
        let wanted = configuration.model.segments ?? max(2, model.elbow ?? 4)
        return max(1, min(wanted, rows))
    }

    private mutating func sweepIfDue(_ points: [Double], _ weights: [Double]) {
        let p = model.componentCount
        // Once the sample is full, more customers are no reason to look again.
        let limit = configuration.model.silhouetteSample
        if let previous, !isFinal, previous.customers > 0,
            time - previous.sweepAt < configuration.model.sweepIntervalMilliseconds,
            min(model.customers, limit) < 2 * min(previous.sweepCustomers, limit)
        {
            model.sweep = previous.sweep
            model.elbow = previous.elbow
            model.sweepAt = previous.sweepAt
            model.sweepCustomers = previous.sweepCustomers
            return
        }
        // The rows were drawn in random order where there are more of them than the sample holds.
        let sampled = Array(points.prefix(limit * p))
        model.sweep = ClusterSweep.run(
            points: sampled,
            dimension: p,
            counts: 1...max(1, min(10, sampled.count / p)),
            starts: max(1, configuration.model.challengers / 2),
            weights: Array(weights.prefix(limit)),
            generator: &generator,
            silhouetteSampleMax: limit
        )
        model.elbow = Kneedle.elbow(x: model.sweep.map(\.k), y: model.sweep.map(\.inertia))
        model.sweepAt = time
        model.sweepCustomers = model.customers
    }

    /// Full means of the members in feature units, counts and inertia, over all rows.
    private mutating func finishCentroids(
        _ centroids: [Double],
        rows: [Int],
        table: CustomerTable
    ) {
        let d = schema.featureCount
        let p = model.componentCount
        let count = centroids.count / max(1, p)
        model.segments = Array(
            repeating: SegmentModel.Segment(
                id: 0,
                key: "",
                name: "",
                strategy: "",
                customers: 0,
                trainingCustomers: 0
            ),
            count: count
        )
        model.setCentroidScores(centroids)
        var sums = Array(repeating: 0.0, count: count * d)
        var members = Array(repeating: 0.0, count: count)
        for row in rows {
            evaluator.read(row, of: table, landmarks: landmarks)
            evaluator.evaluate(at: time, imputation: model.imputation)
            let nearest = nearest(row).index
            let weight = weights.isEmpty ? 1 : weights[row]
            members[nearest] += weight
            for j in 0..<d {
                sums[nearest * d + j] += weight * (evaluator.values[j] - model.mean[j])
            }
        }
        model.centroids = sums
        for k in 0..<count {
            for j in 0..<d {
                model.centroids[k * d + j] =
                    model.mean[j] + (members[k] > 0 ? sums[k * d + j] / members[k] : 0)
            }
        }
        model.projectCentroids()
        countMembers(table)
    }

    private mutating func countMembers(_ table: CustomerTable) {
        var inertia = 0.0
        labels = Array(repeating: -1, count: table.rowEnd)
        for row in 0..<table.rowEnd where table.isInUse(row) {
            let nearest = nearest(row)
            labels[row] = Int32(nearest.index)
            model.segments[nearest.index].customers += 1
            if !table.isOutlier(row) {
                model.segments[nearest.index].trainingCustomers += 1
                inertia += (weights.isEmpty ? 1 : weights[row]) * nearest.squaredDistance
            }
        }
        model.inertia = inertia
    }
}
