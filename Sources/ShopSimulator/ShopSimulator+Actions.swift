/// What customers do when their time comes.
extension ShopSimulator {
    /// Lets a customer act now and plans the next action.
    ///
    /// - Parameters:
    ///   - index: the customer.
    ///   - line: INOUT; empty before, the event after.
    /// - Returns: what goes with the line; nil if the act leaves no trace.
    mutating func act(_ index: Int, into line: inout [UInt8]) -> Envelope? {
        // Worked on as a copy of 56 bytes and put back: the writers need the rest of the shop.
        var customer = customers[index]
        var envelope: Envelope?
        if customer.hasRegistered {
            envelope = happen(&customer, index: index, into: &line)
        } else {
            customer.hasRegistered = true
            envelope = writeProfile(customer, index: index, into: &line)
        }
        let kind = Int(customer.kind.rawValue)
        let rates = ActivityRates(
            customer,
            habits: habits[kind],
            activity: activity,
            hasLeft: customer.droppedOutAt != .max,
            drift: configuration.drift
        )
        customer.busyDays += random.exponential() / rates.total
        let next = customer.isErased ? nil : seasons[kind].time(atBusyDays: customer.busyDays)
        customers[index] = customer
        reschedule(index, at: next)
        return envelope
    }

    /// One of the competing processes fires.
    private mutating func happen(
        _ customer: inout SimulatedCustomer,
        index: Int,
        into line: inout [UInt8]
    ) -> Envelope? {
        let kind = Int(customer.kind.rawValue)
        let hasLeft = customer.droppedOutAt != .max
        let rates = ActivityRates(
            customer,
            habits: habits[kind],
            activity: activity,
            hasLeft: hasLeft,
            drift: configuration.drift
        )
        // Most people register because they are about to order.
        let isFirst = !customer.hasOrdered && !hasLeft && random.chance(0.5)
        switch isFirst ? .order : rates.happening(random.unit()) {
        case .order:
            return order(&customer, index: index, into: &line)
        case .visit:
            return writeVisit(index: index, into: &line)
        case .campaign:
            return answerCampaign(&customer, index: index, into: &line)
        case .complaint:
            return writeComplaint(index: index, into: &line)
        case .profileChange:
            return changeProfile(&customer, index: index, into: &line)
        case .change:
            takeOverHabits(&customer)
            return nil
        case .leaving:
            customer.droppedOutAt = clock
            return nil
        case .erasure:
            customer.isErased = true
            customer.droppedOutAt = min(customer.droppedOutAt, clock)
            let key = beginLine(&line, "privacy.erased", source: "privacy", index: index)
            line.append(0x7D)
            return Envelope(keyRange: key, eventTime: clock, customer: index, delay: 0)
        }
    }

    /// People change: from now on as another kind does, in all that is not in the profile.
    private mutating func takeOverHabits(_ customer: inout SimulatedCustomer) {
        let kinds = CustomerKind.allCases
        let before = habits[Int(customer.kind.rawValue)]
        let step = 1 + Int(random.unit() * Double(kinds.count - 1))
        customer.kind = kinds[(Int(customer.kind.rawValue) + step) % kinds.count]
        let now = habits[Int(customer.kind.rawValue)]
        customer.discount += Float(now.discount - before.discount)
        customer.discount = min(0.98, max(0.01, customer.discount))
        customer.favouriteCategory = UInt8(random.pick(now.categories))
        customer.favouriteChannel = UInt8(random.pick(now.channels))
        // Every kind has a time of its own.
        customer.busyDays = seasons[Int(customer.kind.rawValue)].busyDays(at: clock)
    }

