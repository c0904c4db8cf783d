/// The four kinds, in figures.
///
/// They differ in several features at once and overlap in each of them, so that a segmentation
/// has something to find and no single column gives it away.
extension Habits {
    private init(share: Double, orderRate: Double, orderCents: Double) {
        self.share = share
        self.orderRate = orderRate
        self.orderCents = orderCents
        visitRate = 0.03
        campaignRate = 0.012
        complaintRate = 0.0006
        acceptance = 0.15
        dropChance = 0.03
        paceShape = 6
        categories = .init(0.2, 0.2, 0.2, 0.2, 0.1, 0.1, 0, 0)
        channels = .init(0.4, 0.2, 0.4, 0, 0, 0, 0, 0)
        discount = 0.2
        returns = 0.05
        decemberPeak = 1.5
        weekdays = .init(0.9, 0.9, 0.95, 1, 1.15, 1.3, 0.8, 0)
        evening = 0.4
        joinFrom = 0
        joinUntil = 0.6
        veterans = 0.6
        income = 50_000
        incomeDeviation = 10_000
        birthYear = 1975
        birthYearDeviation = 10
        kids = 0
        teens = 0
        education = .init(0.05, 0.15, 0.5, 0.2, 0.1, 0, 0, 0)
        maritalStatus = .init(0.3, 0.35, 0.2, 0.1, 0.05, 0, 0, 0)
    }

    static var connoisseur: Habits {
        var habits = Habits(share: 0.26, orderRate: 0.055, orderCents: 9_500)
        habits.visitRate = 0.025
        habits.campaignRate = 0.02
        habits.acceptance = 0.4
        habits.dropChance = 0.02
        habits.categories = .init(0.46, 0.03, 0.36, 0.09, 0.02, 0.04, 0, 0)
        habits.channels = .init(0.08, 0.5, 0.42, 0, 0, 0, 0, 0)
        habits.discount = 0.06
        habits.returns = 0.04
        habits.weekdays = .init(0.8, 0.9, 1, 1.1, 1.3, 1.3, 0.6, 0)
        habits.evening = 0.2
        habits.income = 80_000
        habits.incomeDeviation = 10_000
        habits.birthYear = 1960
        habits.birthYearDeviation = 8
        habits.teens = 0.15
        habits.education = .init(0, 0.02, 0.14, 0.42, 0.42, 0, 0, 0)
        habits.maritalStatus = .init(0.12, 0.5, 0.18, 0.1, 0.1, 0, 0, 0)
        habits.paceShape = 10
        habits.veterans = 0.75
        return habits
    }

    static var family: Habits {
        var habits = Habits(share: 0.3, orderRate: 0.085, orderCents: 3_800)
        habits.visitRate = 0.05
        habits.acceptance = 0.12
        habits.complaintRate = 0.0009
        habits.dropChance = 0.011
        habits.categories = .init(0.05, 0.5, 0.2, 0.04, 0.17, 0.04, 0, 0)
        habits.channels = .init(0.6, 0.04, 0.36, 0, 0, 0, 0, 0)
        habits.discount = 0.65
        habits.weekdays = .init(0.9, 0.8, 0.9, 0.9, 1.1, 1.5, 0.9, 0)
        habits.evening = 0.7
        habits.income = 47_000
        habits.incomeDeviation = 8_000
        habits.birthYear = 1981
        habits.birthYearDeviation = 6
        habits.kids = 1.8
        habits.teens = 0.9
        habits.education = .init(0.03, 0.12, 0.7, 0.12, 0.03, 0, 0, 0)
        habits.maritalStatus = .init(0.04, 0.64, 0.28, 0.03, 0.01, 0, 0, 0)
        habits.paceShape = 10
        habits.veterans = 0.75
        habits.orderRate = 0.08
        return habits
    }

    static var giftBuyer: Habits {
        var habits = Habits(share: 0.22, orderRate: 0.036, orderCents: 6_500)
        habits.visitRate = 0.012
        habits.campaignRate = 0.022
        habits.acceptance = 0.45
        habits.dropChance = 0.035
        habits.categories = .init(0.06, 0.02, 0.02, 0.01, 0.19, 0.7, 0, 0)
        habits.channels = .init(0.16, 0.06, 0.78, 0, 0, 0, 0, 0)
        habits.discount = 0.05
        habits.returns = 0.11
        habits.decemberPeak = 2.6
        habits.income = 56_000
        habits.incomeDeviation = 9_000
        habits.birthYear = 1967
        habits.birthYearDeviation = 10
        habits.teens = 0
        habits.maritalStatus = .init(0.4, 0.09, 0.06, 0.28, 0.17, 0, 0, 0)
        habits.veterans = 0.85
        habits.kids = 0
        return habits
    }

    static var newcomer: Habits {
        var habits = Habits(share: 0.22, orderRate: 0.06, orderCents: 1_900)
        habits.visitRate = 0.3
        habits.campaignRate = 0.01
        habits.acceptance = 0.06
        habits.complaintRate = 0.0008
        habits.dropChance = 0.05
        habits.categories = .init(0.04, 0.2, 0.04, 0.42, 0.28, 0.02, 0, 0)
        habits.channels = .init(0.86, 0.02, 0.12, 0, 0, 0, 0, 0)
        habits.discount = 0.3
        habits.returns = 0.08
        habits.decemberPeak = 1.3
        habits.weekdays = .init(1, 1, 1, 1, 0.9, 0.9, 1.2, 0)
        habits.evening = 0.85
        habits.joinFrom = 0.3
        habits.joinUntil = 0.85
        habits.veterans = 0
        habits.income = 27_000
        habits.incomeDeviation = 6_000
        habits.birthYear = 1999
        habits.birthYearDeviation = 3
        habits.education = .init(0.32, 0.46, 0.21, 0.01, 0, 0, 0, 0)
        habits.maritalStatus = .init(0.84, 0.03, 0.11, 0.02, 0, 0, 0, 0)
        return habits
    }
}