    /// Campaigns run from the 5th to the 18th and are answered once; otherwise people just look.
    private mutating func answerCampaign(
        _ customer: inout SimulatedCustomer,
        index: Int,
        into line: inout [UInt8]
    ) -> Envelope {
        let day = CivilTime.day(dayNumber: CivilTime.dayNumber(clock))
        let campaign = (day.year - 1900) * 12 + day.month - 1
        guard (5...18).contains(day.day), Int(customer.lastCampaign) != campaign else {
            return writeVisit(index: index, into: &line)
        }
        customer.lastCampaign = Int16(campaign)
        let theme = campaign % Names.campaigns.count
        let acceptance = habits[Int(customer.kind.rawValue)].acceptance
        // Made for one's own kind, a campaign works better.
        let isFitting = theme == Int(customer.kind.rawValue)
        let key = beginLine(&line, "engagement.campaign", source: "mailing", index: index)
        line.write(",\"campaign_id\":\"")
        line.write(Names.campaigns[theme])
        line.append(0x2D)
        line.write(day.year, width: 4)
        line.append(0x2D)
        line.write(day.month, width: 2)
        line.write(
            random.chance(isFitting ? acceptance * 1.6 : acceptance * 0.8)
                ? "\",\"accepted\":true}" : "\",\"accepted\":false}"
        )
        return Envelope(keyRange: key, eventTime: clock, customer: index, delay: drawDelay())
    }

    private mutating func writeVisit(index: Int, into line: inout [UInt8]) -> Envelope {
        let key = beginLine(&line, "engagement.visit", source: "web", index: index)
        line.append(0x7D)
        return Envelope(keyRange: key, eventTime: clock, customer: index, delay: drawDelay())
    }

    private mutating func writeComplaint(index: Int, into line: inout [UInt8]) -> Envelope {
        let key = beginLine(&line, "engagement.complaint", source: "service", index: index)
        line.append(0x7D)
        return Envelope(keyRange: key, eventTime: clock, customer: index, delay: drawDelay())
    }

    /// The whole profile, once, when a customer registers.
    private mutating func writeProfile(
        _ customer: SimulatedCustomer,
        index: Int,
        into line: inout [UInt8]
    ) -> Envelope {
        let key = beginLine(&line, "customer.profile", source: "crm", index: index)
        line.write(",\"birth_year\":")
        line.write(Int(customer.birthYear))
        line.write(",\"education\":\"")
        line.write(Names.education[Int(customer.education)])
        line.write("\",\"marital_status\":\"")
        line.write(Names.maritalStatus[Int(customer.maritalStatus)])
        if customer.income > 0 {
            line.write("\",\"income\":")
            line.write(Int(customer.income))
        } else {
            line.append(0x22)
        }
        line.write(",\"kids_home\":")
        line.write(Int(customer.kids))
        line.write(",\"teens_home\":")
        line.write(Int(customer.teens))
        line.write(",\"enrolled_at\":\"")
        line.write(date: customer.joinedAt)
        line.write("\"}")
        return Envelope(keyRange: key, eventTime: clock, customer: index, delay: drawDelay())
    }

    /// Life goes on: one field changes, the others are left out, which means unchanged.
    private mutating func changeProfile(
        _ customer: inout SimulatedCustomer,
        index: Int,
        into line: inout [UInt8]
    ) -> Envelope {
        let key = beginLine(&line, "customer.profile", source: "crm", index: index)
        switch random.unit() {
        case ..<0.6 where customer.income > 0:
            customer.income = Int32(Double(customer.income) * random.uniform(0.95, 1.15))
            line.write(",\"income\":")
            line.write(Int(customer.income))
        case ..<0.65:
            // Withdrawn: null means unknown from now on.
            customer.income = 0
            line.write(",\"income\":null")
        default:
            customer.maritalStatus = UInt8(
                random.pick(habits[Int(customer.kind.rawValue)].maritalStatus)
            )
            line.write(",\"marital_status\":\"")
            line.write(Names.maritalStatus[Int(customer.maritalStatus)])
            line.append(0x22)
        }
        line.append(0x7D)
        return Envelope(keyRange: key, eventTime: clock, customer: index, delay: drawDelay())
    }
}
